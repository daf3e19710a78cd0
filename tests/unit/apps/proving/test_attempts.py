"""Attempts as the database keeps them: one open one of each kind, and what older columns became."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.proving.models import ProofAttempt
from apps.proving.states import AttemptKind, AttemptState, PostState
from tests import factories
from tests.unit.apps.proving.attempts import attempts
from tests.unit.apps.proving.test_rescues import miner, post

pytestmark = pytest.mark.django_db

moving = importlib.import_module("apps.proving.migrations.0008_proof_attempts")


@pytest.mark.parametrize("kind", AttemptKind.values)
def test_second_open_attempt_of_a_kind_is_refused(kind: str) -> None:
    row = post(miner(), state=PostState.PROVING)
    ProofAttempt.objects.create(post=row, kind=kind, state=AttemptState.FAILED)
    ProofAttempt.objects.create(post=row, kind=kind, state=AttemptState.STALLED)

    with pytest.raises(IntegrityError, match="one_open_attempt_of_each_kind"), transaction.atomic():
        ProofAttempt.objects.create(post=row, kind=kind, state=AttemptState.RUNNING)


@pytest.mark.parametrize(
    ("state", "columns", "became"),
    [
        ("PROVING", set(), []),
        ("PROVING", {"job"}, [("FIRST", "RUNNING")]),
        (
            "PROVING",
            {"job", "backup_job", "stall"},
            [("FIRST", "STALLED"), ("BACKUP", "RUNNING")],
        ),
        ("PROVING", {"job", "fallback"}, [("FIRST", "RUNNING"), ("FALLBACK", "KEPT")]),
        ("PROVED", {"job", "recheck_job"}, [("FIRST", "TAKEN"), ("RECHECK", "RUNNING")]),
        ("LANDED", {"job"}, [("FIRST", "TAKEN")]),
        ("MISSED", {"job", "backup_job"}, [("FIRST", "CANCELLED"), ("BACKUP", "CANCELLED")]),
    ],
)
def test_migration_makes_attempts_of_the_old_columns(
    state: str, columns: set[str], became: list[tuple[str, str]]
) -> None:
    of = miner()
    row = post(of, state=state)
    old: dict[str, Any] = {"job": None, "backup_job": None, "recheck_job": None, "stall": "", "fallback": {}}
    for name in columns & {"job", "backup_job", "recheck_job"}:
        old[name] = factories.proof_job(of, worker=factories.worker(name))
    if "stall" in columns:
        old["stall"] = "no progress"
    if "fallback" in columns:
        old |= {"fallback": {"partitions": [0], "skipped": {"0": [2]}}, "fallback_proof": b"kept"}
    keys = {f"{name}_id": old[name] and old[name].pk for name in ("job", "backup_job", "recheck_job")}
    before = SimpleNamespace(state=state, **old, **keys)

    for attempt in moving.rows_of(before, lambda **data: ProofAttempt(**data | {"post": row})):
        attempt.save()

    assert attempts(row) == became
    kept = row.attempt(AttemptKind.FALLBACK)
    assert kept is None or (bytes(kept.proof or b""), kept.skipped) == (b"kept", {"0": [2]})
