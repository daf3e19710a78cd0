"""Replacing, giving up, taking back: nonces stay whole."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from apps.core.errors import WrongState
from apps.messages.errors import AlreadyOnChain, BadMessage, FeeTooLow, SignerRefuses
from apps.messages.models import Message, Sender, SignedVersion
from apps.messages.rules.push_items import SendSpec
from apps.messages.selectors.replacement_fees import NewFees, premium_floor_compute
from apps.messages.services.cancel import message_mark_bad, messages_clear
from apps.messages.services.publish import messages_publish
from apps.messages.services.replace import message_replace
from apps.messages.services.retry import message_retry, messages_recover
from apps.messages.services.select import sender_select
from apps.messages.states import MessageState
from poolsite.filecoin.ethereum import METHOD_INVOKE_EVM
from tests.messaging import Pool


def replaced(pool: Pool, id: str, fees: NewFees) -> Message:
    row = message_replace(message=pool.row(id), fees=fees, client=pool.client, head=pool.head, now=pool.now)
    messages_publish([row.pk], now=pool.now)
    return pool.row(id)


def filled(pool: Pool, *names: str) -> str:
    address = pool.address()
    for name in names:
        pool.push(name, address)
    pool.choose()
    return address


def test_the_floor_is_the_pools_rule() -> None:
    assert premium_floor_compute(100_000) == 125_001
    assert premium_floor_compute(100_000, ratio=1.0) == 110_001


def test_an_automatic_replacement_raises_and_keeps_the_nonce(pool: Pool) -> None:
    address = filled(pool, "one")
    old = pool.row("one")

    new = replaced(pool, "one", NewFees())

    assert (new.nonce, new.gas_premium) == (0, 125_001)
    assert new.cid != old.cid
    assert SignedVersion.objects.get().cid == old.cid
    assert str(pool.node.pool[(address, 0)].cid) == new.cid
    pool.step()
    pool.step()
    assert pool.row("one").state == MessageState.LANDED


def test_the_old_version_may_land_and_counts(pool: Pool) -> None:
    address = filled(pool, "one")
    old = pool.node.pool[(address, 0)]
    replaced(pool, "one", NewFees())
    pool.node.pool[(address, 0)] = old

    pool.step()
    pool.step()

    row = pool.row("one")
    assert (row.state, row.landed_cid) == (MessageState.LANDED, str(old.cid))


def test_a_manual_replacement_takes_the_given_fees(pool: Pool) -> None:
    filled(pool, "one")

    new = replaced(pool, "one", NewFees(is_auto=False, premium=200_000, fee_cap=300_000, gas_limit=3_000_000))

    assert (new.gas_premium, new.gas_fee_cap, new.gas_limit) == (200_000, 300_000, 3_000_000)


@pytest.mark.parametrize(
    ("fees", "words"),
    [
        (NewFees(is_auto=False), "the premium must be above zero"),
        (NewFees(is_auto=False, premium=200_000), "the fee cap must be above zero"),
        (NewFees(is_auto=False, premium=200_000, fee_cap=100_000), "the fee cap is below the premium"),
        (NewFees(is_auto=False, premium=105_000, fee_cap=200_000), "is below 110\u202f001 aFIL"),
        (NewFees(is_auto=False, premium=200_000, fee_cap=200_000, max_fee=1), "more than the max fee"),
        (
            NewFees(is_auto=False, premium=200_000, fee_cap=200_000, gas_limit=500_000),
            "the gas limit 500000 is below",
        ),
        (NewFees(max_fee=1_000_000), "max fee 0.000000000001 FIL allows a fee cap of 0"),
    ],
    ids=["premium", "cap", "cap below premium", "rule", "limit", "gas limit", "auto limit"],
)
def test_fees_that_no_pool_takes_are_refused_before_signing(pool: Pool, fees: NewFees, words: str) -> None:
    filled(pool, "one")
    before = pool.row("one")
    asked = pool.keyring.asked

    with pytest.raises(FeeTooLow, match=words):
        replaced(pool, "one", fees)

    assert pool.keyring.asked == asked
    assert pool.row("one").cid == before.cid


def test_what_is_on_chain_is_not_replaced(pool: Pool) -> None:
    filled(pool, "one")
    pool.step()
    pool.step()

    with pytest.raises(AlreadyOnChain, match="the message is already on chain") as refused:
        replaced(pool, "one", NewFees())
    assert refused.value.wire_reason == "message already on chain"


def test_what_the_chain_passed_meanwhile_is_not_signed_again(pool: Pool) -> None:
    filled(pool, "one")
    pool.node.mine()
    pool.node.mine()
    pool.follow()
    asked = pool.keyring.asked

    with pytest.raises(AlreadyOnChain):
        replaced(pool, "one", NewFees())

    assert pool.keyring.asked == asked


def test_a_waiting_message_is_not_replaced(pool: Pool) -> None:
    pool.push("one", pool.address())

    with pytest.raises(BadMessage, match=r"only for a message in flight: .* not signed yet") as refused:
        replaced(pool, "one", NewFees())
    assert refused.value.wire_reason == "need FillMsg got UnFillMsg"


def test_without_a_signer_the_old_version_stays(pool: Pool) -> None:
    filled(pool, "one")
    before = pool.row("one").cid
    pool.keyring.is_away = True

    with pytest.raises(SignerRefuses):
        replaced(pool, "one", NewFees())

    assert pool.row("one").cid == before


def test_a_hole_is_closed_by_the_next_message(pool: Pool) -> None:
    address = filled(pool, "a", "b", "c")
    message_mark_bad(message=pool.row("b"), now=pool.now)
    del pool.node.pool[(address, 1)]
    pool.step()
    pool.push("d", address)

    for _ in range(5):
        pool.step()

    assert pool.row("d").nonce == 1
    assert pool.nonces_on_chain(address) == [0, 1, 2]
    assert {pool.row(name).state for name in "acd"} == {MessageState.LANDED}
    assert pool.row("b").state == MessageState.FAILED


def test_nonce_that_was_taken_back_meanwhile_is_not_given_again(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = filled(pool, "a", "b", "c")
    message_mark_bad(message=pool.row("b"), now=pool.now)
    del pool.node.pool[(address, 1)]
    pool.step()
    pool.push("d", address)
    pool.node.mine(only=lambda _signed: False)
    pool.follow()
    real = pool.keyring.sign_all

    def meanwhile(requests: Any, **options: Any) -> Any:
        messages_recover(address=address, client=pool.client, head=pool.head, now=pool.now)
        return real(requests, **options)

    monkeypatch.setattr("apps.wallets.services.sign.wallet_sign_all", meanwhile)
    sender_select(address=address, head=pool.head, client=pool.client, now=pool.now)

    assert [pool.row(name).nonce for name in "abcd"] == [0, 1, 2, 3]
    assert pool.row("b").state == MessageState.FILLED


def test_a_hole_that_nobody_fills_is_closed_by_a_transfer_to_oneself(pool: Pool) -> None:
    address, other = filled(pool, "a", "b", "c"), filled(pool, "d")
    message_mark_bad(message=pool.row("b"), now=pool.now)
    del pool.node.pool[(address, 1)]

    pool.step()
    assert dict(Sender.objects.values_list("address", "gap_nonce")) == {address: 1, other: None}
    for _ in range(6):
        pool.step()

    assert pool.nonces_on_chain(address) == [0, 1, 2]
    filler = Message.objects.get(kind="gap")
    assert (filler.to, filler.value, filler.nonce) == (address, 0, 1)
    assert filler.pushed_height == pool.head.height - 5, "a search asks a node for the blocks since then"
    assert Message.objects.filter(kind="gap").count() == 1


def test_nonce_gap_of_an_ethereum_sender_is_closed_by_a_call(pool: Pool) -> None:
    address = pool.address(kind="delegated")
    for name in "abc":
        pool.push(name, address, to=address, method=METHOD_INVOKE_EVM)
    pool.choose()
    message_mark_bad(message=pool.row("b"), now=pool.now)
    del pool.node.pool[(address, 1)]

    for _ in range(7):
        pool.step()

    assert pool.nonces_on_chain(address) == [0, 1, 2]
    filler = Message.objects.get(kind="gap")
    assert (filler.to, filler.method, filler.value) == (address, METHOD_INVOKE_EVM, 0)
    assert filler.state == MessageState.LANDED


def test_a_filler_of_an_ethereum_sender_from_before_becomes_a_call(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = pool.address(kind="delegated")
    for name in "abc":
        pool.push(name, address, to=address, method=METHOD_INVOKE_EVM)
    pool.choose()
    message_mark_bad(message=pool.row("b"), now=pool.now)
    del pool.node.pool[(address, 1)]
    with monkeypatch.context() as before:
        before.setattr("apps.messages.services.gaps.transfer_method", lambda _sender: 0)
        for _ in range(4):
            pool.step()
    assert Message.objects.get(kind="gap").state == MessageState.UNFILLED
    other = Message.objects.create(id="o", push_id="o", kind="gap", from_addr="f01001", to="f01001", method=0)

    import_module("apps.messages.migrations.0004_gap_methods").methods_set(apps, None)
    for _ in range(4):
        pool.step()

    assert pool.nonces_on_chain(address) == [0, 1, 2]
    other.refresh_from_db()
    assert other.method == 0


def test_gap_fillers_from_before_get_the_height_of_their_push(pool: Pool) -> None:
    address = filled(pool, "a", "b", "c")
    message_mark_bad(message=pool.row("b"), now=pool.now)
    del pool.node.pool[(address, 1)]
    for _ in range(3):
        pool.step()
    filler = Message.objects.get(kind="gap")
    height = filler.pushed_height
    Message.objects.filter(kind="gap").update(pushed_height=0)
    Message.objects.create(id="o", push_id="o", kind="gap", from_addr=address, to=address, method=0)

    import_module("apps.messages.migrations.0007_gap_heights").heights_set(apps, None)

    filler.refresh_from_db()
    assert filler.pushed_height == height > 0
    assert pool.row("o").pushed_height == 0


def hole_with_one_waiting(pool: Pool, **data: Any) -> str:
    """A gap below a message in flight, and one that waits and does not take it."""
    address = filled(pool, "a", "b", "c")
    message_mark_bad(message=pool.row("b"), now=pool.now)
    del pool.node.pool[(address, 1)]
    pool.push("waiting", address, **data)
    return address


def test_one_that_fails_again_and_again_does_not_keep_a_hole_open(pool: Pool) -> None:
    pool.node.fails["7"] = "exit 18"
    address = hole_with_one_waiting(pool, method=7)

    for _ in range(12):
        pool.step()

    assert pool.nonces_on_chain(address) == [0, 1, 2]
    assert Message.objects.filter(kind="gap").count() == 1
    assert pool.row("waiting").state == MessageState.UNFILLED


def test_one_that_is_held_does_not_keep_a_hole_open(pool: Pool) -> None:
    address = hole_with_one_waiting(pool, spec=SendSpec(hold_base_fee=1))

    for _ in range(5):
        pool.step()
    assert pool.nonces_on_chain(address) == [0], "it might have been let go"

    for _ in range(8):
        pool.step()
    assert pool.nonces_on_chain(address) == [0, 1, 2]
    assert Message.objects.filter(kind="gap").count() == 1


def test_a_message_given_up_that_lands_all_the_same_has_landed(pool: Pool) -> None:
    address = filled(pool, "one")
    message_mark_bad(message=pool.row("one"), now=pool.now)

    for _ in range(4):
        pool.step()

    assert pool.row("one").state == MessageState.LANDED
    assert pool.nonces_on_chain(address) == [0]
    assert not Message.objects.filter(kind="gap").exists()


def test_a_landed_message_cannot_be_given_up(pool: Pool) -> None:
    filled(pool, "one")
    pool.step()
    pool.step()

    with pytest.raises(WrongState):
        message_mark_bad(message=pool.row("one"), now=pool.now)


def test_clearing_gives_up_only_what_has_no_nonce(pool: Pool) -> None:
    address = filled(pool, "one")
    pool.push("two", address)

    assert messages_clear(address=address, now=pool.now) == 1

    assert (pool.row("one").state, pool.row("two").state) == (MessageState.FILLED, MessageState.FAILED)


def test_what_was_given_up_is_taken_back_while_its_nonce_is_open(pool: Pool) -> None:
    address = filled(pool, "one")
    message_mark_bad(message=pool.row("one"), now=pool.now)

    back = messages_recover(address=address, client=pool.client, head=pool.head, now=pool.now)

    assert back == ["one"]
    assert pool.row("one").state == MessageState.FILLED
    assert Sender.objects.get(address=address).next_nonce == 1


def test_what_lost_its_nonce_stays_given_up(pool: Pool) -> None:
    address = filled(pool, "one")
    message_mark_bad(message=pool.row("one"), now=pool.now)
    pool.node.pool[(address, 0)] = pool.foreign(address, nonce=0)
    pool.step()
    pool.step()

    assert messages_recover(address=address, client=pool.client, head=pool.head, now=pool.now) == []


def test_what_was_given_up_before_it_was_signed_is_chosen_again(pool: Pool) -> None:
    address = pool.address()
    row = pool.push("one", address)
    message_mark_bad(message=row, now=pool.now)

    message_retry(message=pool.row("one"), now=pool.now)

    assert pool.row("one").state == MessageState.UNFILLED
    pool.choose()
    assert (pool.row("one").state, pool.row("one").nonce) == (MessageState.FILLED, 0)


def test_what_the_pool_sends_anew_is_not_chosen_again(pool: Pool) -> None:
    row = pool.push("one", pool.address(), kind="publish")
    message_mark_bad(message=row, now=pool.now)

    with pytest.raises(BadMessage, match="the pool sends another message for it"):
        message_retry(message=pool.row("one"), now=pool.now)


def test_what_was_signed_is_not_signed_anew_by_a_retry(pool: Pool) -> None:
    filled(pool, "one")
    message_mark_bad(message=pool.row("one"), now=pool.now)

    with pytest.raises(BadMessage, match="was signed with nonce 0"):
        message_retry(message=pool.row("one"), now=pool.now)

    assert pool.row("one").state == MessageState.FAILED


def test_what_waits_is_not_retried(pool: Pool) -> None:
    row = pool.push("one", pool.address())

    with pytest.raises(WrongState):
        message_retry(message=row, now=pool.now)
