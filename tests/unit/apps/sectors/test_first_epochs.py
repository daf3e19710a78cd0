"""What cannot be on chain in time is not begun: by the chain's delays, and by what this farm's hosts took."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.errors import BadValue
from apps.pieces.models import Piece
from apps.sectors.errors.runs import LifeTooShort, NoPieces
from apps.sectors.models import Job, PipelineRun, Sector
from apps.sectors.rules.first_epochs import first_epoch_compute
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.first_epochs import STAGES, first_data_epoch_read, first_deal_epoch, work_seconds
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.settings import batch_settings_set
from apps.sectors.services.runs.rebuild import rebuild_plan
from apps.sectors.services.runs.snap_up import snap_up_begin
from apps.sectors.services.runs.snap_up_due import pieces_snap
from apps.sectors.services.sealing.packing import packing_plan, pieces_pack
from apps.sectors.services.sealing.targets import target_set
from poolsite.filecoin.deadlines import current_deadline
from poolsite.filecoin.policy import network_by_name
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.jobs import JobKind
from tests import factories, people
from tests.unit.apps.sectors.sealing import DIGEST, NOON
from tests.unit.apps.sectors.snap_up import HEIGHT, NETWORK, Registry

pytestmark = pytest.mark.django_db
SOON = NETWORK.pre_commit_challenge_delay + 2
"""Epochs from a head to the first in which the data of a sector without any work can be active."""
DEADLINE = NETWORK.proving.deadlines // 2


@pytest.fixture
def miner(settings: Any, tmp_path: Any) -> Any:
    settings.PIECES_DIR = str(tmp_path)
    return factories.miner()


def work(height: int = HEIGHT) -> SealingContext:
    policy = SealingPolicy(pack_wait_s=0)
    client = cast("Any", Registry())
    return SealingContext(
        client=client, network=NETWORK, head=factories.head(height), now=NOON, policy=policy
    )


def committed(of: Any, **data: Any) -> Sector:
    """A proven sector without data, and a host that can encode."""
    factories.worker(stores=["store"], kinds=[JobKind.SEAL, JobKind.SNAP_UP, JobKind.REBUILD])
    zeros = sha254_zero(of.sector_size)
    known: dict[str, Any] = {
        "ticket": DIGEST,
        "comm_r": DIGEST[:31] + b"\0",
        "comm_d": zeros,
        "store": "store",
    }
    facts: dict[str, Any] = {
        "state": "PROVING",
        "active": True,
        "expiration": HEIGHT + 50_000,
        "deadline": DEADLINE,
    }
    return factories.sector(of, number=7, **(facts | known | data))


def finished(of: Any, **seconds: float) -> None:
    """A finished sector whose stages took so long."""
    row = factories.sector(of, state="PROVING", active=True)
    factories.events(row, [(stage, stage, took) for stage, took in seconds.items()])


def test_a_sector_needs_two_messages_and_the_delay_between_them() -> None:
    mainnet = network_by_name("mainnet")
    assert first_epoch_compute(JobKind.SEAL, height=1000, work_s=0, network=mainnet) == 1000 + 1 + 150 + 1
    assert first_epoch_compute(JobKind.SEAL, height=1000, work_s=31, network=mainnet) == 1154
    assert first_epoch_compute(JobKind.SNAP_UP, height=1000, work_s=31, network=mainnet) == 1003


def test_a_snap_up_waits_for_its_deadline_to_be_mutable() -> None:
    mainnet = network_by_name("mainnet")
    now = current_deadline(0, 2880, mainnet.proving)  # opens deadline 0; 2 is frozen from 2940 to 3060

    def first(work_s: int, index: int) -> int:
        return first_epoch_compute(
            JobKind.SNAP_UP, height=2880, work_s=work_s, network=mainnet, current=now, index=index
        )

    assert first(0, 2) == 2881
    assert first(30 * 58, 2) == 2939
    assert first(30 * 59, 2) == first(30 * 100, 2) == 3060
    assert first(30 * 59, 0) == 2940


def test_own_times_are_those_of_the_fastest_tenth_up_to_the_commit(miner: Any) -> None:
    stages = STAGES[JobKind.SEAL]
    assert work_seconds(miner, JobKind.SEAL, stages=stages) == 0
    for minutes in (*range(1, 11), 100):
        finished(miner, PC1=minutes * 60, C2=60, FINALIZE=9000)
    factories.sector(miner, state="PC1_DONE")

    assert work_seconds(miner, JobKind.SNAP_UP, stages=STAGES[JobKind.SNAP_UP]) == 0
    assert work_seconds(factories.miner(of="other"), JobKind.SEAL, stages=stages) == 0
    larger = factories.miner(sector_size=miner.sector_size * 4)
    assert work_seconds(larger, JobKind.SEAL, stages=stages) == 0, "none of this size was made"
    assert work_seconds(miner, JobKind.SEAL, stages=stages) == 2 * 60 + 60
    finished(miner, PC1=1)
    assert work_seconds(miner, JobKind.SEAL, stages=stages) == 2 * 60 + 60, "as it was read a moment ago"
    cache.clear()
    assert work_seconds(miner, JobKind.SEAL, stages=stages) < 2 * 60 + 60


@pytest.mark.parametrize(("left", "state"), [(SOON - 1, "READY"), (SOON, "PACKED")])
def test_data_that_no_new_sector_activates_in_time_begin_none(miner: Any, left: int, state: str) -> None:
    piece = factories.stored_piece(miner, state_since=NOON, start_epoch=HEIGHT + left)
    other = factories.stored_piece(miner, state_since=NOON)
    assert len(packing_plan(miner)) == 1

    pieces_pack(work())

    for one in (piece, other):
        one.refresh_from_db()
    assert (piece.state, other.state) == (state, "PACKED"), "the other goes whatever becomes of it"
    late = f"must be active by epoch {HEIGHT + left}, and cannot be before {HEIGHT + SOON}"
    assert piece.error.endswith(late if state == "READY" else "")
    assert piece.has_data
    assert packing_plan(miner) == [], "what cannot begin is not promised"


def test_what_sectors_took_is_read_once_for_all_pieces(miner: Any) -> None:
    factories.head(HEIGHT)
    for _ in range(2):
        factories.stored_piece(miner, state_since=NOON, start_epoch=HEIGHT + 10 * SOON)

    def counted() -> int:
        with CaptureQueriesContext(connection) as queries:
            packing_plan(miner)
        return len(queries)

    few = counted()
    for _ in range(5):
        factories.stored_piece(miner, state_since=NOON, start_epoch=HEIGHT + 10 * SOON)
    assert counted() == few


def test_what_sectors_took_here_counts(miner: Any) -> None:
    finished(miner, PC1=10 * NETWORK.epoch_s)
    piece = factories.stored_piece(miner, state_since=NOON, start_epoch=HEIGHT + SOON + 9)

    pieces_pack(work())
    piece.refresh_from_db()
    assert (piece.state, Sector.objects.count()) == ("READY", 1)

    Piece.objects.update(start_epoch=HEIGHT + SOON + 10)  # its client sends it again
    pieces_pack(work())
    piece.refresh_from_db()
    assert (piece.state, piece.error) == ("PACKED", "")


def test_data_go_into_no_sector_whose_deadline_is_locked_for_too_long(miner: Any) -> None:
    sector = committed(miner)
    opens = HEIGHT + DEADLINE * NETWORK.proving.window
    frozen, close = opens - NETWORK.proving.window, opens + NETWORK.proving.window
    late = factories.stored_piece(miner, state_since=NOON, purpose="snap-up", start_epoch=close - 1)
    in_time = factories.stored_piece(miner, state_since=NOON, purpose="snap-up", start_epoch=close)

    with pytest.raises(NoPieces, match=f"active by epoch {close - 1}, and cannot be before {close}"):
        snap_up_begin(sector, among=[late], by=None, work=work(frozen))
    assert not PipelineRun.objects.exists()

    snap_up_begin(sector, among=[late, in_time], by=None, work=work(frozen))
    for one in (late, in_time):
        one.refresh_from_db()
    assert (late.state, in_time.state) == ("READY", "PACKED")


def test_a_piece_for_snap_ups_says_why_it_waits(miner: Any) -> None:
    piece = factories.stored_piece(miner, state_since=NOON, purpose="snap-up", start_epoch=HEIGHT + 5)
    run = PipelineRun.objects.create(
        sector=(made := committed(miner)),
        job=made.job,
        kind=JobKind.SNAP_UP,
        state="SNAPPED",
        state_since=NOON,
    )
    factories.events(made, [("SNAP_ENCODE", "SNAP_ENCODE", 10 * NETWORK.epoch_s)])

    Piece.objects.update(state_since=NOON - timedelta(hours=1))
    pieces_snap(work())

    piece.refresh_from_db()
    assert (piece.state, run.state) == ("READY", "SNAPPED")
    assert piece.error.endswith(f"active by epoch {HEIGHT + 5}, and cannot be before {HEIGHT + 11}")


def test_the_first_epoch_is_told_at_the_entry(miner: Any) -> None:
    assert first_data_epoch_read(miner, purpose="any") is None
    factories.head(HEIGHT)
    assert first_data_epoch_read(miner, purpose="any") == HEIGHT + SOON
    assert first_data_epoch_read(miner, purpose="snap-up") == HEIGHT + 1
    committed(miner)
    assert first_data_epoch_read(miner, purpose="any") == HEIGHT + 1, "somebody may put it there"


def test_a_deal_counts_on_what_the_pool_does_by_itself(miner: Any) -> None:
    factories.head(HEIGHT)
    for minutes in range(1, 12):
        finished(miner, PC1=minutes * 60)
    slow = -(-10 * 60 // NETWORK.epoch_s)
    made = committed(miner)

    def first() -> int:
        cache.clear()
        return first_deal_epoch(miner, height=HEIGHT, network=NETWORK)

    assert first() == HEIGHT + SOON + slow, "nine of ten were as fast"
    batch_settings_set(miner, values={"snap_up_first": True}, by=people.principal())
    assert first() == HEIGHT + SOON + slow, "none was snapped up here yet"
    PipelineRun.objects.create(
        sector=made, job=made.job, kind=JobKind.SNAP_UP, state="SNAPPED", state_since=NOON
    )
    factories.events(made, [("SNAP_ENCODE", "SNAP_ENCODE", 10 * NETWORK.epoch_s)])
    assert first() == HEIGHT + 11


def test_a_deal_waits_for_what_is_sealed_before_it(miner: Any) -> None:
    factories.head(HEIGHT)

    def first(size: int = 0) -> int:
        cache.clear()
        found = first_deal_epoch(miner, height=HEIGHT, network=NETWORK, waiting_bytes=size)
        return (found - HEIGHT - SOON) * NETWORK.epoch_s

    assert first() == NETWORK.proving.period // 6 * NETWORK.epoch_s, "nothing was sealed here yet"
    for number in range(10):  # three hours each, one an hour
        row = factories.sector(miner, state="PROVING", active=True)
        Sector.objects.filter(pk=row.pk).update(created_at=NOON + timedelta(hours=number))
        row.refresh_from_db()
        factories.events(row, [("PC1", "PC1", 3 * 3600)])
    assert first() == 3 * 3600
    host = factories.worker()
    for number in range(6):
        begun = factories.sector(miner, state="PC1_DONE" if number else "C2_DONE")
        Job.objects.filter(sector=begun).update(sticky_worker=host)
    factories.sector(miner)  # of no deal, and begun by no host
    assert first() == 6 * 3600, "five and its own; one waits for its commit only"
    assert first(miner.sector_size + 1) == 7 * 3600
    factories.piece(miner, state="READY", padded_size=miner.sector_size // 2)
    assert first(miner.sector_size) == 7 * 3600


def test_a_sector_that_ends_before_it_is_proven_again_is_not_rebuilt(miner: Any) -> None:
    sector = committed(miner, active=False, expiration=HEIGHT + 1)
    factories.head(HEIGHT)
    with pytest.raises(LifeTooShort, match=f"could not be proven again before epoch {HEIGHT + 1}"):
        rebuild_plan(sector)
    sector.expiration = HEIGHT + 2
    assert rebuild_plan(sector).hosts


def test_a_target_that_has_ended_already_is_refused(miner: Any) -> None:
    by = replace(people.principal(), tenant_id=miner.tenant_id)
    values = {"in_work": 1, "until": NOON}
    with pytest.raises(BadValue, match="until: must be in the future"):
        target_set(miner, values=values, by=by, now=NOON)
    assert target_set(miner, values=values, by=by, now=NOON - timedelta(seconds=1)).until == NOON
