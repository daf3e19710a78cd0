"""A move between stores and something else of its sector or store at once: one of them is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from apps.sectors.errors.stores import StoreRefused
from apps.sectors.models import PipelineRun, Sector, Store, StoreMove, Worker
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.runs.steps import run_begin
from apps.sectors.services.stores.moves import moves_begin, unchanged_lock
from apps.sectors.services.stores.orders import store_detach
from poolsite.wire.hosts import Heartbeat
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import RebuildState
from tests import factories
from tests.people import principal
from tests.unit.apps.sectors.moves import told
from tests.unit.apps.sectors.sealing import NOON, host

pytestmark = pytest.mark.django_db(transaction=True)

MOVES, ORDERS = "apps.sectors.services.stores.moves", "apps.sectors.services.stores.orders"


def attached(name: str, *kinds: JobKind) -> Worker:
    """A host that has the stores a and b."""
    worker = host(name, kinds=kinds)
    heartbeat = Heartbeat(boot_id=worker.boot_id, attached=(told("a"), told("b")))
    worker_heartbeat(worker, heartbeat=heartbeat, now=NOON)
    return worker


@pytest.fixture
def sector() -> Sector:
    return factories.sector(
        factories.miner(1000), state="PROVING", store="a", comm_r=bytes(range(32)), number=7
    )


def begin() -> list[StoreMove]:
    source, target = Store.objects.get(name="a"), Store.objects.get(name="b")
    return moves_begin(source, target=target, numbers=1, now=NOON, by=principal())


def test_sector_on_which_a_run_begins_does_not_move(sector: Sector, beside: Callable[..., list[Any]]) -> None:
    worker = attached("s1", JobKind.SEAL, JobKind.WINDOW_POST)

    def rebuild() -> PipelineRun:
        with transaction.atomic():
            unchanged_lock(sector)
            return run_begin(
                sector,
                kind=JobKind.REBUILD,
                state=RebuildState.LOST,
                actor="ann",
                now=NOON,
                hosts=[worker.pk],
            )

    _, refused, has_waited = beside(rebuild, "apps.sectors.services.runs.steps.run_publish", begin)

    assert has_waited
    assert isinstance(refused, StoreRefused)
    assert (PipelineRun.objects.count(), StoreMove.objects.count()) == (1, 0)


def test_move_asked_for_twice_at_once_is_one(sector: Sector, beside: Callable[..., list[Any]]) -> None:
    attached("s1", JobKind.SEAL, JobKind.WINDOW_POST)

    made, refused, _ = beside(begin, f"{MOVES}.store_audit", begin)

    assert [move.sector for move in made] == [sector]
    assert isinstance(refused, StoreRefused)


@pytest.mark.parametrize("detaches_first", [True, False])
def test_store_that_its_last_prover_leaves_gets_no_sectors(
    sector: Sector, beside: Callable[..., list[Any]], detaches_first: bool
) -> None:
    attached("s1", JobKind.SEAL)
    prover = attached("p1", JobKind.WINDOW_POST)
    row = prover.attachments.get(store__name="b")

    def detach() -> Any:
        return store_detach(row, now=NOON, by=principal())

    pair = (
        (detach, f"{ORDERS}.store_audit", begin)
        if detaches_first
        else (begin, f"{MOVES}.store_audit", detach)
    )
    _, refused, _ = beside(*pair)

    assert isinstance(refused, StoreRefused)
    assert StoreMove.objects.filter(sector=sector).exists() is not detaches_first
