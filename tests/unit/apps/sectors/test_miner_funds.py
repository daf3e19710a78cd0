"""Deposits and pledge: what the miner's own balance pays, and what its messages carry."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from apps.messages.models import Message
from apps.miners.models import MinerAddress
from apps.miners.states import Use
from apps.sectors.models import Batch, BatchSettings, JobEvent, PipelineRun, Sector, SectorProof
from apps.sectors.reasons import TOO_MUCH
from apps.sectors.services.batches import closing as batches
from apps.sectors.services.batches.closing import batches_close
from apps.sectors.services.batches.messages import batches_watch
from apps.sectors.services.miner_funds import balance_free, balance_lock
from apps.sectors.services.runs.steps import run_begin
from apps.sectors.states import BatchState
from poolsite.filecoin.actors.exitcodes import ExitCode
from poolsite.filecoin.actors.miner_sectors import PreCommitSectorBatch2Params
from poolsite.filecoin.codec import from_cbor
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.factories import FIL
from tests.unit.apps.sectors.chain import SomeSectors
from tests.unit.apps.sectors.reconcile import work
from tests.unit.apps.sectors.sealing import DIGEST, NOON

pytestmark = pytest.mark.django_db


def paying() -> Any:
    """A miner with a wallet to send from."""
    return factories.miner(worker=factories.wallet().address)


def stored(miner: Any, count: int) -> None:
    for _ in range(count):
        factories.sector(
            miner, state="PERSISTED", ready_height=190, ticket_epoch=190, comm_d=DIGEST, comm_r=DIGEST
        )


@pytest.mark.parametrize(
    ("available", "value", "own"), [(0, 200, 0), (30, 170, 30), (200, 0, 200), (999, 0, 200)]
)
def test_a_message_carries_only_what_the_balance_lacks(available: int, value: int, own: int) -> None:
    stored(paying(), 2)
    chain = SomeSectors(deposit=100, available=available)

    batches_close(work(chain))

    batch = Batch.objects.get()
    assert (batch.value, batch.from_balance) == (value, own)
    assert int(Message.objects.get().value) == value
    alone, together = max(100 - available, 0), max(200 - available, 0)
    assert chain.values == [alone, alone, together], "each is tried with what it would carry, then both"
    [note] = set(JobEvent.objects.filter(event="SEND_PRECOMMIT").values_list("note", flat=True))
    sent = f"{value} aFIL" if value else "0 FIL"
    assert note == (f"{own} aFIL from the miner's balance, {sent} sent with the message" if own else "")


class Pledging(SomeSectors):
    """A chain whose pledge is 10 attoFIL for each byte of power; the lives asked for are noted."""

    lives: set[int]

    def call(self, method: str, life: int, size: int, verified: int, _key: Any) -> Any:
        """Return the pledge."""
        assert method == "StateMinerInitialPledgeForSector"
        self.lives = {life}
        return str(10 * (size + 9 * verified))


def test_a_commit_carries_the_pledge_of_its_verified_data() -> None:
    miner, chain = paying(), Pledging()
    half = miner.sector_size // 2
    sector = factories.sector(miner, state="C2_DONE", comm_r=DIGEST, seed_epoch=170, precommit_epoch=150)
    SectorProof.objects.create(sector=sector, proof=b"proof", seed_epoch=170)
    chain.precommit(sector, epoch=150)
    for offset, terms in ((0, {"client": 9, "allocation": 3}), (half, {"deal": 4})):
        placed = {"sector_number": sector.number, "offset": offset, "padded_size": half}
        factories.piece(miner, state="PACKED", **placed, **terms)

    batches_close(work(chain))

    assert Batch.objects.get().value == 10 * (miner.sector_size + 9 * half) * 11 // 10 - 1
    assert chain.lives == {999_999 - 200}, "of the pre-commit, not of one made now"


@pytest.mark.parametrize(("deposit", "is_control"), [(FIL // 20, True), (2 * FIL, False), (90 * FIL, False)])
def test_the_first_address_that_has_what_a_message_carries_sends_it(deposit: int, is_control: bool) -> None:
    worker, control = (factories.wallet(balance=many * FIL // 10).address for many in (2000, 2))
    miner = factories.miner(worker=worker, control=[control])
    MinerAddress.objects.create(miner=miner, use=Use.PRE_COMMIT, address=control)
    stored(miner, 2)

    batches_close(work(SomeSectors(deposit=deposit)))

    sender = control if is_control else worker
    assert Batch.objects.get().sender == Message.objects.get().from_addr == sender


def test_two_batches_do_not_count_on_the_same_balance() -> None:
    miner, chain = paying(), SomeSectors(deposit=100, available=130)
    stored(miner, 1)
    batches_close(work(chain))
    stored(miner, 1)
    batches_close(work(chain, 203))

    assert list(Batch.objects.order_by("pk").values_list("from_balance", "value")) == [(100, 0), (30, 70)]
    Batch.objects.update(state=BatchState.LANDED, landed_height=205)
    assert balance_free(miner, available=130, height=205) == 0, (
        "at the head of their message it is not paid yet"
    )
    assert balance_free(miner, available=130, height=206) == 130


def test_updates_count_on_the_balance_too() -> None:
    miner = paying()
    sector = factories.sector(miner, state="PROVING")
    run = run_begin(
        sector,
        kind=JobKind.SNAP_UP,
        state="UPDATE_SENT",
        actor="ann",
        now=NOON,
        hosts=[],
        from_balance=80,
    )

    assert balance_free(miner, available=130, height=205) == 50
    PipelineRun.objects.filter(pk=run.pk).update(from_balance=None)
    assert balance_free(miner, available=130, height=205) == 0, "of one that was read back nobody knows"
    landed = {"state": "UPDATE_LANDED", "from_balance": 80, "landed_height": 205}
    PipelineRun.objects.filter(pk=run.pk).update(**landed)
    assert balance_free(miner, available=130, height=205) == 50
    assert balance_free(miner, available=130, height=206) == 130


def test_a_batch_written_meanwhile_is_seen_when_this_one_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    miner, chain = paying(), SomeSectors(deposit=100, available=130)
    stored(miner, 1)

    def locked(*args: Any, **named: Any) -> None:
        factories.batch(miner, from_balance=90)  # another task, between trial and writing
        balance_lock(*args, **named)

    monkeypatch.setattr(batches, "balance_lock", locked)
    batches_close(work(chain))

    assert list(Batch.objects.order_by("pk").values_list("from_balance", flat=True)) == [90, 40]


@pytest.mark.parametrize(
    ("state", "wait", "available", "is_again"),
    [
        ("UNFILLED", "ESTIMATE", 0, True),
        ("UNFILLED", "ESTIMATE", 99, True),
        ("UNFILLED", "ESTIMATE", 100, False),
        ("UNFILLED", "QUOTA", 0, False),
        ("FILLED", "ESTIMATE", 0, False),
    ],
)
def test_what_the_balance_pays_no_more_is_sent_with_a_new_batch(
    state: str, wait: str, available: int, is_again: bool
) -> None:
    stored(paying(), 1)
    chain = SomeSectors(deposit=100, available=100)
    batches_close(work(chain))
    Message.objects.update(state=state, wait=wait, nonce=None if state == "UNFILLED" else 1)
    chain.available = available

    for minute in (1, 2):
        late = replace(work(chain, 200 + minute), now=NOON + timedelta(minutes=minute))
        batches_watch(late)
        batches_close(late)

    if not is_again:
        assert Batch.objects.get().state == BatchState.SENT
        return
    old, new = Batch.objects.order_by("pk")
    assert (old.state, old.error) == (BatchState.FAILED, "the miner's balance no longer covers its share")
    assert Message.objects.get(pk=old.message_id).state == "FAILED"
    assert (new.value, new.from_balance) == (100 - available, available)
    assert int(Message.objects.get(pk=new.message_id).value) == new.value


def test_nothing_is_free_while_a_batch_that_was_read_back_is_sent() -> None:
    miner = paying()
    batch = factories.batch(miner, reason="recovered")

    assert balance_free(miner, available=130, height=205) == 0, "what of it that one counts on nobody knows"
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.LANDED, landed_height=204)
    assert balance_free(miner, available=130, height=205) == 130


def test_a_kill_before_the_push_leads_to_the_same_message(monkeypatch: pytest.MonkeyPatch) -> None:
    stored(paying(), 1)
    chain = SomeSectors(deposit=100, available=30)
    monkeypatch.setattr(batches, "batch_push", lambda *_args, **_named: None)
    batches_close(work(chain))
    chain.available = 10_000

    batches_watch(work(chain, 202))

    assert [int(message.value) for message in Message.objects.all()] == [70]


def test_a_miner_that_pays_all_by_itself_sends_nothing() -> None:
    miner = paying()
    BatchSettings.objects.create(miner=miner, send_funds=False)
    stored(miner, 1)

    batches_close(work(SomeSectors(deposit=100, available=30)))

    assert (Batch.objects.get().value, Batch.objects.get().from_balance) == (0, 0)


class Poor(SomeSectors):
    """A chain on which a miner's balance covers so many pre-commits in a message."""

    covers = 10

    def do_StateCall(self, message: Any, key: Any) -> Any:
        answer = super().do_StateCall(message, key)
        params = from_cbor(PreCommitSectorBatch2Params, base64.b64decode(message["Params"]))
        if len(params.sectors) > self.covers:
            answer["MsgRct"]["ExitCode"] = int(ExitCode.ERR_INSUFFICIENT_FUNDS)
        return answer


def test_of_sectors_that_pass_alone_only_as_many_go_as_pass_together() -> None:
    miner, chain = paying(), Poor()
    BatchSettings.objects.create(miner=miner, send_funds=False)
    stored(miner, 16)

    batches_close(work(chain))

    [batch] = Batch.objects.all()
    assert batch.precommits.count() == 8
    assert Sector.objects.filter(state="PERSISTED", attempts=0, error="").count() == 8, (
        "they go with the next"
    )


def test_a_message_that_needs_more_than_is_left_is_sent_smaller() -> None:
    miner, chain = paying(), Poor()
    BatchSettings.objects.create(miner=miner, send_funds=False)
    stored(miner, 8)
    batches_close(work(chain))
    for attempts, covers in ((3, 8), (2, 4), (3, 4)):  # another message has landed
        Message.objects.update(state="UNFILLED", wait="ESTIMATE", attempts=attempts)
        assert Batch.objects.get().state == BatchState.SENT
        chain.covers = covers
        batches_watch(work(chain, 201))
    for height in (202, 203):
        batches_close(replace(work(chain, height), now=NOON + timedelta(minutes=1)))

    old, new = Batch.objects.order_by("pk")
    assert (old.state, old.error) == (BatchState.FAILED, TOO_MUCH())
    assert Message.objects.get(pk=old.message_id).state == "FAILED"
    assert (new.state, new.precommits.count()) == (BatchState.SENT, 4)
