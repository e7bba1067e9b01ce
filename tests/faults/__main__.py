"""`python -m tests.faults`: FOR seconds of faults (600), from SEED on; the last line is JSON.

Exit code 1 where the ledger differs from what the agents were given.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.run import run


def main() -> int:
    """Run once and say what it came to."""
    seconds = float(os.environ.get("FOR") or 600)
    seed = int(os.environ.get("SEED") or int(time.time()) % 1_000_000)
    print(f"faults for {seconds:.0f} s from seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="ledger-faults-") as name:
        home = Path(name)
        home.chmod(0o711)
        outcome = run(home, seconds, seed, pause=(1.0, 4.0))
    for difference in outcome.differences:
        print(f"DIFFERENCE: {difference}", flush=True)
    print(json.dumps(outcome.told()))
    return 1 if outcome.differences else 0


if __name__ == "__main__":
    sys.exit(main())
