"""The state engine."""

from __future__ import annotations

import ast
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import DataError, connection, transaction
from django.db.models import F

from apps.core.errors import LostRace, WrongState
from apps.core.transitions import advance, advance_many
from tests.unit.apps.core.samples import Sample

WRITERS = ("update", "bulk_update", "update_returning")


def test_a_step_moves_the_row_and_stores_its_data(samples: type[Sample]) -> None:
    row = samples.objects.create()

    advance(row, "CLAIM", amount=7)

    row.refresh_from_db()
    assert (row.state, row.amount) == ("RUNNING", 7)


def test_a_refused_step_spoils_its_transaction_as_any_update_does(samples: type[Sample]) -> None:
    row = samples.objects.create()

    with transaction.atomic():
        with suppress(DataError):
            advance(row, "CLAIM", amount=10**90)
        assert connection.needs_rollback


def test_a_step_is_one_statement_and_the_row_has_what_was_stored(
    samples: type[Sample], django_assert_num_queries: Any
) -> None:
    row = samples.objects.create(amount=2)
    samples.objects.filter(pk=row.pk).update(address="f01")  # by somebody else, meanwhile

    with django_assert_num_queries(1):
        advance(row, "CLAIM", amount=F("amount") + 5)

    assert (row.state, row.amount, str(row.address)) == ("RUNNING", 7, "f01")


def test_an_event_outside_the_table_is_refused(samples: type[Sample]) -> None:
    row = samples.objects.create()

    with pytest.raises(WrongState, match="is QUEUED: DONE is not possible"):
        advance(row, "DONE")

    assert samples.objects.get().state == "QUEUED"


def test_of_two_reports_of_one_event_only_one_wins(samples: type[Sample]) -> None:
    row = samples.objects.create()
    same = samples.objects.get(pk=row.pk)
    advance(row, "CLAIM", amount=1)

    with pytest.raises(LostRace):
        advance(same, "CLAIM", amount=2)

    assert samples.objects.get().amount == 1


def test_many_rows_move_with_one_update(samples: type[Sample], django_assert_num_queries: Any) -> None:
    rows = [samples.objects.create() for _ in range(3)]
    data = {row.pk: {"amount": 10**30 + row.pk, "address": f"f0{row.pk}"} for row in rows}

    with django_assert_num_queries(1):
        moved = advance_many(samples, "CLAIM", data, returning="cid", cid=None)

    assert moved == dict.fromkeys(data)
    for row in samples.objects.all():
        assert (row.state, row.amount, row.address) == ("RUNNING", 10**30 + row.pk, f"f0{row.pk}")


def test_many_leaves_rows_whose_state_lacks_the_event(samples: type[Sample]) -> None:
    queued, running = samples.objects.create(), samples.objects.create(state="RUNNING")

    moved = advance_many(samples, "CLAIM", {queued.pk: {}, running.pk: {}}, returning="state")

    assert moved == {queued.pk: "RUNNING"}


def test_many_refuses_an_event_with_several_targets(samples: type[Sample]) -> None:
    with pytest.raises(ValueError, match=r"DROP leads to \['DROPPED', 'QUEUED'\]"):
        advance_many(samples, "DROP", {1: {}}, returning="state")


def test_many_refuses_an_unknown_event(samples: type[Sample]) -> None:
    with pytest.raises(ValueError, match="NEVER leads to"):
        advance_many(samples, "NEVER", {1: {}}, returning="state")


def test_many_cuts_no_text_that_is_too_long(samples: type[Sample]) -> None:
    row = samples.objects.create()

    with pytest.raises(DataError):
        advance_many(samples, "CLAIM", {row.pk: {"cid": "b" * 1000}}, returning="state")


PREPARED = {"apps/sectors/services/jobs/claim_statements.py"}
"""A claim and a sweep are one prepared statement each, whose steps are read from the table of jobs."""


def test_nothing_but_transitions_writes_a_state() -> None:
    writers = set()
    for path in Path("apps").rglob("*.py"):
        if "migrations" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            is_assigned = isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Attribute)
                and target.attr == "state"
                and isinstance(target.ctx, ast.Store)
                and not (isinstance(target.value, ast.Name) and target.value.id == "self")
                for whole in node.targets
                for target in ast.walk(whole)
            )
            is_updated = (
                isinstance(node, ast.Call)
                and getattr(node.func, "attr", getattr(node.func, "id", "")) in WRITERS
                and any(keyword.arg == "state" for keyword in node.keywords)
            )
            is_sql = isinstance(node, ast.Constant) and "SET state" in str(node.value)
            if is_assigned or is_updated or is_sql:
                writers.add(str(path))

    assert writers - PREPARED == {"apps/core/transitions.py"}
