"""Bodies of usage events: what gateways would post, cheap enough to make that the client is not
what is measured.

A body is made once and holds a mark where its number goes, so that each request carries new ids.
Every customer has two models; the times lie within the minutes before the bench began.
"""

import json
from datetime import UTC, datetime, timedelta

MARK = b"@@@@@@@@"
MODELS = ("llama-3.3-70b", "qwen3-235b", "deepseek-v3.2", "mixtral-8x22b")
SOURCES = ("gateway/us-east-1", "gateway/eu-west-1")


def template(
    *, events: int, customers: int, before: datetime, spread_seconds: int = 300, tag: str = "req"
) -> bytes:
    """A batch of token events, dealt out to customers `c0`, `c1`, ... in turn."""
    made = []
    for number in range(events):
        customer = number % customers
        at = before - timedelta(seconds=number * spread_seconds // events, microseconds=number)
        data: dict[str, object] = {
            "model": MODELS[(customer + number // customers % 2) % len(MODELS)],
            "mode": "serverless",
            "input_tokens": 900 + number,
            "cached_input_tokens": 300 + number % 11,
            "output_tokens": 100 + number % 7,
            "reasoning_tokens": number % 5,
            "endpoint": f"ep-{customer % 8}",
            "project": "search" if number % 3 else "chat",
        }
        made.append(
            {
                "specversion": "1.0",
                "id": f"{tag}-{MARK.decode()}{number:05d}",
                "source": SOURCES[customer % 2],
                "subject": f"c{customer}",
                "time": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "type": "inference.tokens",
                "data": data,
            }
        )
    return json.dumps(made).encode()


def numbered(body: bytes, number: int) -> bytes:
    """The body of one request: the same events under ids of their own."""
    return body.replace(MARK, b"%08x" % number)
