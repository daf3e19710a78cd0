"""Messages on the real devnet: real balances, gas, pool rules, null rounds and reorganisations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from apps.messages.models import Message, Sender, SignedVersion
from apps.messages.rules.push_items import SendSpec
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.publish import messages_publish
from apps.messages.services.replace import message_replace
from apps.messages.states import MessageState, Wait
from apps.users.services.grants import signer_grant
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.service import Service
from poolsite.filecoin.address import Address
from poolsite.filecoin.keys import key_address, key_generate
from tests.integration.messages.devnet import KINDS, DevnetPool
from tests.messaging import FIL, RECEIVER
from tests.people import tenant


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[DevnetPool]:
    keys = [key_generate(kind) for kind in KINDS]
    funds: dict[Address, Any] = {key_address(key): 1000 * FIL for key in keys}
    node = Devnet(":memory:", network="test", clock=ManualClock(), funds=funds)
    with Service(node, mining="paused") as service:
        pool = DevnetPool(node, service.url, keys)
        monkeypatch.setattr("apps.wallets.services.sign.wallet_sign_all", pool.keyring.sign_all)
        yield pool
        pool.link.close()
    node.close()


def test_both_kinds_of_keys_land_transfers(pool: DevnetPool) -> None:
    for at, address in enumerate(pool.addresses):
        pool.push(f"to-{at}", address, to=pool.addresses[1 - at], value=FIL)

    pool.choose()
    pool.step(2)

    for at in range(len(KINDS)):
        row = pool.row(f"to-{at}")
        assert (row.state, row.exit_code) == (MessageState.LANDED, 0)
        assert row.gas_used > 1_000_000
        lookup = pool.client.call("StateSearchMsg", [], {"/": row.cid}, -1, True)
        assert " ".join(cid["/"] for cid in lookup["TipSet"]) == row.executed_key
        assert lookup["Receipt"]["GasUsed"] == row.gas_used
        assert lookup["Height"] > row.height


def test_a_hundred_messages_of_one_sender_have_contiguous_nonces(pool: DevnetPool) -> None:
    secp, bls = pool.addresses
    Sender.objects.create(address=secp, quota=100)
    for number in range(100):
        pool.push(f"m{number}", secp, to=bls)

    pool.choose()
    pool.step(4)

    assert pool.nonces(secp) == list(range(100))
    assert Message.objects.filter(state=MessageState.LANDED).count() == 100


def test_a_message_that_would_fail_is_estimated_and_gets_no_nonce(pool: DevnetPool) -> None:
    secp, bls = pool.addresses
    pool.push("bad", secp, to=RECEIVER, method=999)
    pool.push("good", secp, to=bls)

    pool.choose()

    bad = pool.row("bad")
    assert (bad.state, bad.wait) == (MessageState.UNFILLED, Wait.ESTIMATE)
    assert "gas estimate" in bad.error
    assert pool.row("good").nonce == 0


def test_a_reorganisation_takes_back_and_lands_again(pool: DevnetPool) -> None:
    secp, bls = pool.addresses
    pool.step(2)
    fork = pool.node.head.key
    pool.push("one", secp, to=bls)
    pool.choose()
    pool.step(2)
    assert pool.row("one").state == MessageState.LANDED

    pool.node.head_set(fork)
    pool.settle()
    assert pool.row("one").state == MessageState.FILLED
    pool.node.null_rounds(1)
    pool.step(4)

    assert pool.row("one").state == MessageState.LANDED
    assert pool.nonces(secp) == [0]


def test_null_rounds_cost_nothing(pool: DevnetPool) -> None:
    secp, bls = pool.addresses
    pool.push("one", secp, to=bls)
    pool.choose()
    pool.node.null_rounds(3)

    pool.step(2)

    assert pool.row("one").state == MessageState.LANDED


def test_a_replacement_is_taken_by_the_real_pool_rule(pool: DevnetPool) -> None:
    secp, bls = pool.addresses
    pool.push("one", secp, to=bls)
    pool.choose()
    old = pool.row("one")

    row = message_replace(message=old, fees=NewFees(), client=pool.client, head=pool.head, now=pool.now)
    done = messages_publish([row.pk], now=pool.now)
    pool.step(2)

    assert done.refused == {}
    landed = pool.row("one")
    assert (landed.state, landed.landed_cid) == (MessageState.LANDED, row.cid)
    assert SignedVersion.objects.get().cid == old.cid
    assert pool.nonces(secp) == [0]


def test_max_fee_holds(pool: DevnetPool) -> None:
    secp, bls = pool.addresses
    pool.push("one", secp, to=bls, spec=SendSpec(max_fee=10**12))

    pool.choose()

    row = pool.row("one")
    assert row.gas_fee_cap * row.gas_limit <= 10**12


def test_a_hole_is_closed_on_the_real_pool(pool: DevnetPool) -> None:
    secp, bls = pool.addresses
    for name in "abc":
        pool.push(name, secp, to=bls)
    pool.node.faults.settings.drop_share = 1.0
    pool.choose()
    pool.node.faults.settings.drop_share = 0.0
    message_mark_bad(message=pool.row("b"), now=pool.now)

    pool.step(7)

    assert pool.nonces(secp) == [0, 1, 2]
    assert {pool.row(name).state for name in "ac"} == {MessageState.LANDED}
    assert Message.objects.get(kind="gap").nonce == 1


def test_an_unfunded_sender_waits_and_goes_on_once_funded(pool: DevnetPool) -> None:
    secp, bls = pool.addresses
    key = key_generate("secp256k1")
    poor = str(key_address(key))
    pool.keyring.keys[poor] = key
    signer_grant(tenant=tenant("alice"), address=poor)
    pool.push("from the poor", poor, to=bls)
    pool.choose()
    assert Sender.objects.get(address=poor).wait == Wait.NO_ACTOR

    pool.push("gift", secp, to=poor, value=10 * FIL)
    pool.step(6)

    assert pool.row("from the poor").state == MessageState.LANDED
