"""Proofs of open windows go on while what was sent since a backup is read back, a tipset at a time."""

from __future__ import annotations

from typing import Any

import pytest

from apps.messages.models import Message, Sender
from apps.messages.selectors.recovery import recovery_now, recovery_row, senders_unread
from apps.messages.services.recovery import restore
from apps.messages.services.recovery.detect import recovery_begin, restore_check
from apps.messages.services.recovery.restore import recovery_step
from apps.messages.states import MessageState, Wait
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_proving import PoStPartition, SubmitWindowedPoStParams
from poolsite.filecoin.bitfield import BitField
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.codec import to_cbor
from tests.messaging import Pool
from tests.unit.apps.messages.recovery import Dump, heads, paid

MINER = "f01000"
DEADLINE = 2


@pytest.fixture(autouse=True)
def first_look(pool: Pool) -> None:
    restore_check(now=pool.now)


def proof(pool: Pool, id: str, address: str, *, partition: int = 0, deadline: int = DEADLINE) -> Message:
    """Push a WindowPoSt as proving does."""
    params = SubmitWindowedPoStParams(
        deadline=deadline,
        partitions=(PoStPartition(partition, BitField()),),
        proofs=(PoStProof(8, bytes(192)),),
        chain_commit_epoch=1,
        chain_commit_rand=bytes(32),
    )
    body: dict[str, Any] = {"method": Method.SUBMIT_WINDOWED_POST, "params": to_cbor(params), "value": 0}
    return pool.push(id, address, to=MINER, kind="window_post", urgent_epoch=500, **body)


def proven(pool: Pool, monkeypatch: pytest.MonkeyPatch, *partitions: int) -> None:
    """Let the open window have proofs of these partitions."""
    body = [{"PostSubmissions": [0, 1] if partitions == (0,) else [0]} for _ in range(DEADLINE + 1)]
    monkeypatch.setattr(type(pool.node), "do_StateMinerDeadlines", lambda *_: body, raising=False)


def unreadable(pool: Pool) -> None:
    """Let the node have no states of before: nothing can be read back."""
    pool.node.refuses = lambda method, _: "no such state" if method == "ChainGetTipSetByHeight" else None


def test_a_proof_is_signed_while_its_sender_cannot_be_read_back(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = pool.address()
    pool.push("before", address, value=9)
    heads(pool, 2)
    dump = Dump()
    pool.push("lost", address, value=5)
    pool.choose()  # in the node's pool under nonce 1, of which the restored database knows nothing
    dump.restore()
    unreadable(pool)
    proven(pool, monkeypatch)
    pool.push("payment", address, value=7)
    proof(pool, "post", address)
    pool.settle()

    assert recovery_now() is not None
    assert (pool.row("post").state, pool.row("post").nonce) == (MessageState.FILLED, 2)
    assert pool.row("payment").state == MessageState.UNFILLED
    assert Sender.objects.get(address=address).wait in (Wait.RECOVERY, "")
    heads(pool, 2)
    assert pool.row("post").state == MessageState.LANDED
    assert pool.row("payment").state == MessageState.UNFILLED

    pool.node.refuses = lambda _method, _params: None
    heads(pool, 4)
    assert recovery_now() is None
    assert paid(pool, address) == [0, 5, 7, 9]
    assert pool.row("lost").state == MessageState.LANDED


@pytest.mark.parametrize("where", ["chain", "pool", "other miner's state is away"])
def test_a_proof_whose_partition_has_one_waits(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    address, other = pool.address(), pool.address()
    heads(pool, 1)
    recovery_begin("the database was restored", now=pool.now)
    unreadable(pool)
    row = proof(pool, "post", address)
    if where == "pool":
        proven(pool, monkeypatch)
        signed = pool.foreign(other, nonce=0)
        message = Message(
            to=MINER, from_addr=other, method=row.method, params=row.params, value=0, nonce=0
        ).chain_message()
        pool.node.pool[(other, 0)] = type(signed)(message, signed.signature)
    elif where == "chain":
        proven(pool, monkeypatch, 0)
    pool.choose()
    assert pool.row("post").state == MessageState.UNFILLED
    proven(pool, monkeypatch)
    pool.node.pool.clear()
    pool.choose()
    assert pool.row("post").state == MessageState.FILLED


def test_senders_of_proofs_are_read_first(pool: Pool) -> None:
    addresses = sorted(pool.address() for _ in range(3))
    for at, address in enumerate(addresses):
        pool.push(f"m{at}", address)
    proof(pool, "post", addresses[2])
    recovery_begin("the database was restored", now=pool.now)
    found = [str(row.address) for row in senders_unread(recovery_row())]
    assert found == [addresses[2], addresses[0], addresses[1]]


def test_each_step_reads_a_tipset_and_goes_on_behind_it(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    address = pool.address()
    pool.push("before", address, value=9)
    heads(pool, 2)
    dump = Dump()
    for at in range(3):
        pool.push(f"lost{at}", address, value=at + 1)
        pool.choose()
        heads(pool, 1)
    heads(pool, 1)
    dump.restore()
    restore_check(now=pool.now)
    monkeypatch.setattr(restore, "STEP_S", -1.0)
    landed = []
    while recovery_step(client=pool.client, now=pool.now):
        landed.append(Message.objects.filter(push_id__startswith="lost", state="LANDED").count())
    assert landed[-3:] == [1, 2, 3]
    assert Sender.objects.get(address=address).read_nonce is None
    assert recovery_now() is None
