"""Choosing on a head: order, quota, gates, refusals, and nonces that are never given twice."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.messages.errors import BadMessage
from apps.messages.models import Message, Sender
from apps.messages.rules.push_items import Gas, SendSpec
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.fee_rules import shared_rules_set
from apps.messages.services.method_rules import actor_rules_set
from apps.messages.services.retry import message_retry
from apps.messages.services.select import due_senders_list, sender_select
from apps.messages.services.senders import sender_set, sender_set_nonce
from apps.messages.states import MessageState, SenderState, Wait
from apps.users.rules.principals import SYSTEM
from apps.users.services.grants import signer_grant
from poolsite.filecoin.message import signed_message_from_cbor
from tests.fake_node import ACTOR_CODE, PREMIUM
from tests.messaging import Pool
from tests.people import principal, tenant


def test_a_message_gets_nonce_gas_and_signature_and_is_published(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)

    pool.choose()

    row = pool.row("one")
    assert (row.state, row.nonce, row.gas_premium) == (MessageState.FILLED, 0, PREMIUM)
    assert row.gas_limit == 1_250_000
    assert str(signed_message_from_cbor(bytes(row.signed)).cid) == row.cid
    assert row.published_at is not None
    assert (address, 0) in pool.node.pool


def test_bls_and_secp256k1_senders_both_sign(pool: Pool) -> None:
    for kind in ("bls", "secp256k1"):
        address = pool.address(kind=kind)
        pool.push(kind, address)

    pool.choose()

    bls, secp = pool.row("bls"), pool.row("secp256k1")
    assert bls.cid == bls.unsigned_cid
    assert secp.cid != secp.unsigned_cid


def test_oldest_first_with_contiguous_nonces(pool: Pool) -> None:
    address = pool.address()
    for name in "abc":
        pool.push(name, address)

    pool.choose()

    assert [pool.row(name).nonce for name in "abc"] == [0, 1, 2]


def test_a_proof_overtakes_and_deadlines_order_proofs(pool: Pool) -> None:
    address = pool.address()
    pool.push("rest", address)
    pool.push("late proof", address, kind="window_post", urgent_epoch=90)
    pool.push("pre-commit", address, kind="precommit")
    pool.push("early proof", address, kind="window_post", urgent_epoch=50)

    pool.choose()

    order = Message.objects.order_by("nonce").values_list("push_id", flat=True)
    assert list(order) == ["early proof", "late proof", "pre-commit", "rest"]


def test_tenants_of_one_sender_take_turns(pool: Pool) -> None:
    address = pool.address()
    bob = principal("bob")
    signer_grant(tenant=tenant("bob"), address=address)
    for number in range(3):
        pool.push(f"alice {number}", address)
    pool.push("bob 0", address, by=bob)
    sender_set(principal=SYSTEM, address=address, quota=2)

    pool.choose()

    filled = Message.objects.filter(state=MessageState.FILLED).order_by("nonce")
    assert list(filled.values_list("push_id", flat=True)) == ["alice 0", "bob 0"]


def test_the_quota_bounds_what_is_in_flight(pool: Pool) -> None:
    address = pool.address()
    for number in range(5):
        pool.push(str(number), address)
    sender_set(principal=SYSTEM, address=address, quota=2)

    pool.choose()
    pool.choose()

    assert Message.objects.filter(state=MessageState.FILLED).count() == 2
    assert Sender.objects.get(address=address).wait == Wait.QUOTA
    pool.step()
    pool.step()
    assert Message.objects.filter(state=MessageState.LANDED).count() == 2
    assert Message.objects.filter(state=MessageState.FILLED).count() == 2


def test_proofs_exceed_the_quota_up_to_what_a_node_takes(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.messages.services.select.PENDING_MAX", 3)
    address = pool.address()
    pool.push("rest", address)
    pool.choose()
    for number in range(4):
        pool.push(f"proof {number}", address, kind="window_post", urgent_epoch=100 + number)
    sender_set(principal=SYSTEM, address=address, quota=1)

    pool.choose()
    pool.choose()

    filled = Message.objects.filter(state=MessageState.FILLED).order_by("nonce")
    assert list(filled.values_list("push_id", flat=True)) == ["rest", "proof 0", "proof 1"]


def test_proofs_behind_the_last_free_place_go_on_the_same_head(pool: Pool) -> None:
    address = pool.address()
    for number in range(5):
        pool.push(f"proof {number}", address, kind="window_post", urgent_epoch=100 + number)
    pool.push("rest", address)
    sender_set(principal=SYSTEM, address=address, quota=1)

    rounds = [
        sender_select(address=address, head=pool.head, client=pool.client, now=pool.now) for _ in range(2)
    ]

    assert [(len(one.filled), one.has_more) for one in rounds] == [(1, True), (4, False)]
    assert pool.row("rest").nonce is None


def test_a_failing_message_stops_nobody_and_rests(pool: Pool) -> None:
    address = pool.address()
    pool.node.fails["999"] = "message execution failed: exit SysErrInvalidMethod(22)"
    pool.push("bad", address, method=999)
    pool.push("good", address)

    pool.choose()

    bad = pool.row("bad")
    assert (bad.state, bad.wait, bad.nonce) == (MessageState.UNFILLED, Wait.ESTIMATE, None)
    assert bad.error.startswith("gas estimate: ")
    assert bad.retry_height > pool.head.height
    assert pool.row("good").nonce == 0
    assert due_senders_list(head=pool.head) == []


def test_failing_messages_do_not_take_the_places_of_good_ones(pool: Pool) -> None:
    address = pool.address()
    pool.node.fails["999"] = "no"
    for number in range(5):
        pool.push(f"bad {number}", address, method=999)
    pool.push("good", address)
    sender_set(principal=SYSTEM, address=address, quota=1)

    pool.choose()

    assert pool.row("good").state == MessageState.FILLED


def test_the_base_fee_gate_holds_without_an_error(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    sender_set(principal=SYSTEM, address=address, fees={"base_fee": 50})

    pool.choose()

    row = pool.row("one")
    assert (row.state, row.wait) == (MessageState.UNFILLED, Wait.BASE_FEE_GATE)
    pool.node.base_fee = 40
    pool.step()
    assert pool.row("one").state == MessageState.FILLED


def test_no_gate_holds_a_proof_whose_window_would_close_meanwhile(pool: Pool) -> None:
    address = pool.address()
    pool.push("rest", address)
    pool.push("proof", address, kind="window_post", urgent_epoch=90)
    sender_set(principal=SYSTEM, address=address, fees={"base_fee": 50})

    pool.choose()

    assert (pool.row("proof").state, pool.row("rest").state) == (MessageState.FILLED, MessageState.UNFILLED)


def test_no_gate_holds_a_gap_filler_that_a_proof_waits_for(pool: Pool) -> None:
    address = pool.address()
    pool.push("lost", address)
    pool.choose()
    pool.push("proof", address, kind="window_post", urgent_epoch=90)
    pool.choose()
    message_mark_bad(message=pool.row("lost"), now=pool.now)
    pool.node.pool.pop((address, 0))
    sender_set(principal=SYSTEM, address=address, fees={"base_fee": 50})

    for _ in range(6):
        pool.step()

    assert pool.nonces_on_chain(address) == [0, 1]
    assert pool.row("proof").state == MessageState.LANDED


def test_a_fee_limit_below_the_base_fee_gets_no_nonce(pool: Pool) -> None:
    address = pool.address()
    pool.push("cheap", address, spec=SendSpec(max_fee=1))
    pool.push("next", address)

    pool.choose()

    cheap = pool.row("cheap")
    assert (cheap.state, cheap.wait) == (MessageState.UNFILLED, Wait.FEE_LIMIT)
    assert pool.row("next").nonce == 0


def test_the_message_goes_before_sender_method_and_pool(pool: Pool) -> None:
    address = pool.address()
    pool.node.balances["f01000"] = 0
    shared_rules_set(principal=SYSTEM, fees={"gas_over_estimation": 1.1})
    actor_rules_set(
        principal=SYSTEM, id=uuid.uuid4(), fees={"gas_over_estimation": 1.2}, code=ACTOR_CODE, method=7
    )
    pool.push("pool", address, to="f01001")
    pool.push("method", address, method=7)
    pool.push("own", address, method=7, spec=SendSpec(gas_over_estimation=1.4))
    pool.choose()
    sender_set(principal=SYSTEM, address=address, fees={"gas_over_estimation": 1.3})
    pool.push("sender", address, method=7)
    pool.choose()

    limits = {name: pool.row(name).gas_limit for name in ("pool", "method", "sender", "own")}
    assert limits == {"pool": 1_100_000, "method": 1_200_000, "sender": 1_300_000, "own": 1_400_000}


def test_own_gas_values_are_kept(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address, gas=Gas(limit=2_000_000, fee_cap=777_000, premium=5))

    pool.choose()

    row = pool.row("one")
    assert (row.gas_limit, row.gas_fee_cap, row.gas_premium) == (2_000_000, 777_000, 5)


def test_without_a_signer_nothing_gets_a_nonce(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.keyring.is_away = True

    pool.choose()

    assert (pool.row("one").state, pool.row("one").wait) == (MessageState.UNFILLED, Wait.SIGNER_AWAY)
    pool.keyring.is_away = False
    pool.step()
    assert pool.row("one").nonce == 0


def test_a_refused_signature_shifts_the_nonces_behind_it(pool: Pool) -> None:
    address = pool.address()
    pool.push("a", address)
    pool.push("refused", address, params=b"\x81forbidden")
    pool.push("c", address)
    pool.keyring.refused.add(b"forbidden")

    pool.choose()

    assert [pool.row(name).nonce for name in ("a", "refused", "c")] == [0, None, 1]
    assert pool.row("refused").wait == Wait.POLICY
    pool.step()
    assert pool.nonces_on_chain(address) == [0, 1]


def test_a_stopped_sender_is_not_chosen_but_tracked(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    pool.push("two", address)
    sender_set(principal=SYSTEM, address=address, state=SenderState.FORBIDDEN)

    pool.step()
    pool.step()

    assert pool.row("one").state == MessageState.LANDED
    assert pool.row("two").state == MessageState.UNFILLED


def test_an_expired_message_is_given_up(pool: Pool) -> None:
    address = pool.address(fil=0)
    pool.push("one", address, expire_epoch=2)

    for _ in range(3):
        pool.step()

    row = pool.row("one")
    assert (row.state, row.wait) == (MessageState.FAILED, Wait.EXPIRED)
    with pytest.raises(BadMessage, match="epoch 2 has passed: push it again"):
        message_retry(message=row, now=pool.now)
    assert pool.row("one").state == MessageState.FAILED, "whoever pushed it may have pushed another"


def test_what_was_computed_from_old_nonces_is_thrown_away(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = pool.address()
    pool.push("one", address)
    real = pool.keyring.sign_all

    def meanwhile(requests: Any, **options: Any) -> Any:
        sender_set_nonce(principal=SYSTEM, address=address, nonce=5)
        return real(requests, **options)

    monkeypatch.setattr("apps.wallets.services.sign.wallet_sign_all", meanwhile)
    done = sender_select(address=address, head=pool.head, client=pool.client, now=pool.now)

    assert done.filled == ()
    assert pool.row("one").state == MessageState.UNFILLED


def test_a_message_given_up_while_it_was_signed_burns_no_nonce(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.push("two", address)
    real = pool.keyring.sign_all

    def meanwhile(requests: Any, **options: Any) -> Any:
        if pool.row("one").state == MessageState.UNFILLED:
            message_mark_bad(message=pool.row("one"), now=pool.now)
        return real(requests, **options)

    monkeypatch.setattr("apps.wallets.services.sign.wallet_sign_all", meanwhile)
    pool.choose()

    assert pool.row("two").nonce == 0
    assert Sender.objects.get(address=address).next_nonce == 1


def test_nonces_go_on_from_what_others_used(pool: Pool) -> None:
    address = pool.address()
    pool.push("ours", address)
    pool.choose()
    pool.step()
    pool.node.pool[(address, 1)] = pool.foreign(address, nonce=1)

    pool.push("next", address)
    pool.choose()

    assert pool.row("next").nonce == 2
    assert Sender.objects.get(address=address).foreign_at is not None


def test_nothing_to_do_costs_no_call(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    for _ in range(3):
        pool.step()
    pool.node.calls.clear()

    pool.choose()

    assert pool.node.calls == []


def test_transfers_alike_are_estimated_once_and_other_calls_each(pool: Pool) -> None:
    address = pool.address()
    for number in range(10):
        pool.push(f"same {number}", address)
        pool.push(f"call {number}", address, method=7)
    sender_set(principal=SYSTEM, address=address, quota=50)
    asked: list[int] = []
    pool.node.refuses = lambda method, params: (
        asked.append(len(params[0])) if method == "GasBatchEstimateMessageGas" else None
    )

    pool.choose()

    assert asked == [11]
    assert Message.objects.filter(state=MessageState.FILLED).count() == 20


def test_a_round_that_ends_early_says_so_and_the_next_goes_on(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.messages.services.estimate.ESTIMATES_MAX", 3)
    address = pool.address()
    for number in range(7):
        pool.push(f"m{number}", address, method=7)

    rounds = [
        sender_select(address=address, head=pool.head, client=pool.client, now=pool.now) for _ in range(3)
    ]

    assert [(len(one.filled), one.has_more) for one in rounds] == [(3, True), (3, True), (1, False)]
    assert [pool.row(f"m{number}").nonce for number in range(7)] == list(range(7))


def test_a_node_of_single_estimates_is_asked_for_a_few_at_a_time(pool: Pool) -> None:
    pool.node.lacks.add("GasBatchEstimateMessageGas")
    pool.client.gas_batch_estimate([], nonce=0, key=pool.head.key)  # from here the node is known to lack it
    address = pool.address()
    pool.node.fails["9"] = "message execution failed"
    for number in range(12):
        pool.push(f"bad{number}", address, method=9)
    for number in range(5):
        pool.push(f"good{number}", address, method=7)

    rounds = [
        sender_select(address=address, head=pool.head, client=pool.client, now=pool.now) for _ in range(2)
    ]

    assert [(len(one.filled), one.has_more) for one in rounds] == [(0, True), (5, False)]
    assert pool.node.calls.count("GasEstimateMessageGas") == 17


def test_one_whose_last_epoch_has_passed_is_not_chosen_before_it_is_failed(pool: Pool) -> None:
    pool.step()
    address = pool.address()
    pool.push("one", address, spec=SendSpec(expire_epoch=pool.head.height))
    pool.push("two", address, spec=SendSpec(expire_epoch=pool.head.height + 1))
    pool.node.mine()
    pool.follow()

    sender_select(address=address, head=pool.head, client=pool.client, now=pool.now)

    assert [pool.row(id).state for id in ("one", "two")] == [MessageState.UNFILLED, MessageState.FILLED]
