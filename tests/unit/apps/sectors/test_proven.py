"""Rows of proving sectors follow the chain once in a period, unless a message of the pool's own may land."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from apps.chain.node.tipsets import key_to_json
from apps.messages.services.recovery.detect import recovery_begin
from apps.miners.models import ChainRoots, Miner
from apps.sectors.models import (
    ActiveSectors,
    Job,
    JobEvent,
    PipelineRun,
    Sector,
    SectorChange,
    SectorCopy,
    Store,
)
from apps.sectors.reasons import CHANGED_ON_CHAIN, DATA_UNKNOWN
from apps.sectors.services import proven
from apps.sectors.services.active import active_follow
from apps.sectors.services.proven import proven_follow
from apps.sectors.services.readback import proven_compare
from poolsite.filecoin.cids import commr_cid
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.unit.apps.sectors.adoptions import Chain, at_head, comm_r_of
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db
SNAPPED = b"\x11" * 31 + b"\0"
EXTENDED = 5_000_000
FINAL_KEY = factories.cid("head 180")
"""Of the tipset a finality, here 20 epochs, before the head, whose height is 200."""


@dataclass
class Changed(Chain):
    """A chain in which another program changed sectors."""

    changes: dict[int, dict[str, Any]] = field(default_factory=dict)
    meanwhile: Callable[[], object] = int
    """What happens while the node reads."""
    before: Chain | None = None
    """What it was a finality ago, if not the same."""

    def chain_get_tipset_by_height(self, height: int, _key: str) -> Any:
        return SimpleNamespace(key=factories.cid(f"head {height}"))

    def do_StateMinerPartitions(self, miner: str, deadline: int, key: Any) -> Any:
        if self.before is not None and key == key_to_json(FINAL_KEY):
            return self.before.do_StateMinerPartitions(miner, deadline, key)
        return super().do_StateMinerPartitions(miner, deadline, key)

    def state_miner_sectors(self, *given: Any) -> list[Any]:
        if self.before is not None and given[-1] == FINAL_KEY:
            return self.before.state_miner_sectors(*given)
        rows = super().state_miner_sectors(*given)
        self.meanwhile()
        return [row | self.changes.get(row["SectorNumber"], {}) for row in rows]

    def snap(self, number: int) -> None:
        key, sealed = commr_cid(comm_r_of(number)), commr_cid(SNAPPED)
        self.changes[number] = {"SealedCID": {"/": str(sealed)}, "SectorKeyCID": {"/": str(key)}}

    def extend(self, number: int) -> None:
        self.changes[number] = {"Expiration": EXTENDED, "InitialPledge": "9"}


@pytest.fixture
def miner() -> Miner:
    row = factories.miner(1000)
    ActiveSectors.objects.create(miner=row, next_number=0)
    return row


def sector(of: Miner, number: int) -> Sector:
    facts: dict[str, Any] = {"activation": 100 + number, "expiration": 900_000 + number, "initial_pledge": 7}
    return factories.sector(of, number=number, state="PROVING", comm_r=comm_r_of(number), store="b", **facts)


def of_chain(*numbers: int) -> Changed:
    return Changed(live={(1, 0): set(numbers)})


def notes(row: Sector) -> list[str]:
    return list(JobEvent.objects.filter(job__sector=row).values_list("note", flat=True))


def test_what_another_program_did_is_followed(miner: Miner) -> None:
    rows = [sector(miner, number) for number in (1, 2, 3, 4)]
    Sector.objects.filter(number=1).update(comm_d=b"d" * 32, pieces=[{"size": 2048}])
    store = Store.objects.create(tenant=miner.tenant, name="b", uid="b")
    SectorCopy.objects.create(sector=rows[0], store=store, condition="GOOD", found_at=NOON, checked_at=NOON)
    chain = of_chain(1, 2, 4)
    chain.snap(1)
    chain.extend(2)

    proven_follow(at_head(chain))

    for row in rows:
        row.refresh_from_db()
    snapped, extended, ended, same = rows
    assert (bytes(snapped.comm_r or b""), bytes(snapped.key_comm_r or b"")) == (SNAPPED, comm_r_of(1))
    assert (snapped.comm_d, snapped.pieces) == (None, []), "which data it has is not known"
    assert not SectorCopy.objects.exists(), "what was checked are the files of the replica before"
    assert (extended.expiration, extended.initial_pledge) == (EXTENDED, 9)
    assert (ended.state, ended.active) == ("TERMINATED", False)
    assert (same.state, bytes(same.comm_r or b"")) == ("PROVING", comm_r_of(4))
    assert [notes(row) for row in rows] == [[DATA_UNKNOWN()], [CHANGED_ON_CHAIN()], [CHANGED_ON_CHAIN()], []]
    assert ActiveSectors.objects.get().next_number is None


def test_a_period_begins_a_comparison_that_goes_on_where_it_is(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((proven, "AT_ONCE"), (proven_compare, "READ_MAX")):
        monkeypatch.setattr(module, name, 2)
    other = factories.miner(1001)
    ActiveSectors.objects.create(miner=other, next_number=0)
    for number in (1, 2, 5):
        sector(miner, number)
    sector(other, 1)
    chain, reached = of_chain(1, 2, 5), []
    roots = ChainRoots.objects.create(miner=miner, deadlines=factories.cid("a"))
    for _ in range(3):
        proven_follow(at_head(chain))
        reached.append(tuple(ActiveSectors.objects.order_by("pk").values_list("next_number", flat=True)))
        active_follow([roots], work=at_head(chain))

    assert reached == [(3, 0), (None, 2), (None, None)]
    assert chain.asked == [2, 1, 1]

    ActiveSectors.objects.update(compared_height=None)
    active_follow([roots], work=at_head(chain))
    assert ActiveSectors.objects.get(miner=miner).next_number == 0
    ActiveSectors.objects.update(compared_height=None, next_number=5)
    active_follow([roots], work=at_head(chain))
    assert ActiveSectors.objects.get(miner=miner).next_number == 5


def extension(row: Sector, state: str, landed: int | None = None) -> None:
    of_batch = factories.batch(row.miner, "EXTEND", landed_height=landed)
    change = {"expiration": EXTENDED, "queued_height": 100, "actor": "alice"}
    SectorChange.objects.create(sector=row, kind="EXTEND", state=state, batch=of_batch, **change)


def update(row: Sector, state: str) -> None:
    facts = {"kind": JobKind.SNAP_UP, "state": "WAITING", "lease_s": 90}
    job = Job.objects.create(miner=row.miner, **facts)
    run = {"kind": JobKind.SNAP_UP, "state": state, "state_since": NOON, "comm_r": b"o" * 32}
    PipelineRun.objects.create(sector=row, job=job, **run)


@pytest.mark.parametrize(
    ("own", "is_followed"),
    [
        (lambda row: extension(row, "EXTEND_SENT"), False),
        (lambda row: extension(row, "EXTENDED", landed=199), False),
        (lambda row: extension(row, "EXTENDED", landed=179), True),
        (lambda row: update(row, "UPDATE_SENT"), False),
        (lambda row: update(row, "UPDATE_LANDED"), False),
        (lambda row: update(row, "SNAP_PROVED"), True),
        (lambda row: update(row, "UPDATE_FINAL"), True),
    ],
)
def test_what_a_message_of_the_pool_may_change_is_left_to_it(
    miner: Miner, own: Callable[[Sector], object], is_followed: bool
) -> None:
    row, ending = sector(miner, 1), sector(miner, 2)
    for one in (row, ending):
        own(one)
    chain = of_chain(1)
    chain.snap(1)

    proven_follow(at_head(chain))

    row.refresh_from_db()
    ending.refresh_from_db()
    assert (bytes(row.comm_r or b"") == SNAPPED, ending.state == "TERMINATED") == (is_followed, is_followed)


def test_an_update_that_was_begun_here_pauses(miner: Miner) -> None:
    row = sector(miner, 1)
    update(row, "SNAP_PROVED")
    chain = of_chain(1)
    chain.snap(1)

    proven_follow(at_head(chain))

    run = PipelineRun.objects.get()
    assert (run.paused_at is None, run.error) == (False, DATA_UNKNOWN())


def test_a_row_that_changed_while_the_node_read_stays(miner: Miner) -> None:
    row = sector(miner, 1)
    chain = of_chain(1)
    chain.extend(1)
    chain.meanwhile = lambda: extension(row, "EXTEND_SENT")

    proven_follow(at_head(chain))

    row.refresh_from_db()
    assert row.expiration == 900_001


def test_what_a_reorganisation_may_take_back_ends_and_forgets_nothing(miner: Miner) -> None:
    snapped, ended = sector(miner, 1), sector(miner, 2)
    Sector.objects.filter(number=1).update(comm_d=b"d" * 32, pieces=[{"size": 2048}])
    chain = of_chain(1)
    chain.snap(1)
    chain.changes[1]["Expiration"] = EXTENDED
    chain.before = of_chain(1, 2)

    proven_follow(at_head(chain))

    snapped.refresh_from_db()
    ended.refresh_from_db()
    assert (bytes(snapped.comm_d or b""), snapped.pieces) == (b"d" * 32, [{"size": 2048}])
    assert (bytes(snapped.comm_r or b""), snapped.key_comm_r) == (comm_r_of(1), None)
    assert (snapped.expiration, ended.state) == (EXTENDED, "PROVING"), "the next comparison undoes the first"

    chain.before = None
    ActiveSectors.objects.update(next_number=0)
    proven_follow(at_head(chain))

    snapped.refresh_from_db()
    ended.refresh_from_db()
    assert (bytes(snapped.comm_r or b""), ended.state) == (SNAPPED, "TERMINATED")


def test_a_sector_that_has_just_landed_is_not_ended(miner: Miner) -> None:
    row = sector(miner, 1)
    Sector.objects.update(activation=181)  # a finality is 20 epochs, the head's height 200

    proven_follow(at_head(of_chain()))

    row.refresh_from_db()
    assert row.state == "PROVING"


def test_a_miner_that_is_read_back_waits(miner: Miner) -> None:
    sector(miner, 1)
    recovery_begin("restored", now=NOON)

    proven_follow(at_head(of_chain()))

    assert ActiveSectors.objects.get().next_number == 0
