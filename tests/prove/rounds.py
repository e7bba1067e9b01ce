"""A round of contracts from one seed."""

from __future__ import annotations

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.prove.machine import Machine
from tests.prove.twin import DifferenceError


def run_round(seed: int, *, contracts: int, steps: int) -> DifferenceError | None:
    """Run as many contracts of at most so many steps; the first difference, if there is one.

    Hypothesis only draws here: our own shrinking of the story is quicker and says more.
    """
    how = settings(
        max_examples=contracts,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    machine = type(f"Machine{seed}", (Machine,), {})
    try:
        run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=how)
    except DifferenceError as error:
        return error
    return None
