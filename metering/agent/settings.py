"""What the agent is told: a TOML file, a few options, and the API key from a file or a variable.

Every value is checked when it is read, and an unknown name is refused: a misspelt rule would
otherwise report usage in the wrong way for months.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from metering.agent.rules import Rule, Rules

KEY_VARIABLE = "METERING_AGENT_KEY"
LONGEST_NAME = 200


class BadSettings(Exception):
    """The agent cannot start with these; the message names the setting."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them. Sizes are in bytes, times in seconds; addresses are host:port, "" for none."""

    server: str
    state_dir: Path
    key_file: str = ""
    files: tuple[str, ...] = ()
    stdin: bool = False
    listen: str = ""
    status: str = ""
    rules: Rules = field(default_factory=Rules)
    name: str = ""  # In cross-checks; "" for one that is drawn at the first start.
    cross_check: bool = True
    cross_check_seconds: float = 3_600.0
    batch_events: int = 1_000
    batch_bytes: int = 4 * 2**20
    batch_seconds: float = 1.0
    spool_bytes: int = 2**30
    segment_bytes: int = 16 * 2**20
    dead_letter_bytes: int = 2**28
    backoff_first_seconds: float = 0.5
    backoff_most_seconds: float = 60.0
    denied_seconds: float = 60.0
    timeout_seconds: float = 60.0
    stop_seconds: float = 10.0
    poll_seconds: float = 0.5
    log_level: str = "INFO"

    def key(self) -> str:
        """The API key, read anew each time, so that a new one in the file takes effect at once.

        Raises BadSettings if there is none.
        """
        if self.key_file:
            try:
                found = Path(self.key_file).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise BadSettings(f"key_file cannot be read: {type(error).__name__}") from error
        else:
            found = os.environ.get(KEY_VARIABLE, "").strip()
        if not found or not found.isascii() or not found.isprintable():
            raise BadSettings(f"there is no API key: set key_file, or {KEY_VARIABLE}")
        return found


def read_settings(path: Path | None, given: Mapping[str, Any]) -> Settings:
    """The file's settings with what was given on the command line over them. Raises BadSettings."""
    told: dict[str, Any] = {}
    if path is not None:
        try:
            told = tomllib.loads(path.read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadSettings(f"{path}: {error}") from error
    rules = _rules(told.pop("rules", {}))
    known = {one.name: one for one in fields(Settings) if one.name != "rules"}
    values: dict[str, Any] = {}
    for name, value in {**told, **given}.items():
        if name not in known:
            raise BadSettings(f"{name} is no setting")
        values[name] = _typed(name, str(known[name].type), value)
    for name in ("server", "state_dir"):
        if not values.get(name):
            raise BadSettings(f"{name} must be set")
    settings = replace(Settings("", Path()), **values, rules=rules)
    _check(settings)
    return settings


def address(text: str) -> tuple[str, int]:
    """host:port, or :port on the loopback. Raises BadSettings."""
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or not int(port) < 65536:
        raise BadSettings(f"{text!r} is no host:port")
    return host.strip("[]") or "127.0.0.1", int(port)


def _typed(name: str, kind: str, value: Any) -> Any:
    if kind == "Path" and isinstance(value, str | Path) and str(value) not in ("", "."):
        return Path(value)
    if kind == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        if 0 < value < 10**7:
            return float(value)
    elif kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        if 0 < value < 2**50:
            return value
    elif (kind == "bool" and isinstance(value, bool)) or (kind == "str" and isinstance(value, str)):
        return value
    elif kind.startswith("tuple") and _is_texts(value):
        return tuple(value)
    raise BadSettings(f"{name} cannot be {value!r}")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


def _check(settings: Settings) -> None:
    parts = urlsplit(settings.server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadSettings("server must be an http or https address")
    if parts.username or parts.password or parts.query:
        raise BadSettings("server must hold neither a password nor a query")
    if len(settings.name) > LONGEST_NAME or not settings.name.isprintable():
        raise BadSettings(f"name must be printable, and at most {LONGEST_NAME} characters")
    for one in (settings.listen, settings.status):
        if one:
            address(one)
    if not (settings.files or settings.stdin or settings.listen):
        raise BadSettings("there is no input: set files, stdin or listen")


def _rules(told: Any) -> Rules:
    if not isinstance(told, dict):
        raise BadSettings("rules must be tables")
    names = {one.name for one in fields(Rules)}
    made: dict[str, Rule] = {}
    for name, table in told.items():
        if name not in names or not isinstance(table, dict):
            raise BadSettings(f"rules.{name} is no rule")
        before: Rule = getattr(Rules(), name)
        made[name] = _rule(name, before, table)
    return Rules(**made)


def _rule(name: str, before: Rule, table: Mapping[str, Any]) -> Rule:
    unknown = set(table) - {"from", "names", "default", "keep_unknown"}
    if unknown:
        raise BadSettings(f"rules.{name} has no {', '.join(sorted(unknown))}")
    names = table.get("names", {})
    if not isinstance(names, dict) or not all(isinstance(one, str) for one in names.values()):
        raise BadSettings(f"rules.{name}.names must be a table of texts")
    return Rule(
        paths=_typed(f"rules.{name}.from", "tuple", table.get("from", before.paths)),
        names=names,
        default=_typed(f"rules.{name}.default", "str", table.get("default", before.default)),
        keep_unknown=_typed(
            f"rules.{name}.keep_unknown", "bool", table.get("keep_unknown", before.keep_unknown)
        ),
    )
