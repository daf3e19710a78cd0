"""What a transaction locks is read out of its statements, and what is out of order is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from django.db import transaction

from apps.core.lock_order import LOCK_ORDER
from apps.miners.models import Miner
from apps.users.models import Tenant
from tests import factories
from tests.lock_order import FREE, SITE, LockOrder, locks_of


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ('SELECT "a"."id" FROM "a" WHERE "a"."id" = %s', []),
        ('SELECT "a"."id" FROM "a" INNER JOIN "b" ON (1 = 1) FOR NO KEY UPDATE OF "a"', ["a"]),
        ("SELECT job.id FROM sectors_job job WHERE 1 = 1 FOR UPDATE OF job SKIP LOCKED", ["sectors_job"]),
        ('UPDATE "a" SET "x" = %s WHERE "a"."id" IN (SELECT "b"."id" FROM "b")', ["a"]),
        ("WITH held AS (SELECT one.id FROM a one FOR UPDATE OF one) UPDATE b two SET x = 1", ["a", "b"]),
        ('DELETE FROM "a" WHERE "a"."id" = %s', ["a"]),
        ('INSERT INTO "a" ("x") VALUES (%s) ON CONFLICT ("x") DO UPDATE SET "x" = 1', ["a"]),
    ],
)
def test_locks_of_a_statement_are_read(text: str, tables: list[str]) -> None:
    assert [lock.table for lock in locks_of(text)] == tables


@pytest.fixture
def order() -> Iterator[LockOrder]:
    made = LockOrder()
    with pytest.MonkeyPatch.context() as patch:
        made.install(patch)
        yield made


BOTH: Final = """
@transaction.atomic
def made_up():
    for model in models:
        list(model.objects.select_for_update().order_by(key))
"""


def made_up(*models: Any, key: str = "pk") -> Callable[[], None]:
    """A service that locks all rows of these models."""
    names: dict[str, Any] = {"transaction": transaction, "models": models, "key": key}
    exec(compile(BOTH, f"{SITE}/apps/users/services/made_up.py", "exec"), names)
    service: Callable[[], None] = names["made_up"]
    return service


@pytest.mark.django_db
def test_a_transaction_out_of_order_is_found(order: LockOrder) -> None:
    factories.miner(1000)
    factories.miner(1001)

    made_up(Tenant, Miner)()
    assert order.end() == {}

    made_up(Miner, Tenant)()
    assert list(order.end()) == ["users_tenant is locked after miners_miner"]

    made_up(Miner, key="-pk")()
    assert list(order.end()) == ["rows of miners_miner are not locked by their keys: .order_by('pk')"]


def test_each_table_has_one_place() -> None:
    tables = [table for place in LOCK_ORDER for table in place]

    assert len(tables) == len(set(tables))
    assert not FREE.keys() & set(tables)
