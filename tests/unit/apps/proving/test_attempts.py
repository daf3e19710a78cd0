"""Attempts as the database keeps them: one open one of each kind."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from apps.proving.models import ProofAttempt
from apps.proving.states import AttemptKind, AttemptState, PostState
from tests.unit.apps.proving.rescues import miner, post

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("kind", AttemptKind.values)
def test_second_open_attempt_of_a_kind_is_refused(kind: str) -> None:
    row = post(miner(), state=PostState.PROVING)
    ProofAttempt.objects.create(post=row, kind=kind, state=AttemptState.FAILED)
    ProofAttempt.objects.create(post=row, kind=kind, state=AttemptState.STALLED)

    with pytest.raises(IntegrityError, match="one_open_attempt_of_each_kind"), transaction.atomic():
        ProofAttempt.objects.create(post=row, kind=kind, state=AttemptState.RUNNING)
