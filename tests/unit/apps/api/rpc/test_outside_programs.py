"""How Curio and boost send through the pool's node interface; and consoles that die between push and answer.

Curio gives its own nonces.  Source: filecoin-project/curio tasks/message/{sender,watch}.go; filecoin-project/
boost fundmanager/fundmanager.go, storagemarket/deal_publisher.go.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db import OperationalError

from apps.api.rpc.services.node import pushes
from apps.messages.models import Message, Sender
from apps.messages.services.cancel import message_withdraw
from apps.messages.services.senders import sender_set
from apps.messages.states import MessageState, NoncesBy
from poolsite.filecoin.actors.market import AddBalanceParams
from poolsite.filecoin.address import address_parse, id_address
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.message import signed_message_from_json, signed_message_to_json
from poolsite.filecoin.signature import signature_verify
from poolsite.wire.jsonrpc.messages import RpcError
from tests.messaging import FIL, Pool
from tests.people import principal
from tests.unit.apps.api.rpc.outside import ask, ask_and_leave, in_thread, outside_pool, spec, unsigned
from tests.unit.apps.messages.kills import POINTS, Kill, heads, killed, killed_after

pytestmark = pytest.mark.django_db(transaction=True)
OWN_POINTS = [
    ("before the message is stored", pushes, "outside_message_push", killed),
    ("after the message is stored", pushes, "outside_message_push", killed_after),
    ("before the selection", pushes, "selection_enqueue", killed),
    ("after nonce and signature, before the answer", pushes, "message_versions", killed),
]


@pytest.fixture
def pool(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    with outside_pool(monkeypatch) as pool:
        pool.node.do_StateAccountKey = lambda address, _key: address  # type: ignore[method-assign]  # as lotus
        yield pool


async def curio_sends(address: str, *, value: str = "5") -> Any:
    """Send one message as Curio does; returns its CID."""
    assert await ask("StateAccountKey", address, None) == address
    message = await ask("GasEstimateMessageGas", unsigned(address, Value=value), {"MaxFee": str(FIL)}, None)
    message["Nonce"] = await ask("MpoolGetNonce", address)
    signed = await ask("WalletSignMessage", address, message)
    return await ask("MpoolPush", signed)


async def test_curio_gives_its_own_nonces_and_finds_its_messages(pool: Pool) -> None:
    address = await in_thread(pool.address)()

    first = await curio_sends(address)
    second = await curio_sends(address, value="6")
    for _ in range(2):
        await in_thread(pool.step)()

    assert await in_thread(pool.nonces_on_chain)(address) == [0, 1]
    for cid in (first, second):
        assert (await ask("StateSearchMsg", None, cid, 100, True))["Receipt"]["ExitCode"] == 0
    sender = await in_thread(Sender.objects.get)(address=address)
    assert sender.nonces_by == NoncesBy.OTHER
    assert not await in_thread(Message.objects.exists)()


async def test_the_pool_sends_beside_curio_only_after_a_person_says_so(pool: Pool) -> None:
    address = await in_thread(pool.address)()
    await curio_sends(address)

    with pytest.raises(RpcError, match=f"failed to sign message: another program assigns.*addr={address}"):
        await ask("MpoolPushMessage", unsigned(address), spec())
    assert not await in_thread(Message.objects.exists)()

    alice = await in_thread(principal)("alice")
    await in_thread(sender_set)(principal=alice, address=address, nonces_by=NoncesBy.BOTH)
    assert (await ask("MpoolPushMessage", unsigned(address), spec()))["Message"]["Nonce"] == 1
    await curio_sends(address, value="7")
    for _ in range(2):
        await in_thread(pool.step)()
    assert await in_thread(pool.nonces_on_chain)(address) == [0, 1, 2]


async def test_a_message_that_was_signed_elsewhere_is_noticed_where_it_is_pushed(pool: Pool) -> None:
    address = await in_thread(pool.address)()
    own = await ask("MpoolPushMessage", unsigned(address), spec())
    with suppress(RpcError):  # the node has it already
        await ask("MpoolPush", own)
    assert (await in_thread(Sender.objects.get)(address=address)).nonces_by == NoncesBy.POOL, "ours"

    foreign = await in_thread(pool.foreign)(address, nonce=1)
    await ask("MpoolPush", signed_message_to_json(foreign))

    assert (await in_thread(Sender.objects.get)(address=address)).nonces_by == NoncesBy.OTHER


async def test_what_a_node_took_is_answered_though_the_database_went_away(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = await in_thread(pool.address)()
    foreign = await in_thread(pool.foreign)(address, nonce=0)

    def gone(_address: str) -> None:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(pushes, "sender_other_note", gone)

    answer = await ask("MpoolPush", signed_message_to_json(foreign))

    assert answer == {"/": str(foreign.cid)}, "with an error Curio would give its nonce to another message"


async def test_boost_pays_escrow_and_waits(pool: Pool) -> None:
    wallet = await in_thread(pool.address)()
    pool.node.kinds["f05"] = "storagemarket"
    params = base64.b64encode(to_cbor(AddBalanceParams(id_address(1234)))).decode()

    escrow = await ask("MarketAddBalance", wallet, wallet, str(FIL))
    pushed = await ask("MpoolPushMessage", unsigned(wallet, To="f05", Method=2, Params=params), None)
    waits = [asyncio.create_task(ask("StateWaitMsg", cid, 1, -1, True)) for cid in (escrow, pushed["CID"])]
    for _ in range(4):
        await in_thread(pool.step)()

    assert [(await one)["Receipt"]["ExitCode"] for one in waits] == [0, 0]
    signed = signed_message_from_json(pushed)
    signature_verify(signed.signature, address_parse(wallet), signed.message.cid.data)
    assert await in_thread(pool.nonces_on_chain)(wallet) == [0, 1]


@pytest.mark.parametrize(
    ("where", "name", "how"), [row[1:] for row in OWN_POINTS], ids=[row[0] for row in OWN_POINTS]
)
async def test_a_web_process_that_dies_makes_no_second_message(
    pool: Pool, where: Any, name: str, how: Any
) -> None:
    address, wishes = await in_thread(pool.address)(), spec()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, how(getattr(where, name)))
        with pytest.raises(Kill):
            await ask("MpoolPushMessage", unsigned(address), wishes)

    answer = await ask("MpoolPushMessage", unsigned(address), wishes)
    for _ in range(3):
        await in_thread(pool.step)()

    assert await ask("MpoolPushMessage", unsigned(address), wishes) == answer
    assert await in_thread(pool.nonces_on_chain)(address) == [0]
    assert str((await in_thread(Message.objects.get)()).landed_cid) == answer["CID"]["/"]


@pytest.mark.parametrize(
    ("module", "name", "how"), [row[1:] for row in POINTS], ids=[row[0] for row in POINTS]
)
async def test_a_worker_that_dies_makes_no_second_message(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, module: str, name: str, how: Any
) -> None:
    monkeypatch.setattr(pushes, "selection_enqueue", lambda _address: None)
    address, wishes = await in_thread(pool.address)(), spec()
    await ask_and_leave("MpoolPushMessage", unsigned(address), wishes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{module}.{name}", how(getattr(__import__(module, fromlist=[name]), name)))
        with pytest.raises(Kill):
            await in_thread(heads)(pool, 3)

    again = asyncio.create_task(ask("MpoolPushMessage", unsigned(address), wishes))
    await in_thread(heads)(pool, 3)

    row = await in_thread(Message.objects.get)()
    assert (await again)["CID"] == {"/": row.landed_cid}
    assert await in_thread(pool.nonces_on_chain)(address) == [0]


async def test_a_push_that_was_withdrawn_before_the_process_died_is_never_sent(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushes, "selection_enqueue", lambda _address: None)
    monkeypatch.setattr(pushes, "PUSH_WAIT_S", 0.2)
    address, wishes = await in_thread(pool.address)(), spec()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pushes, "message_withdraw", killed_after(message_withdraw))
        with pytest.raises(Kill):
            await ask("MpoolPushMessage", unsigned(address), wishes)

    with pytest.raises(RpcError, match="waiting for the next head"):
        await ask("MpoolPushMessage", unsigned(address), wishes)

    await in_thread(heads)(pool, 2)
    assert await in_thread(pool.nonces_on_chain)(address) == []
    assert (await in_thread(Message.objects.get)()).state == MessageState.FAILED
