"""Work on a database of the bench in a process of its own: Django knows one database at a time."""

import json
import os
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def apart(url: str, place: Path, work: Callable[..., Any], *given: Any) -> Any:
    """What `work(*given)` answers, as JSON can say it, with Django set up on the database `url`."""
    [answer] = side_by_side(url, place, [(work, given)])
    return answer


def side_by_side(
    url: str, place: Path, works: Sequence[tuple[Callable[..., Any], Sequence[Any]]]
) -> list[Any]:
    """The same for several at once, each in its process. Raises RuntimeError if one fails."""
    started = [_start(url, place, work, given) for work, given in works]
    answers = []
    for pid, read in started:
        with os.fdopen(read) as pipe:
            text = pipe.read()
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) or not text:
            raise RuntimeError("a part of the bench failed")
        answers.append(json.loads(text))
    return answers


def _start(
    url: str, place: Path, work: Callable[..., Any], given: Sequence[Any]
) -> tuple[int, int]:
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    status = 1
    try:
        os.environ |= {"DATABASE_URL": url, "DATA_DIR": str(place), "SANDBOX": "0"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "billing.config.settings"
        import django

        django.setup()
        with os.fdopen(write, "w") as pipe:
            json.dump(work(*given), pipe)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
