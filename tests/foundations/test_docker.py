"""The container files say what they should; no container engine is needed to see that."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "web", "worker", "beat")
DOCKERFILE = (DOCKER / "Dockerfile").read_text()


@pytest.mark.parametrize("script", ["docker/entrypoint.sh", ".ci/run"])
def test_shell_scripts_are_sound(script: str) -> None:
    shellcheck = Path(sysconfig.get_path("scripts")) / "shellcheck"
    for command in (["bash", "-n", script], [str(shellcheck), script]):
        checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("web", "gunicorn --config python:billing.config.gunicorn"),
        ("worker", "celery -A billing.config.celery worker --without-gossip --without-mingle"),
        ("beat", "celery -A billing.config.celery beat --schedule /d/celerybeat-schedule"),
        ("migrate", "python manage.py migrate --noinput\npython -m billing.config.queue"),
        ("trial_balance", "python manage.py trial_balance"),
    ],
)
def test_the_argument_says_which_part_a_container_is(
    argument: str, expected: str, tmp_path: Path
) -> None:
    for program in ("gunicorn", "celery", "python"):
        fake = tmp_path / program
        fake.write_text(f'#!/bin/sh\necho {program} "$@"\n')
        fake.chmod(0o755)
    ran = subprocess.run(
        ["sh", DOCKER / "entrypoint.sh", argument],
        env={"PATH": f"{tmp_path}:{os.defpath}", "DATA_DIR": "/d"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout.startswith(expected)


def test_compose_parts_wait_for_each_other_and_say_how_they_are() -> None:
    assert set(SERVICES) == {"postgres", "rabbitmq", *OURS}
    for name, service in SERVICES.items():
        assert "image" in service, name
        for other, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            assert other in SERVICES
            assert condition in {"service_healthy", "service_completed_successfully"}
            assert condition != "service_healthy" or "healthcheck" in SERVICES[other]
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"]
    for name in ("web", "worker", "beat"):
        assert SERVICES[name]["depends_on"]["migrate"]
        assert SERVICES[name]["depends_on"]["rabbitmq"]
    assert "/healthz" in str(SERVICES["web"]["healthcheck"]["test"])


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_few_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["command"] == [name]
    assert "DATABASE_POOL" not in service["environment"]


def test_every_variable_of_compose_is_explained_in_the_example() -> None:
    text = (DOCKER / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+)", text))
    lines = (DOCKER / "env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert asked == set(given)
    secrets = [name for name in given if re.search(r"KEY|SECRET|PASSWORD", name)]
    assert not any(given[name] for name in secrets), "an example holds no secret"


def test_the_image_has_what_it_needs_and_no_root() -> None:
    instructions = re.findall(r"^([A-Z]+) (.*)$", DOCKERFILE, re.MULTILINE)
    users = [value for name, value in instructions if name == "USER"]
    assert users == ["ledger"]
    bases = {value.split()[0] for name, value in instructions if name == "FROM"}
    assert bases == {"python:3.11-slim"}
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    sent = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    for name, value in instructions:
        if name == "COPY" and not value.startswith("--from"):
            for source in value.split()[:-1]:
                source = source.removeprefix("./")
                assert (ROOT / source).exists(), source
                assert f"!{source}" in sent, f"{source} is not sent to the builder"
