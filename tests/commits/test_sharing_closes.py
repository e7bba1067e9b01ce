"""The closes of a day are shared with whoever finds the runner at them, and need nobody's help."""

from datetime import datetime, timedelta

import psycopg
import pytest
from django.db import connection

from billing.models import JobRun
from commits.models import Commit, Quarter, QuarterState
from commits.services import daily, shared_closes
from tests.commits.world import at, make_customer, signed

pytestmark = pytest.mark.django_db(transaction=True)
DUE = at("2026-04-05")


def three_commits() -> list[Commit]:
    return [signed(make_customer(key)) for key in ("acme", "bolt", "cinder")]


def posted() -> int:
    return Quarter.objects.filter(state=QuarterState.POSTED).count()


def closing(due_at: datetime = DUE, finished_at: datetime | None = None) -> JobRun:
    """The sign of a runner that is closing."""
    return JobRun.objects.create(job=shared_closes.CLOSES, due_at=due_at, finished_at=finished_at)


def test_who_finds_the_runner_closing_closes_too() -> None:
    three_commits()
    closing()
    with daily.only_runner() as alone:
        assert alone
        assert daily.run_due_jobs(now=DUE) == 0
    assert posted() == 3
    assert not JobRun.objects.filter(job=daily.DAILY).exists()


def test_without_the_sign_nobody_helps() -> None:
    three_commits()
    closing(DUE - timedelta(days=1), finished_at=DUE)
    with daily.only_runner():
        assert daily.run_due_jobs(now=DUE) == 0
    assert posted() == 0


def test_a_helper_leaves_what_the_runner_has_in_hand() -> None:
    first = three_commits()[0]
    closing()
    parameters = connection.get_connection_params()
    address = {key: parameters[key] for key in ("dbname", "user", "host", "port", "password")
               if parameters.get(key)}  # fmt: skip
    with psycopg.connect(**address) as runner:
        runner.execute("SELECT FROM commits_commit WHERE id = %s FOR UPDATE", [first.pk])
        assert shared_closes.lend_a_hand() == 2
    assert not Quarter.objects.filter(origin=first, state=QuarterState.POSTED).exists()
    shared_closes.close_due(now=DUE)
    assert posted() == 3


def test_the_sign_is_taken_down_also_after_a_runner_was_killed() -> None:
    three_commits()
    closing(DUE - timedelta(days=1))
    shared_closes.close_due(now=DUE)
    assert JobRun.objects.get(due_at=DUE).finished_at is not None
    assert not JobRun.objects.filter(finished_at=None).exists()
    closing(DUE + timedelta(days=1))
    shared_closes.close_due(now=DUE + timedelta(days=1))
    assert not JobRun.objects.filter(finished_at=None).exists()
    assert shared_closes.lend_a_hand() == 0
