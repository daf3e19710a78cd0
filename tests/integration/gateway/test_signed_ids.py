"""Ids of messages through a real hub and a real signer process: a second nonce for one is never signed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from apps.gateway.errors import SignedBefore
from apps.gateway.services.signatures import WalletSignRequest, wallet_sign_all
from apps.messages.models import Message
from apps.messages.selectors.recovery import recovery_now
from apps.messages.services.recovery.detect import restore_check
from apps.messages.states import MessageState
from apps.wallets.services.signed_ids import signed_ids_read
from poolsite.filecoin.message import message_to_cbor
from poolsite.filecoin.signature import Signature
from poolsite.wire.origins import Origin
from tests.fake_node import FakeNode, served
from tests.hub import WebProcess
from tests.integration.gateway.signer_process import SignerProcess, folder, made_once, message, start
from tests.messaging import FIL, Pool
from tests.unit.apps.messages.recovery import Dump, paid

__all__ = ["folder", "made_once", "start"]

WITHIN_S = 60.0
"""A signer that was killed is back, and answers, in this time on a busy machine."""
DEAD_S = 2.0
"""How long a signature is waited for that cannot come."""


def asked(sender: str, *, nonce: int, origin: Origin) -> WalletSignRequest:
    one = replace(message(sender), nonce=nonce)
    return WalletSignRequest(
        address=sender,
        accounts=["alice"],
        to_sign=one.cid.data,
        meta_type="message",
        extra=message_to_cbor(one),
        origin=origin,
    )


def owner_of(folder: Path) -> str:
    return str(json.loads((folder / "addresses.json").read_text())["owner"])


def test_a_second_nonce_for_an_id_is_answered_with_what_was_signed(start: Any, folder: Path) -> None:
    sender, pool = owner_of(folder), uuid4()
    origin = Origin(pool=str(pool), id="m1", account="alice", selection=str(uuid4()))
    running = start()
    running.logged("gateway_connected")
    (signature,) = wallet_sign_all([asked(sender, nonce=0, origin=origin)])
    assert isinstance(signature, Signature)

    os.kill(running.process.pid, signal.SIGKILL)
    start().logged("gateway_connected")
    again = structs.replace(origin, selection=str(uuid4()))
    answers = wallet_sign_all(
        [
            asked(sender, nonce=1, origin=again),
            asked(sender, nonce=1, origin=structs.replace(again, id="m2")),
            asked(sender, nonce=0, origin=again),
        ]
    )

    refused, other, same = answers
    assert isinstance(refused, SignedBefore)
    assert [one.nonce for one in refused.messages] == [0]
    assert isinstance(other, Signature)
    assert same == signature
    cids = [str(replace(message(sender), nonce=nonce).cid) for nonce in (0, 1, 2)]
    found = signed_ids_read(sender, pool=pool, cids=cids)
    assert {cid: one.id for cid, one in found.items()} == {cids[0]: "m1", cids[1]: "m2"}
    assert signed_ids_read(sender, pool=uuid4(), cids=cids) == {}, "another pool's ids are not told"


def test_ids_are_asked_of_every_signer_that_holds_the_key(
    start: Any, web: WebProcess, folder: Path, tmp_path: Path
) -> None:
    sender, pool = owner_of(folder), uuid4()
    other = shutil.copytree(folder, tmp_path / "other")
    start().logged("gateway_connected")
    origin = Origin(pool=str(pool), id="m1", account="alice", selection=str(uuid4()))
    wallet_sign_all([asked(sender, nonce=0, origin=origin)])
    second = SignerProcess(other, tmp_path / "token", web)
    try:
        second.logged("gateway_connected")

        found = signed_ids_read(sender, pool=pool, cids=[str(message(sender).cid)])
    finally:
        second.process.kill()
        second.process.wait(60)

    assert [one.id for one in found.values()] == ["m1"]


@pytest.fixture
def pool() -> Iterator[Pool]:
    """A messager on a node; signatures are asked for through the hub."""
    node = FakeNode()
    with served(node) as url:
        made = Pool(node, url)
        yield made
        made.link.close()


def steps_until(pool: Pool, condition: Any) -> None:
    until = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < until, [(row.pk, row.state, row.error) for row in Message.objects.all()]
        pool.step()


@pytest.mark.parametrize(
    "is_noticed", [pytest.param(True, marks=pytest.mark.slow), False], ids=["noticed", "unnoticed"]
)
def test_a_restored_pool_pays_once_with_a_signer_that_was_killed(
    start: Any, folder: Path, pool: Pool, is_noticed: bool
) -> None:
    sender = owner_of(folder)
    pool.node.balances[sender] = 100 * FIL
    restore_check(now=pool.now)
    running = start()
    running.logged("gateway_connected")
    for at in (1, 2):
        pool.push(f"m{at}", sender, value=at)
    dump = Dump()
    pool.push("m3", sender, value=3)
    steps_until(pool, lambda: len(paid(pool, sender)) == 3)

    dump.restore(is_noticed=is_noticed)
    os.kill(running.process.pid, signal.SIGKILL)
    pool.push("m3", sender, value=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apps.wallets.services.sign.SIGN_S", DEAD_S)
        patch.setattr("apps.wallets.services.signed_ids.SIGN_S", DEAD_S)
        for _ in range(2):
            pool.step()
    start()
    steps_until(pool, lambda: Message.objects.filter(state=MessageState.LANDED).count() == 3)

    assert paid(pool, sender) == [1, 2, 3]
    assert recovery_now() is None
    pool.push("m4", sender, value=4)
    steps_until(pool, lambda: pool.row("m4").state == MessageState.LANDED)
    assert pool.nonces_on_chain(sender) == [0, 1, 2, 3]
