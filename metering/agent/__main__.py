"""`python -m metering.agent`: read the settings, run until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

from metering.agent.agent import Agent
from metering.agent.clock import Clock
from metering.agent.settings import BadSettings, Settings, read_settings


def main(clock: Clock | None = None) -> int:
    """The exit status: 0 stopped in order, 1 broken, 2 cannot start with these settings."""
    try:
        settings = _settings(sys.argv[1:])
        logging.basicConfig(
            stream=sys.stderr,
            level=settings.log_level.upper(),
            format="%(asctime)s %(levelname)s %(message)s",
        )
        settings.key()  # Missing now is better said now.
        agent = Agent(settings, clock)
    except (BadSettings, ValueError) as error:
        sys.stderr.write(f"metering-agent: {error}\n")
        return 2

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        agent.stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    try:
        return agent.run()
    except BadSettings as error:
        sys.stderr.write(f"metering-agent: {error}\n")
        return 2
    finally:
        agent.close()


def _settings(arguments: list[str]) -> Settings:
    """From the command line and the file it names. The API key is never given here: `ps` shows."""
    parser = argparse.ArgumentParser(
        prog="metering-agent",
        description="Reports usage to the billing service, and loses none of it.",
        epilog="The API key comes from key_file, or from the environment: METERING_AGENT_KEY.",
    )
    parser.add_argument("--config", type=Path, help="a TOML file with any of the settings")
    parser.add_argument("--server", help="the service's address, https://...")
    parser.add_argument("--state-dir", type=Path, help="where the spool lies; never share it")
    parser.add_argument("--key-file", help="a file that holds the API key")
    parser.add_argument("--file", action="append", dest="files", help="follow these JSON lines")
    parser.add_argument("--stdin", action="store_const", const=True, help="read standard input")
    parser.add_argument("--listen", help="take records over HTTP on this host:port")
    parser.add_argument("--status", help="tell /metrics, /healthz, /state on this host:port")
    given = vars(parser.parse_args(arguments))
    config = given.pop("config")
    return read_settings(config, {name: value for name, value in given.items() if value})


if __name__ == "__main__":
    sys.exit(main())
