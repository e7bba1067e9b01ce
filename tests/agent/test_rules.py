"""Customer, mode and the rest come from where the configuration says, and nowhere else."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from metering.agent import forms
from metering.agent.forms.fields import Unusable, Usage
from metering.agent.rules import Rule, Rules
from metering.agent.settings import BadSettings, read_settings
from tests.agent.samples import CHAT, LITELLM, OTLP

NOW = datetime(2026, 2, 3, 11, tzinfo=UTC)


def event(record: Any, rules: Rules, headers: dict[str, str] | None = None) -> Any:
    usage = forms.read(record)[0]
    assert isinstance(usage, Usage)
    return rules.event(usage, headers or {}, "where", NOW)


def test_a_chat_answer_becomes_an_event() -> None:
    assert event(CHAT, Rules()) == {
        "specversion": "1.0", "id": CHAT["id"], "source": "metering-agent", "subject": "acme",
        "time": "2026-02-03T10:00:00.000000Z", "type": "inference.tokens",
        "data": {"model": "gpt-4.1-2025-04-14", "mode": "serverless", "input_tokens": 2006,
                 "cached_input_tokens": 1920, "output_tokens": 300, "reasoning_tokens": 192},
    }  # fmt: skip


def test_teams_are_named_by_a_table_and_others_are_not_reported() -> None:
    rules = Rules(customer=Rule(("metadata.user_api_key_team_id",), {"team-acme": "acme"}))
    assert event(LITELLM, rules)["subject"] == "acme"
    stranger = {**LITELLM, "metadata": {"user_api_key_team_id": "team-x"}}
    refused = event(stranger, rules)
    assert isinstance(refused, Unusable) and refused.code == "no_customer"


def test_a_key_is_named_by_its_hash() -> None:
    digest = hashlib.sha256(b"sk-secret").hexdigest()
    rules = Rules(customer=Rule(("header.authorization",), {f"sha256:{digest}": "acme"}))
    assert event(LITELLM, rules, {"authorization": "Bearer sk-secret"})["subject"] == "acme"


def test_names_with_dots_and_resource_attributes() -> None:
    assert event(OTLP, Rules())["subject"] == "acme"
    by_service = Rules(customer=Rule(("service.name",), {"assistant": "bolt"}))
    assert event(OTLP, by_service)["subject"] == "bolt"


def test_models_and_modes_are_renamed() -> None:
    rules = Rules(
        mode=Rule(("service_tier",), {"default": "serverless", "batch": "batch"}),
        model=Rule((), {"gpt-4.1-2025-04-14": "gpt-4.1"}),
        source=Rule(("api_base",), default="gateway/eu"),
        project=Rule(("metadata.user_api_key_alias",)),
    )
    made = event(CHAT, rules)
    assert (made["data"]["mode"], made["data"]["model"]) == ("serverless", "gpt-4.1")
    assert event({**CHAT, "service_tier": "batch"}, rules)["data"]["mode"] == "batch"
    assert made["source"] == "gateway/eu"
    assert event(LITELLM, rules)["data"]["project"] == "acme-prod"


def test_without_an_id_the_place_is_the_id_and_a_long_one_is_hashed() -> None:
    nameless = {key: value for key, value in CHAT.items() if key != "id"}
    assert event(nameless, Rules())["id"] == "at-where"
    long = event({**CHAT, "id": "x" * 300}, Rules())["id"]
    assert long.startswith("sha256-") and len(long) < 100


def test_a_table_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(
        'server = "https://ledger.example.com"\nstate_dir = "/var/lib/x"\nlisten = ":0"\n'
        '[rules.customer]\nfrom = ["team"]\nnames = {t1 = "acme"}\n'
        '[rules.source]\ndefault = "g/1"\n'
    )
    made = read_settings(path, {})
    assert made.rules.customer == Rule(("team",), {"t1": "acme"})
    assert made.rules.source.default == "g/1"
    assert made.rules.mode == Rules().mode


@pytest.mark.parametrize(
    "told",
    [
        "sever = 1", "batch_events = 0", "batch_events = true", 'listen = "nowhere"',
        "[rules.customr]", "[rules.customer]\nform = []", "[rules.customer]\nfrom = 'x'",
        'server = "ftp://x"', 'server = "https://u:p@x"', "listen = ''", "state_dir = ''",
    ],
)  # fmt: skip
def test_what_is_misspelt_is_refused(tmp_path: Path, told: str) -> None:
    good = {"server": "'https://x'", "state_dir": "'/s'", "listen": "':0'"}
    name = told.partition(" ")[0]
    kept = "".join(f"{key} = {value}\n" for key, value in good.items() if key != name)
    path = tmp_path / "agent.toml"
    path.write_text(kept + told + "\n")
    with pytest.raises(BadSettings):
        read_settings(path, {})
