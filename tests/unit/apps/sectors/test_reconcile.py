"""Given-up messages that land all the same, batches that nobody could send, questions a node refuses."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from apps.chain.errors import NodeRefused
from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.sectors import tasks
from apps.sectors.models import Batch, Sector, SectorProof
from apps.sectors.onchain.sectors import precommits_read, sectors_proven_read
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.services.batches.closing import batches_close
from apps.sectors.services.batches.messages import batch_push, batches_watch
from apps.sectors.services.sealing.console_steps import SectorsInProgress
from apps.sectors.services.sealing.landings import precommits_check
from apps.sectors.services.sealing.steps import sector_retry, sector_stop
from apps.sectors.states import BatchKind, BatchState
from poolsite.filecoin.cids import commr_cid
from tests import factories
from tests.unit.apps.sectors.chain import SomeSectors
from tests.unit.apps.sectors.reconcile import NETWORK, work
from tests.unit.apps.sectors.sealing import DIGEST, NOON

pytestmark = pytest.mark.django_db


def miner() -> Miner:
    """A miner with a wallet to send from."""
    return factories.miner(worker=factories.wallet().address)


def sector(of: Miner, state: str, **data: Any) -> Sector:
    """A sector with a replica."""
    return factories.sector(of, state=state, comm_r=DIGEST, comm_d=DIGEST, ticket_epoch=90, **data)


def state_of(row: Sector) -> str:
    """Where it is now."""
    return Sector.objects.get(pk=row.pk).state


@pytest.mark.parametrize(
    "words",
    [
        "loading tipset {bafy}: get block bafy: block not found",
        "method 'Filecoin.StateSectorPreCommitInfo' not found",
        "resolution lookup failed (f01): actor not found",
    ],
)
def test_a_node_that_cannot_tell_does_not_say_that_a_pre_commit_is_gone(words: str) -> None:
    row, chain = sector(miner(), "PRECOMMIT_LANDED", precommit_epoch=150), SomeSectors()
    chain.refuses[row.miner.address] = words

    with pytest.raises(NodeRefused):
        precommits_read(cast("Any", chain), row.miner.address, [row.number], "key")


@pytest.mark.parametrize("words", ["precommit info does not exist", "precommit info is not exists"])
def test_older_methods_say_in_words_that_there_is_none(words: str) -> None:
    chain = SomeSectors(refuses={"f01": words})

    assert precommits_read(cast("Any", chain), "f01", [7], "key") == {7: None}


def test_a_pre_commit_that_was_given_up_and_landed_is_not_sent_again() -> None:
    of, chain = miner(), SomeSectors()
    found, other = (sector(of, "PERSISTED", ready_height=190) for _ in range(2))
    chain.precommit(found, epoch=180)

    batches_close(work(chain))

    assert (state_of(found), state_of(other)) == ("PRECOMMIT_LANDED", "PRECOMMIT_SENT")
    assert Sector.objects.get(pk=found.pk).precommit_epoch == 180
    assert list(Batch.objects.get().precommits.all()) == [other]


@pytest.mark.parametrize(("state", "lacks"), [("PERSISTED", "comm_r"), ("C2_DONE", "proof")])
def test_one_that_was_set_to_its_state_by_hand_stops_no_other(state: str, lacks: str) -> None:
    of, chain = miner(), SomeSectors()
    data: dict[str, Any] = {"precommit_epoch": 150, "seed_epoch": 160, "ready_height": 190}
    bare = factories.sector(of, state=state, ticket_epoch=90, **data)
    good = sector(of, state, **data)
    for row in (bare, good):
        chain.precommits[row.number] = (150, bytes(32))
    SectorProof.objects.create(sector=good, proof=b"proof", seed_epoch=160)

    batches_close(replace(work(chain, 220), policy=SealingPolicy(send_funds=False)))

    assert state_of(good) == {"PERSISTED": "PRECOMMIT_SENT", "C2_DONE": "COMMIT_SENT"}[state]
    bare.refresh_from_db()
    assert (bare.state, bare.paused_at) == (state, NOON)
    assert lacks in bare.error


def test_a_pre_commit_of_another_replica_is_not_taken_for_ours() -> None:
    row, chain = sector(miner(), "PERSISTED"), SomeSectors()
    chain.precommits[row.number] = (180, bytes(32))

    batches_close(work(chain))

    assert state_of(row) == "PRECOMMIT_SENT"


def test_a_commit_that_was_given_up_and_landed_is_not_sent_again() -> None:
    row, chain = sector(miner(), "C2_DONE", precommit_epoch=150), SomeSectors()
    chain.prove(row)

    precommits_check(SectorsInProgress.read(), client=cast("Any", chain), head=factories.head(200), now=NOON)
    assert state_of(row) == "C2_DONE", "its pre-commit is gone because it is proven"
    batches_close(work(chain))

    assert state_of(row) == "COMMIT_LANDED"
    assert not Message.objects.exists()


@pytest.mark.parametrize(("is_there", "state"), [(True, "PRECOMMIT_LANDED"), (False, "PERSISTED")])
def test_a_sector_does_not_wait_for_a_batch_that_has_failed(is_there: bool, state: str) -> None:
    of, chain = miner(), SomeSectors()
    failed = factories.batch(of, state=BatchState.FAILED)
    row = sector(of, "PRECOMMIT_SENT", precommit_batch=failed)
    if is_there:
        chain.precommit(row, epoch=180)

    batches_watch(work(chain))

    assert state_of(row) == state


@pytest.mark.parametrize(
    ("state", "then"), [("PRECOMMIT_SENT", "PERSISTED"), ("SEED_ASSIGNED", "PRECOMMIT_SENT")]
)
def test_a_number_that_another_sealer_pre_committed_is_not_ours(state: str, then: str) -> None:
    of, chain = miner(), SomeSectors()
    failed = factories.batch(of, state=BatchState.FAILED)
    row = sector(of, state, precommit_batch=failed, precommit_epoch=150, seed_epoch=300)
    chain.precommits[row.number] = (180, bytes(32))

    if state == "PRECOMMIT_SENT":
        batches_watch(work(chain))
    else:
        head = factories.head(200)
        precommits_check(SectorsInProgress.read(), client=cast("Any", chain), head=head, now=NOON)

    assert state_of(row) == then


def test_expired_precommit_is_paused() -> None:
    of, chain = miner(), SomeSectors()
    landed = factories.batch(of, state=BatchState.LANDED, landed_height=149)
    factories.message(landed.message_id, state=MessageState.LANDED)
    row = sector(of, "PRECOMMIT_SENT", precommit_batch=landed, precommit_epoch=150)

    batches_watch(work(chain, 150 + NETWORK.max_prove_commit_duration))
    assert Sector.objects.get(pk=row.pk).paused_at is None
    batches_watch(work(chain, 151 + NETWORK.max_prove_commit_duration))

    assert Sector.objects.get(pk=row.pk).paused_at == NOON


def test_a_sector_that_a_landed_commit_left_out_while_paused_goes_again() -> None:
    of, chain = miner(), SomeSectors()
    batch = factories.batch(of, BatchKind.COMMIT, state=BatchState.SENT)
    factories.message(batch.message_id, state=MessageState.LANDED, height=180)
    good, out = (sector(of, "COMMIT_SENT", precommit_epoch=150, commit_batch=batch) for _ in range(2))
    chain.prove(good)
    sector_stop(out, actor="ann", now=NOON)
    batches_watch(work(chain))
    batch.refresh_from_db()
    assert (batch.state, state_of(good), state_of(out)) == (BatchState.LANDED, "COMMIT_LANDED", "COMMIT_SENT")

    sector_retry(out, actor="ann", now=NOON)
    Message.objects.update(height=199)  # a reorganisation may bring it yet
    batches_watch(work(chain))
    assert state_of(out) == "COMMIT_SENT"
    Message.objects.update(height=180)
    batches_watch(work(chain))

    out.refresh_from_db()
    assert (out.state, out.error) == ("C2_DONE", "the message landed, but the sector is not on chain")


def test_batch_message_expires_with_its_sectors() -> None:
    row = sector(miner(), "PERSISTED")

    batches_close(work(SomeSectors()))

    message = Message.objects.get()
    assert message.expire_epoch == (row.ticket_epoch or 0) + NETWORK.max_precommit_randomness_lookback


def closed(of: Miner, row: Sector) -> Batch:
    """A batch that was written and not handed over."""
    batch = factories.batch(of, state=BatchState.CLOSED, method=28, params=b"")
    Sector.objects.filter(pk=row.pk).update(precommit_batch=batch)
    return batch


def test_batch_expired_during_an_outage_fails_and_frees_its_sectors() -> None:
    of = miner()
    row = sector(of, "PRECOMMIT_SENT")
    batch = closed(of, row)

    batches_watch(work(SomeSectors(), 91 + NETWORK.max_precommit_randomness_lookback))

    batch.refresh_from_db()
    assert (batch.state, state_of(row)) == (BatchState.FAILED, "PERSISTED")


def test_a_batch_pushed_before_a_kill_is_followed_however_old_it_is() -> None:
    of = miner()
    row = sector(of, "PRECOMMIT_SENT")
    batch = closed(of, row)
    factories.message(batch.message_id, state=MessageState.FILLED)

    batches_watch(work(SomeSectors(), 91 + NETWORK.max_precommit_randomness_lookback))

    batch.refresh_from_db()
    assert (batch.state, state_of(row)) == (BatchState.SENT, "PRECOMMIT_SENT")


def test_two_tasks_may_hand_over_the_same_batch() -> None:
    of = miner()
    row = sector(of, "PERSISTED")
    batches_close(work(SomeSectors()))
    first, second = Batch.objects.get(), Batch.objects.get()
    Batch.objects.update(state=BatchState.CLOSED)
    first.state = second.state = BatchState.CLOSED

    assert batch_push(first, work=work(SomeSectors()))
    assert batch_push(second, work=work(SomeSectors()))

    assert (second.state, Message.objects.count()) == (BatchState.SENT, 1)
    assert first.kind == BatchKind.PRE_COMMIT
    assert state_of(row) == "PRECOMMIT_SENT"


def test_a_miner_of_whom_the_node_says_nothing_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good, chain = miner(), miner(), SomeSectors()
    stuck = sector(bad, "PRECOMMIT_LANDED", precommit_epoch=150)
    goes = factories.sector(good, state="TREE_D_BUILT")
    chain.refuses[bad.address] = "actor not found"
    factories.head(200)
    monkeypatch.setattr(tasks, "chain_client", lambda: chain)

    tasks.sectors_advance(height=200, key="")

    assert (state_of(stuck), state_of(goes)) == ("PRECOMMIT_LANDED", "TICKET_ASSIGNED")


@pytest.mark.parametrize(
    "text",
    [
        "failed to load sectors: can't find sector 8",
        "ActorError(exit_code: ExitCode { value: 17 }, msg: sector not found: 8)",
    ],
)
def test_a_number_that_is_not_there_does_not_hide_those_that_are(text: str) -> None:
    """As lotus answers (golden_rpc.json, StateMinerSectors with a filter), and as forest does."""
    sealed = {"SealedCID": {"/": str(commr_cid(DIGEST))}}
    row = {"SectorNumber": 7, "Activation": 1, "Expiration": 9, "InitialPledge": "5", **sealed}
    refused = NodeRefused(1, text)

    def whole(*_: object) -> None:
        raise refused

    def each(calls: list[Any]) -> list[Any]:
        return [row if number == 7 else None for _, (_, number, _) in calls]

    chain = cast("Any", SimpleNamespace(state_miner_sectors=whole, call_many=each))
    assert set(sectors_proven_read(chain, "f01000", [7, 8], "key")) == {7}

    refused = NodeRefused(1, "block not found")
    with pytest.raises(NodeRefused):
        sectors_proven_read(chain, "f01000", [7, 8], "key")
