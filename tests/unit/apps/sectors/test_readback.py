"""Sectors are read back after a restore, from hosts, messages and the chain."""

from __future__ import annotations

from typing import Any, cast

import pytest

from apps.core import clock
from apps.messages.models import Recovery
from apps.messages.services.recovery.detect import recovery_begin, restore_check
from apps.miners.errors import MinerNotReady
from apps.miners.models import Miner
from apps.sectors.errors.pledges import PledgeUnsettled
from apps.sectors.models import Batch, Job, Pledge, Sector, SectorNumbers
from apps.sectors.reasons import NO_FILES
from apps.sectors.rules.batches import PRE_COMMIT
from apps.sectors.rules.params import precommit_info, precommit_params
from apps.sectors.selectors.restored import miners_unrecovered, sectors_recovery
from apps.sectors.services.adoptions.plans import adoption_begin
from apps.sectors.services.adoptions.rows import adoptions_follow
from apps.sectors.services.numbers import RESTORE_SKIP, numbers_allocate
from apps.sectors.services.readback import batches as reported_batches
from apps.sectors.services.readback import chain_sectors
from apps.sectors.services.readback.batches import batches_import
from apps.sectors.services.sealing.pledge import pledge_create, pledges_settle, sectors_begin
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from poolsite.wire.codec import BadWire
from poolsite.wire.hosts import SectorOnHost, StoredNumbers
from poolsite.wire.job_inputs import SealInputs
from tests import factories
from tests.people import principal
from tests.unit.apps.sectors.adoptions import chain_of
from tests.unit.apps.sectors.readback import Chain, recover, restored
from tests.unit.apps.sectors.reconcile import work
from tests.unit.apps.sectors.sealing import DIGEST, NOON, claim, host

pytestmark = pytest.mark.django_db


@pytest.fixture
def miner() -> Miner:
    made = factories.miner(worker=factories.wallet().address)
    restore_check(now=NOON)
    return made


def test_numbers_in_a_store_are_never_given_again(miner: Miner) -> None:
    restored()
    next_number = RESTORE_SKIP
    runs = (next_number, 3)
    host(stored=(StoredNumbers(miner_id=miner.actor_id or 0, runs=runs),), stores=("store-1",))

    recover()

    assert sectors_recovery() is None
    assert numbers_allocate(miner, count=2, now=NOON, allocated=[]) == [next_number + 3, next_number + 4]


def test_sector_of_a_host_gets_its_row_and_job_back(miner: Miner) -> None:
    restored()
    inputs = SealInputs(
        miner_id=miner.actor_id or 0,
        number=7,
        seal_proof=miner.seal_proof,
        sector_size=miner.sector_size,
        state="PC2_DONE",
        stage="PERSIST",
        ticket=DIGEST,
        ticket_epoch=90,
        comm_d=DIGEST,
        comm_r=DIGEST,
    )
    name = "5f0c8c64-4b0c-4f61-9a5c-5c2f2d1f0a11"
    worker = host(sectors=(SectorOnHost(job=name, token=4, inputs=inputs),), stores=("store-1",))

    recover()

    row = Sector.objects.get(miner=miner, number=7)
    assert (row.state, bytes(row.comm_r or b""), row.ticket_epoch) == ("PC2_DONE", DIGEST, 90)
    (job,) = claim(worker)
    assert (job.id, job.seal) == (name, inputs)
    assert job.token > 4


def test_nothing_is_claimed_or_pledged_until_sectors_are_read_back(miner: Miner) -> None:
    worker = host()
    held = factories.sector(miner, state="TICKET_ASSIGNED")
    Job.objects.filter(sector=held).update(sticky_worker=worker)
    restored()
    worker = host(boot="b2")

    assert claim(worker) == ()
    with pytest.raises(MinerNotReady):
        pledge_create(miner, count=1, actor="ann", now=NOON)

    recover()
    assert len(claim(worker)) == 1


def test_sectors_wait_until_messages_were_read_back(miner: Miner) -> None:
    recovery_begin("restored", now=NOON)

    recover()
    assert miners_unrecovered() == [miner.pk], "a pre-commit in the node's pool is not known yet"

    Recovery.objects.update(read_height=9)
    recover()
    assert miners_unrecovered() == []


def test_pre_commit_of_an_unknown_sector_is_imported_and_waits_for_files(miner: Miner) -> None:
    restored()
    chain = Chain(precommits={3: (150, DIGEST)})

    recover(chain)

    row = Sector.objects.get(miner=miner, number=3)
    assert (row.state, row.precommit_epoch, row.error) == ("PRECOMMIT_LANDED", 150, NO_FILES())
    assert row.paused_at is not None


@pytest.mark.parametrize("runs", [[0, 10**12], [10**12, 30_000], [7, 60_000, 5, 10**12]])
def test_every_pre_commit_is_found_among_trillions_of_masked_numbers(miner: Miner, runs: list[int]) -> None:
    restored()
    first, end = runs[0], sum(runs)
    numbers = (first + 3, first + 2_003, end - 25_000)
    chain = Chain(precommits=dict.fromkeys(numbers, (150, DIGEST)))
    chain.allocated = runs

    recover(chain)

    assert set(Sector.objects.values_list("number", flat=True)) == set(numbers)
    assert chain.asked < 60_000, "the deposits of all were found then"


def test_without_a_deposit_no_number_is_asked_for(miner: Miner) -> None:
    restored()
    chain = Chain()
    chain.allocated = [0, 10**12]

    recover(chain)

    assert chain.asked == 0
    assert sectors_recovery() is None


def test_a_node_that_tells_no_deposits_is_asked_up_to_a_bound(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    restored()
    monkeypatch.setattr(chain_sectors, "UNTOLD_MAX", 2_000)
    chain = Chain(precommits={10: (150, DIGEST)})
    chain.allocated, chain.tells_deposits = [0, 10**12], False

    recover(chain)

    assert (Sector.objects.get().number, chain.asked) == (10, 2_000)


def test_a_deposit_of_an_aborted_sector_counts_and_brings_no_row(miner: Miner) -> None:
    factories.sector(miner, number=9, state="ABORTED")
    restored()
    chain = Chain(precommits={9: (150, DIGEST), 2_900: (150, DIGEST)})

    recover(chain)

    assert set(Sector.objects.values_list("number", "state")) == {(9, "ABORTED"), (2_900, "PRECOMMIT_LANDED")}


def test_a_key_whose_pledge_may_be_lost_waits_for_a_person(miner: Miner) -> None:
    def pledge(key: str | None) -> Pledge:
        return pledge_create(miner, count=1, actor="ann", now=NOON, key=key)

    known = pledge("known")
    restored()
    recover(Chain(precommits={7: (150, DIGEST)}))

    with pytest.raises(PledgeUnsettled, match=rf"sectors 7 of {miner} were created after the backup"):
        pledge("lost")
    assert pledge("known") == known
    assert pledge(None).count == 1, "whoever gives no key has no promise"

    pledges_settle(principal=principal("pool"), now=clock.now())
    assert pledge("lost").count == 1
    assert AuditEntry.objects.filter(action="recovery.pledges", after={"unpledged": "1 sector"}).exists()


def test_keys_are_taken_after_a_restore_that_has_lost_no_sector(miner: Miner) -> None:
    restored()
    Recovery.objects.update(from_height=500)
    recover()
    old = factories.sector(miner, state="PROVING", activation=400)
    Sector.objects.filter(pk=old.pk).update(pledge=None)

    assert pledge_create(miner, count=1, actor="ann", now=NOON, key="k").key == "k"


def test_a_batch_is_imported_whole_or_not_at_all(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = host()
    row = factories.sector(miner, state="PERSISTED", comm_r=DIGEST, comm_d=DIGEST, ticket_epoch=90)
    Job.objects.filter(sector=row).update(sticky_worker=worker)
    name = "precommit:5f0c8c64-4b0c-4f61-9a5c-5c2f2d1f0a11"
    params = precommit_params([precommit_info(row, expiration=9_999)])
    factories.message(
        name, to=miner.address, kind="precommit", method=28, params=params, pushed_by="recovered"
    )

    def killed(*_args: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reported_batches, "row_move", killed)
        with pytest.raises(KeyboardInterrupt):
            batches_import(miner, kind=PRE_COMMIT, work=work(cast("Any", Chain())))
    assert not Batch.objects.exists()

    for _ in range(2):
        batches_import(miner, kind=PRE_COMMIT, work=work(cast("Any", Chain())))
    batch = Batch.objects.get()
    row.refresh_from_db()
    assert (batch.message_id, row.state, row.precommit_batch) == (name, "PRECOMMIT_SENT", batch)


def test_a_miner_that_the_node_refuses_stays_held(miner: Miner) -> None:
    restored()
    chain = Chain(refuses={miner.address: "block not found"})

    recover(chain)
    assert miners_unrecovered() == [miner.pk]
    assert not SectorNumbers.objects.exclude(read_back_at=None).exists()

    recover()
    assert miners_unrecovered() == []


@pytest.mark.parametrize("runs", [(-1, 2), (2**63, 1)])
def test_numbers_that_cannot_be_are_refused(runs: tuple[int, ...]) -> None:
    with pytest.raises(BadWire):
        StoredNumbers(miner_id=1, runs=runs)


def test_what_is_adopted_or_begun_for_pieces_later_is_of_no_lost_pledge(miner: Miner) -> None:
    restored()
    recover()
    Recovery.objects.update(sectors_since=None, from_height=50)
    chain = chain_of(6, 7)
    adoption_begin(miner, numbers=None, work=work(cast("Any", chain)), by=SYSTEM)
    adoptions_follow(work(cast("Any", chain)))
    pieces = [{"size": 2048, "comm_p": "00" * 32}]
    sectors_begin(miner, count=1, now=NOON, allocated=[], pieces=pieces)

    assert Sector.objects.filter(pledge=None).count() == 3
    assert pledge_create(miner, count=1, actor="ann", now=NOON, key="k").key == "k"
