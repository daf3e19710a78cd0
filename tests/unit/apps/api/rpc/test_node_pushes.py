"""An unchanged lotus-miner's messages: pushed to its node unsigned, waited for, looked up by their CIDs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from apps.api.rpc.services.node import pushes
from apps.api.rpc.services.node.methods import LEVELS
from apps.core import clock
from apps.core.errors import DomainError
from apps.messages.errors import BadMessage, SenderStopped
from apps.messages.models import Message, MessageApproval, Sender
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.cancel import message_cancel
from apps.messages.services.offline import messages_export, offline_key_add
from apps.messages.services.publish import messages_publish
from apps.messages.services.recovery.detect import recovery_begin
from apps.messages.services.replace import message_replace
from apps.messages.states import MessageState, NoncesBy, SenderState
from apps.miners.models import Miner
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.keys import key_address, key_generate, key_sign
from poolsite.filecoin.message import SignedMessage, signed_message_from_json, signed_message_to_json
from poolsite.filecoin.signature import signature_verify
from poolsite.wire.jsonrpc.messages import RpcError
from tests import factories
from tests.messaging import FIL, RECEIVER, Pool
from tests.people import tenant
from tests.unit.apps.api.rpc.outside import (
    ask,
    ask_and_leave,
    caller,
    in_thread,
    landed,
    outside_pool,
    spec,
    unsigned,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pool(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    with outside_pool(monkeypatch) as pool:
        yield pool


@pytest.fixture
def held(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Pool:
    """A pool in which nothing is selected but on a head."""
    monkeypatch.setattr(pushes, "selection_enqueue", lambda _address: None)
    return pool


async def test_a_push_answers_the_signed_message_that_the_chain_gets(pool):
    address = await in_thread(pool.address)()

    answer = await ask("MpoolPushMessage", unsigned(address), spec())

    signed = signed_message_from_json(answer)
    signature_verify(signed.signature, address_parse(address), signed.message.cid.data)
    assert (signed.message.nonce, int(signed.message.value)) == (0, 5)
    assert answer["CID"] == {"/": str(signed.cid)}
    assert str(pool.node.pool[(address, 0)].cid) == str(signed.cid)


async def test_the_same_uuid_is_the_same_message_for_ever(pool):
    address = await in_thread(pool.address)()
    wishes = spec()
    first = await ask("MpoolPushMessage", unsigned(address), wishes)
    row = await in_thread(Message.objects.get)()
    replace = in_thread(message_replace)
    await replace(message=row, fees=NewFees(), client=pool.client, head=pool.head, now=pool.now)

    assert await ask("MpoolPushMessage", unsigned(address), wishes) == first
    again = [wishes, {"MsgUuid": wishes["MsgUuid"].upper()}]
    twice = await asyncio.gather(*(ask("MpoolPushMessage", unsigned(address), one) for one in again))

    assert twice == [first, first], "the first version, whatever replaced it"
    await in_thread(lambda: Sender.objects.update(state=SenderState.FORBIDDEN))()
    assert await ask("MpoolPushMessage", unsigned(address), wishes) == first, "it is sent already"
    with pytest.raises(SenderStopped):
        await ask("MpoolPushMessage", unsigned(address, Value="6"), wishes)
    assert await in_thread(Message.objects.count)() == 1


async def test_a_caller_that_is_cut_off_finds_its_message_again(held):
    address = await in_thread(held.address)()
    wishes = spec()
    await ask_and_leave("MpoolPushMessage", unsigned(address), wishes)

    again = asyncio.create_task(ask("MpoolPushMessage", unsigned(address), wishes))
    await asyncio.sleep(0.2)
    await in_thread(held.step)()

    assert (await again)["Message"]["Nonce"] == 0
    assert await in_thread(Message.objects.count)() == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"Nonce": 3}, "MpoolPushMessage expects message nonce to be 0, was 3"),
        ({"Value": str(500 * FIL)}, "mpool push: not enough funds: "),
        ({"Version": 1}, "message version is not 0"),
    ],
)
async def test_what_a_node_would_refuse_is_refused_in_its_words(pool, fields, words):
    address = await in_thread(pool.address)()

    with pytest.raises(RpcError, match=words):
        await ask("MpoolPushMessage", unsigned(address, **fields), spec())

    assert not await in_thread(Message.objects.exists)(), "nothing is left to be sent later"


async def test_what_the_actors_refuse_is_not_stored(pool):
    address = await in_thread(pool.address)()
    pool.node.fails[RECEIVER] = "message execution failed: exit 16, reason: no"

    with pytest.raises(RpcError, match=r"GasEstimateMessageGas error: estimating gas used: .*exit 16"):
        await ask("MpoolPushMessage", unsigned(address), spec())

    assert not await in_thread(Message.objects.exists)()


async def test_what_the_signer_refuses_is_withdrawn_before_the_answer(pool):
    address = await in_thread(pool.address)()
    pool.keyring.refused = {address_parse(RECEIVER).payload}

    with pytest.raises(RpcError, match=f"failed to sign message: .*policy: not this one.*addr={address}"):
        await ask("MpoolPushMessage", unsigned(address), spec())

    row = await in_thread(Message.objects.get)()
    assert (row.state, row.nonce) == (MessageState.FAILED, None)
    pool.keyring.refused = set()
    await in_thread(pool.step)()
    assert not pool.node.pool, "its program was told an error and pushes again: this one is never sent"


async def test_what_gets_no_nonce_in_time_is_withdrawn(held, monkeypatch):
    monkeypatch.setattr(pushes, "PUSH_WAIT_S", 0.2)
    address = await in_thread(held.address)()

    with pytest.raises(RpcError, match="failed to sign message: waiting for the next head"):
        await ask("MpoolPushMessage", unsigned(address), spec())

    assert (await in_thread(Message.objects.get)()).state == MessageState.FAILED


async def test_the_reason_that_it_waited_for_is_the_answer(pool, monkeypatch):
    monkeypatch.setattr(pushes, "sendable_check", lambda *_: None)  # the money was there a moment ago
    address = await in_thread(pool.address)()

    with pytest.raises(RpcError, match=r"^mpool push: not enough funds: "):
        await ask("MpoolPushMessage", unsigned(address, Value=str(500 * FIL)), spec())


@pytest.mark.parametrize("when", ["accept", "outcome"])
async def test_no_error_is_answered_for_what_may_be_stored(pool, monkeypatch, when):
    monkeypatch.setattr(pushes, "PAUSE_S", 0.05)
    address, real = await in_thread(pool.address)(), getattr(pushes, when)
    lost: list[Any] = []

    def losing(*args: Any) -> Any:
        found = real(*args)
        if not lost:
            lost.append(found)
            raise OperationalError("server closed the connection unexpectedly")
        return found

    monkeypatch.setattr(pushes, when, losing)

    assert (await ask("MpoolPushMessage", unsigned(address), None))["Message"]["Nonce"] == 0
    assert lost
    assert await in_thread(Message.objects.count)() == 1


async def test_nothing_is_withdrawn_while_it_may_have_been_sent_before_a_restore(held, monkeypatch):
    monkeypatch.setattr(pushes, "PUSH_WAIT_S", 0.05)
    monkeypatch.setattr(pushes, "PAUSE_S", 0.05)
    address = await in_thread(held.address)()
    await in_thread(recovery_begin)("restored", now=held.now)

    waiting = asyncio.create_task(ask("MpoolPushMessage", unsigned(address), spec()))
    await asyncio.sleep(0.5)

    assert (await in_thread(Message.objects.get)()).state == MessageState.UNFILLED
    monkeypatch.setattr(pushes, "PUSH_WAIT_S", 60)
    await asyncio.sleep(0.5)  # the round that waits for less is over
    for _ in range(3):
        await in_thread(held.step)()
    assert (await waiting)["Message"]["Nonce"] == 0


async def test_no_error_is_answered_for_what_was_exported_to_be_signed_offline(held):
    """Its program would push it once more, and both would be paid."""
    key = key_generate("secp256k1")
    address, call = str(key_address(key)), await in_thread(caller)()
    held.node.balances[address] = 100 * FIL
    await in_thread(offline_key_add)(
        principal=SYSTEM, tenant=await in_thread(tenant)("alice"), address=address
    )
    row = await in_thread(held.push)("one", address, by=call.principal)
    facts = {"client": held.client, "head": held.head, "now": clock.now()}
    await in_thread(messages_export)(principal=call.principal, address=address, ids=None, **facts)

    assert await in_thread(pushes.outcome)(call, row.pk) is None

    row = await in_thread(held.row)("one")
    message = row.chain_message()
    signed = SignedMessage(message, key_sign(key, message.cid.data))
    await ask("MpoolPush", signed_message_to_json(signed))
    sender = await in_thread(Sender.objects.get)(address=address)
    assert sender.nonces_by == NoncesBy.POOL, "the pool gave the nonce"


async def test_what_was_approved_lately_still_has_time_for_its_nonce(held):
    address, call = await in_thread(held.address)(), await in_thread(caller)()
    row = await in_thread(held.push)("one", address, by=call.principal)
    approval = {"message": row, "state": "APPROVED", "asked_at": held.now, "decided_at": clock.now()}
    await in_thread(MessageApproval.objects.create)(**approval)

    assert await in_thread(pushes.outcome)(call, row.pk) is None
    await in_thread(lambda: MessageApproval.objects.update(decided_at=held.now - timedelta(days=1)))()
    with pytest.raises(RpcError, match="waiting for the next head"):
        await in_thread(pushes.outcome)(call, row.pk)


async def test_an_operators_limited_token_does_not_reach_the_nodes_own_wallet(pool):
    limited = await in_thread(lambda: caller("pool", perm="admin", is_operator=True, miners=(1000,)))()
    stranger = "f1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za"

    for method, given in (
        ("MpoolPushMessage", [unsigned(stranger), None]),
        ("MpoolBatchPushMessage", [[unsigned(stranger)], None]),
        ("MarketAddBalance", [stranger, stranger, "5"]),
        ("F3Participate", ["dGlja2V0"]),
    ):
        with pytest.raises((DomainError, RpcError)):
            await ask(method, *given, of=limited)
        assert method not in pool.node.calls


async def test_a_stranger_may_not_push_for_an_address(pool):
    address = await in_thread(pool.address)()
    bob = await in_thread(lambda: caller("bob"))()

    with pytest.raises(Exception, match=address):
        await ask("MpoolPushMessage", unsigned(address), spec(), of=bob)

    assert not await in_thread(Message.objects.exists)()


@pytest.mark.parametrize("is_signed", [False, True])
async def test_a_window_that_the_pool_proves_is_not_proven_by_others(pool, is_signed):
    address = await in_thread(pool.address)()
    await in_thread(lambda: factories.miner(1234))()
    proof = unsigned(address, To="t01234", Method=5, Value="0", Params="gA==")
    signed = {"Message": proof, "Signature": {"Type": 1, "Data": ""}}

    with pytest.raises(BadMessage, match="the pool proves the windows of f01234"):
        await (ask("MpoolPush", signed) if is_signed else ask("MpoolPushMessage", proof, spec()))

    assert "MpoolPush" not in pool.node.calls
    assert not await in_thread(Message.objects.exists)()
    await in_thread(lambda: Miner.objects.update(works_until=0))()
    if not is_signed:
        assert (await ask("MpoolPushMessage", proof, spec()))["Message"]["Nonce"] == 0, "moved out"


async def test_a_batch_is_as_many_messages_under_one_uuid(pool):
    address = await in_thread(pool.address)()
    wishes, both = spec(), [unsigned(address, Value="1"), unsigned(address, Value="2")]

    first = await ask("MpoolBatchPushMessage", both, wishes)

    assert [one["Message"]["Nonce"] for one in first] == [0, 1]
    assert await ask("MpoolBatchPushMessage", both, wishes) == first
    assert await in_thread(Message.objects.count)() == 2


async def test_an_escrow_is_paid_into_by_a_message(pool):
    address = await in_thread(pool.address)()
    pool.node.kinds["f05"] = "storagemarket"

    cid = await ask("MarketAddBalance", address, "f01234", str(FIL))

    row = await in_thread(Message.objects.get)()
    assert (cid, row.to, row.method, row.value) == ({"/": row.cid}, "f05", 2, FIL)


async def test_a_landing_is_found_by_every_cid_that_was_given_out(pool):
    address = await in_thread(pool.address)()
    first = (await ask("MpoolPushMessage", unsigned(address), spec()))["CID"]
    row = await in_thread(Message.objects.get)()
    replace = in_thread(message_replace)
    row = await replace(message=row, fees=NewFees(), client=pool.client, head=pool.head, now=pool.now)
    await in_thread(messages_publish)([row.pk], now=pool.now)
    assert await ask("StateSearchMsg", None, first, -1, True) is None, "in flight"
    waiting = asyncio.create_task(ask("StateWaitMsg", first, 1, -1, True))
    for _ in range(4):
        await in_thread(pool.step)()
    row = await in_thread(Message.objects.get)()

    found = await waiting

    assert found["Message"] == {"/": row.cid} != first
    assert found["Receipt"]["ExitCode"] == 0
    assert found["TipSet"] == [{"/": row.executed_key}]
    assert found["Height"] == pool.node.tipsets[row.executed_key].height == row.height + 1
    assert await ask("StateSearchMsg", [], {"/": row.cid}, -1, False) == found
    assert await ask("StateSearchMsg", None, first, -1, True) == found
    assert await ask("StateSearchMsg", None, first, -1, False) is None
    assert await ask("StateSearchMsg", [{"/": row.tipset_key}], first, -1, True) is None, "not below this one"
    assert await ask("StateSearchMsg", [], first, 1, True) is None, "not within one epoch of the head"
    with pytest.raises(RpcError, match="message was replaced"):
        await ask("StateWaitMsg", first, 0, -1, False)


async def test_a_nonce_that_went_to_another_message_is_a_replacement(pool):
    address = await in_thread(pool.address)()
    cid = (await ask("MpoolPushMessage", unsigned(address), spec()))["CID"]
    waiting = asyncio.create_task(ask("StateWaitMsg", cid, 0, -1, True))
    row = await in_thread(Message.objects.get)()
    cancel = in_thread(message_cancel)
    transfer = await cancel(message=row, client=pool.client, head=pool.head, now=pool.now)
    await in_thread(messages_publish)([transfer.pk], now=pool.now)
    assert await ask("StateSearchMsg", None, cid, -1, True) is None, "either may land"
    await asyncio.sleep(0.2)
    assert not waiting.done()

    for _ in range(2):
        await in_thread(pool.step)()

    for answer in (waiting, ask("StateSearchMsg", None, cid, -1, True)):
        with pytest.raises(RpcError, match=r"message was replaced: .*NOT a valid replacement"):
            await answer
    assert await ask("StateSearchMsg", None, cid, -1, False) is None


async def test_others_messages_are_the_nodes_to_answer(pool):
    address = await in_thread(pool.address)()
    cid = await landed(pool, address)
    bob = await in_thread(lambda: caller("bob"))()
    before = len(pool.node.calls)

    await ask("StateSearchMsg", None, cid, -1, True, of=bob)

    assert "StateSearchMsg" in pool.node.calls[before:]


async def test_a_message_that_no_node_has_is_read_from_the_pool(pool):
    address = await in_thread(pool.address)()
    cid = await landed(pool, address)
    pool.node.refuses = lambda method, _: (
        "blockstore get: ipld: not found" if method == "ChainGetMessage" else None
    )

    found = await ask("ChainGetMessage", cid)

    assert (found["From"], found["Value"], found["Nonce"]) == (address, "5", 0)


async def test_the_pool_answers_for_its_own_tokens(pool):
    alice = await in_thread(lambda: caller(perm="sign"))()
    with pytest.raises(RpcError, match="failed to get default key"):
        await ask("WalletDefaultAddress", of=alice)
    address = await in_thread(pool.address)()

    assert await ask("WalletDefaultAddress", of=alice) == address
    with pytest.raises(RpcError, match="JWT Verification failed"):
        await ask("AuthVerify", "eyJh.eyJi.c", of=alice)


@pytest.mark.parametrize("method", ["F3GetManifest", "F3GetOrRenewParticipationTicket", "F3Participate"])
async def test_f3_is_disabled_for_tenants_for_good(pool, method):
    assert method in LEVELS
    with pytest.raises(RpcError, match="f3 is disabled") as refused:
        await ask(method)
    assert refused.value.code == 4
