"""What the settings refuse, and what a production turns on. Each case is a process of its own,
because settings are read once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCTION = {
    "SECRET_KEY": "k" * 30 + "0123456789abcdefghijklmnopqrstuvwxyz",
    "PUBLIC_URL": "https://ledger.example.com",
    "DATABASE_URL": "postgresql://ledger@db.invalid/ledger",
    "CELERY_BROKER_URL": "amqp://broker.invalid//",
    "SANDBOX": "",
}


def ask(code: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of Python that has the settings as `s`."""
    return subprocess.run(
        [sys.executable, "-c", f"from billing.config import settings as s; {code}"],
        env={**os.environ, "DATA_DIR": str(data_dir), **environment},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("key", ["sk_live_abc", "rk_live_abc"])
def test_a_sandbox_is_refused_together_with_a_live_stripe_key(key: str, tmp_path: Path) -> None:
    refused = ask("print(s.SANDBOX)", tmp_path, SANDBOX="1", STRIPE_API_KEY=key)
    assert refused.returncode != 0
    assert "SANDBOX=1" in refused.stderr
    assert key not in refused.stderr

    assert ask("print(s.SANDBOX)", tmp_path, SANDBOX="0", STRIPE_API_KEY=key).stdout == "False\n"
    test_key = ask("print(s.SANDBOX)", tmp_path, SANDBOX="1", STRIPE_API_KEY="sk_test_abc")
    assert test_key.stdout == "True\n"


def test_a_production_needs_its_secret_key(tmp_path: Path) -> None:
    refused = ask("", tmp_path, **{**PRODUCTION, "SECRET_KEY": ""})
    assert "SECRET_KEY must be set" in refused.stderr


def test_a_local_secret_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first, second = (ask("print(s.SECRET_KEY)", tmp_path, SECRET_KEY="") for _ in range(2))
    assert len(first.stdout.strip()) >= 50
    assert first.stdout == second.stdout
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600


def test_a_pool_and_persistent_connections_exclude_each_other(tmp_path: Path) -> None:
    code = "d = s.DATABASES['default']; print('pool' in d['OPTIONS'], d.get('CONN_MAX_AGE'))"
    assert ask(code, tmp_path, DATABASE_POOL="8").stdout == "True 0\n"
    assert ask(code, tmp_path, DATABASE_POOL="").stdout == "False 60\n"


def test_two_webhook_secrets_may_be_live(tmp_path: Path) -> None:
    seen = ask("print(s.STRIPE_WEBHOOK_SECRETS)", tmp_path, STRIPE_WEBHOOK_SECRET="whsec_a,whsec_b")
    assert seen.stdout == "['whsec_a', 'whsec_b']\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [("DEBUG", "2"), ("DATABASE_URL", "sqlite:///x"), ("CELERY_BROKER_URL", "filesystem://")],
)
def test_what_cannot_work_is_refused(name: str, value: str, tmp_path: Path) -> None:
    refused = ask("", tmp_path, **{name: value})
    assert f"{name} must be" in refused.stderr


def test_a_production_writes_no_secret_into_its_data_directory(tmp_path: Path) -> None:
    assert ask("print(s.IS_PUBLIC)", tmp_path, **PRODUCTION).stdout == "True\n"
    assert not list(tmp_path.iterdir())
