"""The row of a request's key: claimed, answered, freed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from apps.users.models import IdempotentAnswer
from apps.users.services.idempotency import (
    idempotent_answer_claim,
    idempotent_answer_complete,
    idempotent_answer_keep,
)

pytestmark = pytest.mark.django_db


def create_after(refusals: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delete rows between their insertion and their reading, so many times."""
    plain: Callable[..., Any] = QuerySet.create
    left = [True] * refusals

    def create(self: Any, **values: Any) -> Any:
        if left:
            left.pop()
            raise IntegrityError("duplicate key value violates unique constraint")
        return plain(self, **values)

    monkeypatch.setattr(QuerySet, "create", create)


def test_key_that_is_freed_between_insert_and_read_is_claimed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    create_after(2, monkeypatch)

    with transaction.atomic():
        row, is_new = idempotent_answer_claim(caller="one", key="a", request="r")

    assert is_new
    assert IdempotentAnswer.objects.get().pk == row.pk


def test_row_that_can_never_be_made_is_an_error_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    create_after(100, monkeypatch)

    with pytest.raises(IntegrityError), transaction.atomic():
        idempotent_answer_claim(caller="one", key="a", request="r")


@pytest.mark.parametrize("is_complete", [True, False])
def test_what_is_done_stays_with_its_answer_only(is_complete: bool) -> None:
    with idempotent_answer_keep(caller="one", key="a", request="r") as (row, _):
        if is_complete:
            idempotent_answer_complete(row, status=201, body="{}")

    assert IdempotentAnswer.objects.filter(key="a", status=201).exists() == is_complete
    assert IdempotentAnswer.objects.count() == is_complete


def test_refusal_whose_transaction_failed_asks_the_database_nothing() -> None:
    with idempotent_answer_keep(caller="one", key="a", request="r"):
        transaction.set_rollback(True)

    assert not IdempotentAnswer.objects.exists()
