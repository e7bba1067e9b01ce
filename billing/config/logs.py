"""Structured logs: one JSON object a line on standard error, with secrets taken out.

Standard output stays free for what commands print (an API key, a table).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

HIDDEN = "[redacted]"
SECRET_NAMES = frozenset(
    {
        "authorization", "proxy-authorization", "cookie", "set-cookie", "stripe-signature",
        "password", "secret", "secret_key", "api_key", "stripe_api_key", "webhook_secret",
        "csrfmiddlewaretoken", "sessionid", "csrftoken",
    }
)  # fmt: skip
# What is secret wherever it stands: our API keys, Stripe's, bearer tokens, passwords in addresses.
SECRET_TEXT = re.compile(
    r"\b(?P<key>(?:agent|cust|fin)_(?=[\w-]{16})|[sr]k_(?:live|test)_|whsec_)[\w-]+"
    r"|(?P<scheme>\b(?:Bearer|Basic)\s+)[\w.~+/=-]+"
    r"|(?P<user>://[^/\s:@]*:)[^/\s@]+(?=@)",
    re.IGNORECASE,
)


def redacted(value: Any) -> Any:
    """The value without secrets; looks into mappings, lists and tuples."""
    if isinstance(value, str):
        return SECRET_TEXT.sub(_without_secret, value)
    if isinstance(value, bytes):
        return redacted(value.decode(errors="replace"))
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if str(key).lower() in SECRET_NAMES else redacted(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(item) for item in value]
    return value


def _without_secret(match: re.Match[str]) -> str:
    kept = match["key"] or match["scheme"] or match["user"]
    return f"{kept}{HIDDEN}"


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor; runs after tracebacks have become text, so that it sees them too."""
    clean = redacted(event)
    assert isinstance(clean, dict)  # noqa: S101 - a mapping stays one
    return clean


SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def configuration(level: str) -> dict[str, Any]:
    """For logging.config.dictConfig; used by Django, Celery and gunicorn alike."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*SHARED_PROCESSORS, structlog.stdlib.ExtraAdder()],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    redact,
                    structlog.processors.JSONRenderer(default=str),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django's own handlers would print each line twice and mail tracebacks.
            "django": {"handlers": [], "propagate": True, "level": level},
            "django.server": {"handlers": [], "propagate": True, "level": level},
            "gunicorn.error": {"handlers": [], "propagate": True, "level": level},
            # One line a request is the proxy's to write; gunicorn's switch for it is overruled by
            # a logging configuration.
            "gunicorn.access": {"handlers": [], "propagate": True, "level": "WARNING"},
            # One line a task, twice, is too much at thousands of tasks an hour.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
        },
    }


def configure_structlog() -> None:
    """Send structlog's loggers through the standard library's, where the handlers are."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED_PROCESSORS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
