"""`python -m billing.config.launcher serve`: see supervisor.py."""

import sys

from billing.config.launcher.supervisor import serve

if sys.argv[1:] != ["serve"]:
    sys.exit("usage: python -m billing.config.launcher serve")
sys.exit(serve())
