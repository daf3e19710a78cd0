"""A host with two stores, and a scan of one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from apps.sectors.models import Sector, SectorCopy, Store, StoreFinding, Worker
from apps.sectors.onchain.sectors import OnSector
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.stores import leftover_removals
from apps.sectors.services.stores.scan_comparison import scans_compare
from apps.sectors.services.stores.scans import scan_begin
from poolsite.filecoin.cids import commr_cid
from poolsite.wire.commands import Operation
from poolsite.wire.hosts import Heartbeat
from poolsite.wire.jobs import JobKind
from poolsite.wire.store_checks import (
    CheckedFile,
    CheckedSector,
    FileState,
    ScannedFile,
    ScannedSectors,
    ScannedStore,
)
from tests import factories
from tests.people import principal
from tests.unit.apps.sectors.moves import told
from tests.unit.apps.sectors.sealing import NOON, host

FOUND = ScannedStore(
    command="",
    # 1, 3, 5, 8 and 9 are whole; of 4, 6 and 10 a part lies there
    miners=(
        ScannedSectors(
            miner_id=1000,
            whole=(1, 1, 1, 1, 1, 1, 2, 2),
            half=(4, 1, 1, 1, 3, 1),
            half_bytes=(40, 60, 100),
            half_kinds=("sealed", "cache", "cache unsealed"),
        ),
        ScannedSectors(miner_id=5555, whole=(9, 1)),
    ),
    others=(ScannedFile(name="cache/strange", size=7),),
)
"""What the host finds in the store a."""


@pytest.fixture
def worker() -> Worker:
    """A host with stores a and b; 1 and 2 lie in a by their rows, 3 and 4 in b, 5 is lost, 6 being sealed."""
    made = host(kinds=(JobKind.SEAL, JobKind.WINDOW_POST))
    beat(made)
    miner = factories.miner(1000)
    for number, store in ((1, "a"), (2, "a"), (3, "b"), (4, "b"), (5, "")):
        factories.sector(miner, number=number, state="PROVING", store=store, comm_r=bytes(32))
    factories.sector(miner, number=6, state="PC2_DONE", comm_r=bytes(32))
    factories.sector(miner, number=9, state="ABORTED", comm_r=bytes(32))
    return made


def beat(
    worker: Worker,
    scanned: ScannedStore | None = None,
    *,
    state: FileState = FileState.NOT_READ,
    errors: Collection[str] = (),
    at: Any = NOON,
) -> list[str]:
    """The host does what it was told, but for `errors`, which fail; returns the ops that it is told now."""
    orders = list(worker.commands.filter(done_at=None))
    files = (CheckedFile(name="cache/x/p_aux", state=state, size=64),)
    heartbeat = Heartbeat(
        boot_id=worker.boot_id,
        attached=(told("a"), told("b")),
        done_commands=tuple(str(one.uuid) for one in orders),
        checked=tuple(
            CheckedSector(command=str(one.uuid), files=files)
            for one in orders
            if one.op == Operation.CHECK_SECTOR
        ),
        scanned=tuple(
            ScannedStore(command=str(one.uuid), miners=scanned.miners, others=scanned.others)
            for one in orders
            if scanned is not None and one.op == Operation.SCAN_STORE
        ),
        command_errors={str(one.uuid): "the disk refuses" for one in orders if one.op in errors},
    )
    for _ in range(2):  # its answer is lost, it repeats itself
        answer = worker_heartbeat(worker, heartbeat=heartbeat, now=at)
        worker.refresh_from_db()
    scans_compare(now=at)
    return [str(one.op) for one in answer.commands]


def scanned(worker: Worker, found: ScannedStore = FOUND) -> Store:
    store = Store.objects.get(name="a")
    scan_begin(store, now=NOON, by=principal())
    assert beat(worker, found) == []
    return store


def findings(*kinds: str) -> list[tuple[str, str]]:
    rows = StoreFinding.objects.filter(kind__in=kinds) if kinds else StoreFinding.objects.all()
    return sorted(rows.values_list("name", "kind"))


def uuids(*names: str) -> list[str]:
    return [str(one.uuid) for one in StoreFinding.objects.filter(name__in=names)]


def work(
    monkeypatch: pytest.MonkeyPatch,
    *,
    live: Iterable[int] = (),
    precommitted: Iterable[int] = (),
    comm_r: bytes = bytes(32),
) -> Any:
    """What asks the chain, which has these, and this replica of all that are asked for."""
    one = OnSector(activation=1, expiration=2, initial_pledge=0, sealed_cid=str(commr_cid(comm_r)))
    monkeypatch.setattr(
        leftover_removals,
        "sectors_proven_read",
        lambda _client, _miner, numbers, _key: dict.fromkeys(numbers, one),
    )
    monkeypatch.setattr(leftover_removals, "live_sectors_read", lambda *_, **__: dict.fromkeys(live))
    promised = set(precommitted)
    monkeypatch.setattr(
        leftover_removals,
        "precommits_read",
        lambda _client, _miner, numbers, _key: {one: True if one in promised else None for one in numbers},
    )
    return SimpleNamespace(client=None, head=SimpleNamespace(key=""), now=NOON)


def checked(sector: Sector, **facts: Any) -> None:
    """A check found a sector good where its row says."""
    store = Store.objects.get(name=sector.store)
    facts = {"condition": "GOOD", "found_at": NOON, "checked_at": NOON} | facts
    SectorCopy.objects.update_or_create(sector=sector, store=store, defaults=facts)
