"""Cancelling: a transfer of nothing takes the nonce, whichever of the two lands."""

from __future__ import annotations

import pytest

from apps.core.errors import DomainError
from apps.messages.errors import AlreadyOnChain, BadMessage, FeeTooLow, SignerRefuses
from apps.messages.models import GasGuard, Message
from apps.messages.rules.push_items import Gas
from apps.messages.services.bulk import messages_bulk
from apps.messages.services.cancel import message_cancel
from apps.messages.services.expire import late_messages_cancel
from apps.messages.services.publish import messages_publish
from apps.messages.states import MessageState
from poolsite.filecoin.ethereum import METHOD_INVOKE_EVM
from tests.messaging import Pool

CHEAP = Gas(limit=2_000_000, fee_cap=1_000, premium=100)


def flying(pool: Pool, *ids: str) -> str:
    address = pool.address()
    for one in ids:
        pool.push(one, address, gas=CHEAP, value=5)
    pool.choose()
    return address


def cancel(pool: Pool, id: str) -> Message:
    made = message_cancel(message=pool.row(id), client=pool.client, head=pool.head, now=pool.now)
    messages_publish([made.pk], now=pool.now)
    return made


def test_the_transfer_takes_the_nonce_and_the_rest_goes_on(pool: Pool) -> None:
    address = flying(pool, "one", "two")

    made = cancel(pool, "one")

    assert (made.nonce, made.to, made.value, made.state) == (0, address, 0, MessageState.FILLED)
    assert made.gas_premium > 125
    assert (pool.row("one").state, pool.row("one").error) == (MessageState.FAILED, "cancelled")
    pool.step()
    pool.step()
    assert pool.row(made.pk).state == MessageState.LANDED
    assert pool.row("two").state == MessageState.LANDED
    assert pool.row("one").state == MessageState.FAILED
    assert pool.nonces_on_chain(address) == [0, 1]


def test_an_ethereum_sender_cancels_by_a_call_of_itself(pool: Pool) -> None:
    address = pool.address(kind="delegated")
    pool.push("one", address, to=address, method=METHOD_INVOKE_EVM, gas=CHEAP)
    pool.choose()

    made = cancel(pool, "one")

    assert (made.to, made.method, made.value, bytes(made.params)) == (address, METHOD_INVOKE_EVM, 0, b"")
    signed = pool.node.pool[(address, 0)]
    assert (str(signed.cid), signed.message.method) == (made.cid, METHOD_INVOKE_EVM)


def test_what_was_in_a_block_already_has_landed_all_the_same(pool: Pool) -> None:
    address = flying(pool, "one")
    pool.node.mine()

    made = message_cancel(message=pool.row("one"), client=pool.client, head=pool.head, now=pool.now)
    pool.step()
    pool.step()

    assert pool.row("one").state == MessageState.LANDED
    assert pool.row(made.pk).state == MessageState.REPLACED
    assert pool.nonces_on_chain(address) == [0]


def test_reverted_message_is_cancelled_by_the_same_transfer(pool: Pool) -> None:
    address = flying(pool, "one")
    pool.node.mine()
    made = message_cancel(message=pool.row("one"), client=pool.client, head=pool.head, now=pool.now)
    pool.step()
    pool.step()
    assert (pool.row("one").state, pool.row(made.pk).state) == (MessageState.LANDED, MessageState.REPLACED)
    pool.node.rewind(3)
    for _ in range(4):
        pool.node.mine(salt="branch", only=lambda _signed: False)
    pool.settle()
    assert (pool.row("one").state, pool.row(made.pk).state) == (MessageState.FILLED, MessageState.REPLACED)

    again = cancel(pool, "one")

    assert (again.pk, again.state, again.height) == (made.pk, MessageState.FILLED, 0)
    assert pool.row("one").state == MessageState.FAILED
    pool.step()
    pool.step()
    assert (pool.row("one").state, pool.row(made.pk).state) == (MessageState.FAILED, MessageState.LANDED)
    assert pool.nonces_on_chain(address) == [0]


def test_a_message_taken_back_by_hand_is_cancelled_by_the_same_transfer(pool: Pool) -> None:
    address = flying(pool, "one")
    made = cancel(pool, "one")
    Message.objects.filter(pk=made.pk).update(state=MessageState.FAILED)
    Message.objects.filter(push_id="one").update(state=MessageState.FILLED)

    again = cancel(pool, "one")

    assert (again.pk, again.state) == (made.pk, MessageState.FILLED)
    pool.step()
    pool.step()
    assert (pool.row("one").state, pool.row(made.pk).state) == (MessageState.FAILED, MessageState.LANDED)
    assert pool.nonces_on_chain(address) == [0]


def test_what_cannot_be_cancelled_is_refused_before_anything_is_signed(pool: Pool) -> None:
    address = flying(pool, "one")
    pool.push("waiting", address)
    asked = pool.keyring.asked

    with pytest.raises(BadMessage):
        cancel(pool, "waiting")
    pool.step()
    pool.step()
    with pytest.raises(AlreadyOnChain):
        cancel(pool, "one")

    assert pool.keyring.asked == asked + 1  # the one that the steps chose


def test_what_the_chain_passed_meanwhile_is_not_cancelled(pool: Pool) -> None:
    flying(pool, "one")
    pool.node.mine()
    pool.node.mine()
    pool.follow()
    asked = pool.keyring.asked

    with pytest.raises(AlreadyOnChain):
        cancel(pool, "one")

    assert (pool.keyring.asked, pool.row("one").state) == (asked, MessageState.FILLED)


def test_the_largest_fee_holds(pool: Pool) -> None:
    flying(pool, "one")
    GasGuard.objects.create(max_fee=1_000)
    asked = pool.keyring.asked

    with pytest.raises(FeeTooLow):
        cancel(pool, "one")

    assert pool.keyring.asked == asked
    assert pool.row("one").state == MessageState.FILLED


def test_without_a_signer_nothing_changes(pool: Pool) -> None:
    flying(pool, "one")
    pool.keyring.is_away = True

    with pytest.raises(SignerRefuses):
        cancel(pool, "one")

    assert pool.row("one").state == MessageState.FILLED
    assert Message.objects.count() == 1


@pytest.mark.parametrize("action", ["replace", "cancel", "republish", "mark-bad"])
def test_a_whole_queue_is_changed_and_refusals_are_named(pool: Pool, action: str) -> None:
    flying(pool, "one", "two")
    pool.keyring.refused.add(bytes(pool.row("two").to.encode()))

    rows = list(Message.objects.order_by("nonce"))
    Message.objects.filter(push_id="two").update(state=MessageState.FAILED)
    done = messages_bulk(action, rows=rows, client=pool.client, head=pool.head, now=pool.now)

    expected = {"replace": {"two"}, "cancel": {"two"}, "republish": set(), "mark-bad": {"two"}}
    assert {row.push_id for row, _ in done.refused} == expected[action]
    assert "one" in [row.push_id for row in done.done]
    state = {"replace": "FILLED", "cancel": "FAILED", "republish": "FILLED", "mark-bad": "FAILED"}
    assert pool.row("one").state == state[action]


def test_an_unknown_action_is_refused(pool: Pool) -> None:
    flying(pool, "one")

    with pytest.raises(DomainError) as refusal:
        messages_bulk("explode", rows=Message.objects.all(), client=pool.client, head=pool.head, now=pool.now)

    assert refusal.value.field == "action"


@pytest.mark.parametrize("first", ["transfer", "message"])
def test_publication_past_its_last_epoch_is_cancelled(pool: Pool, first: str) -> None:
    address = pool.address()
    last = pool.head.height + 2
    for name, kind in (("deals", "publish"), ("step", "commit"), ("other", "")):
        pool.push(name, address, gas=CHEAP, kind=kind, expire_epoch=last)
    pool.choose()
    names: dict[int | None, str] = {pool.row(name).nonce: name for name in ("deals", "step", "other")}
    while pool.head.height <= last:
        assert late_messages_cancel(client=pool.client, head=pool.head, now=pool.now) == []
        pool.step(only=lambda _signed: False)
    old = pool.node.pool[(address, 0)]

    [made] = late_messages_cancel(client=pool.client, head=pool.head, now=pool.now)

    assert names[pool.row(made).nonce] == "deals"
    assert (pool.row("deals").state, pool.row("deals").error) == (MessageState.FAILED, "cancelled")
    if first == "message":
        pool.node.pool[(address, 0)] = old
    for _ in range(2):
        pool.step()
    landed = {MessageState.LANDED, MessageState.FAILED if first == "transfer" else MessageState.REPLACED}
    assert {pool.row(made).state, pool.row("deals").state} == landed
    assert late_messages_cancel(client=pool.client, head=pool.head, now=pool.now) == []


def test_late_message_that_cannot_be_cancelled_is_tried_again(pool: Pool) -> None:
    address = pool.address()
    pool.push("deals", address, gas=CHEAP, kind="publish", expire_epoch=pool.head.height + 1)
    pool.choose()
    for _ in range(2):
        pool.step(only=lambda _signed: False)
    pool.keyring.is_away = True
    assert late_messages_cancel(client=pool.client, head=pool.head, now=pool.now) == []
    assert pool.row("deals").state == MessageState.FILLED

    pool.keyring.is_away = False
    assert len(late_messages_cancel(client=pool.client, head=pool.head, now=pool.now)) == 1
