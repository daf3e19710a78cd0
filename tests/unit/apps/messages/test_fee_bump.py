"""Proofs that the base fee overtook pay more by themselves; others do not."""

from __future__ import annotations

from typing import Any

import pytest

from apps.messages.models import Message, SignedVersion
from apps.messages.rules.push_items import Gas, SendSpec
from apps.messages.services import fee_bump
from apps.messages.services.fee_bump import STEP_DUE_EPOCHS, proofs_bump
from apps.messages.services.guards import auto_bump_set
from apps.messages.services.replace import message_replace
from apps.messages.services.senders import sender_set
from apps.messages.states import MessageState, Wait
from apps.users.rules.principals import SYSTEM
from tests.messaging import Pool
from tests.people import tenant

CHEAP = Gas(limit=1_000_000, fee_cap=200, premium=100)
ROOMY = Gas(limit=1_000_000, fee_cap=10_000_000, premium=200_000)


def overtaken(pool: Pool, **data: Any) -> str:
    """A message in flight whose cap is below the base fee; gives its sender."""
    address = pool.address()
    pool.push("one", address, gas=CHEAP, **data)
    pool.choose()
    pool.node.base_fee = 300
    pool.node.mine(only=lambda _signed: False)
    pool.follow()
    return address


def test_a_proof_is_raised_and_published(pool: Pool) -> None:
    address = overtaken(pool, kind="window_post")

    raised = proofs_bump(client=pool.client, head=pool.head, now=pool.now)

    row = pool.row("one")
    assert raised == ["one"]
    assert row.gas_fee_cap >= 300
    assert str(pool.node.pool[(address, 0)].cid) == row.cid
    assert proofs_bump(client=pool.client, head=pool.head, now=pool.now) == []


def test_a_proof_whose_deadline_has_closed_is_raised_for_another_only(pool: Pool) -> None:
    close = pool.head.height + 3
    address = overtaken(pool, kind="window_post", urgent_epoch=close)
    while pool.head.height < close:
        pool.node.mine(only=lambda _signed: False)
        pool.follow()

    assert proofs_bump(client=pool.client, head=pool.head, now=pool.now) == []

    pool.push("live", address, kind="window_post", gas=ROOMY, urgent_epoch=close + 60)
    pool.choose()
    assert empty_head(pool) == ["one"]


def test_other_messages_wait_for_the_fee_to_fall(pool: Pool) -> None:
    overtaken(pool)

    assert proofs_bump(client=pool.client, head=pool.head, now=pool.now) == []


def test_what_lands_before_a_proof_is_raised_too(pool: Pool) -> None:
    address = overtaken(pool)
    pool.push("commit", address, kind="commit", gas=CHEAP)
    pool.push("proof", address, kind="window_post", gas=ROOMY, urgent_epoch=pool.head.height + 90)
    pool.push("alone", pool.address(), gas=CHEAP)
    pool.node.base_fee = 100
    pool.step(only=lambda _signed: False)
    pool.push("behind", address, gas=CHEAP)
    pool.step(only=lambda _signed: False)
    pool.node.base_fee = 300

    raised = empty_head(pool)

    assert [pool.row(name).nonce for name in ("one", "proof", "commit", "behind")] == [0, 1, 2, 3]
    assert raised == [pool.row("one").pk], (
        "what lands after the proof, or before none, waits for the fee to fall"
    )
    assert empty_head(pool) == []
    pool.step(only=lambda signed: signed.message.gas_fee_cap >= 300)
    pool.step(only=lambda signed: signed.message.gas_fee_cap >= 300)
    assert pool.row("proof").state == MessageState.LANDED


def test_a_proof_frees_a_full_quota_of_what_the_base_fee_overtook(pool: Pool) -> None:
    address = overtaken(pool)
    pool.push("rest", address)
    pool.push("proof", address, kind="window_post", urgent_epoch=pool.head.height + 20)
    sender_set(principal=SYSTEM, address=address, quota=1)

    pool.choose()

    assert (pool.row("proof").nonce, pool.row("rest").nonce) == (1, None)
    assert empty_head(pool) == [pool.row("one").pk]
    for _ in range(2):
        pool.step(only=lambda signed: signed.message.gas_fee_cap >= 300)
    assert pool.row("proof").state == MessageState.LANDED


def test_commit_before_a_proof_that_cannot_be_raised_is_tried_once(pool: Pool) -> None:
    last = pool.head.height + STEP_DUE_EPOCHS
    address = overtaken(pool, kind="commit", expire_epoch=last, spec=SendSpec(max_fee=250_000_000))
    pool.push("proof", address, kind="window_post", gas=ROOMY)
    pool.step(only=lambda _signed: False)
    pool.node.calls.clear()

    assert empty_head(pool) == []
    assert pool.node.calls.count("GasEstimateMessageGas") == 1


@pytest.mark.parametrize(
    "kind", ["precommit", "commit", "snap_up", "terminate", "extend", "compact", "publish"]
)
def test_a_step_of_a_sector_or_deal_is_raised_before_its_last_epoch(pool: Pool, kind: str) -> None:
    last = pool.head.height + STEP_DUE_EPOCHS + 2
    overtaken(pool, kind=kind, expire_epoch=last)

    assert proofs_bump(client=pool.client, head=pool.head, now=pool.now) == [], "the fee may fall"
    assert empty_head(pool) == ["one"]
    assert pool.row("one").gas_fee_cap >= 300
    assert empty_head(pool) == [], "once is enough"


def test_steps_that_have_to_land_before_are_raised_too(pool: Pool) -> None:
    address = pool.address()
    ends = pool.head.height + STEP_DUE_EPOCHS
    for name, last in (("one", ends + 9_000), ("two", ends), ("three", ends + 9_000)):
        pool.push(name, address, gas=CHEAP, kind="commit", expire_epoch=last)
    pool.choose()
    pool.node.base_fee = 300

    assert empty_head(pool) == ["one", "two"]


def test_what_waits_behind_a_message_that_cannot_be_raised_is_left(pool: Pool) -> None:
    last = pool.head.height + STEP_DUE_EPOCHS
    address = overtaken(pool, kind="commit", expire_epoch=last, spec=SendSpec(max_fee=250_000_000))
    pool.push("proof", address, kind="window_post", gas=CHEAP)
    pool.node.base_fee = 100
    pool.step(only=lambda _signed: False)
    pool.node.base_fee = 300

    assert empty_head(pool) == []
    assert pool.row("proof").versions.count() == 0


def test_an_unforeseen_failure_of_one_stops_no_other(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = sorted([pool.address(), pool.address()])
    for name, address in (("bad", first), ("good", second)):
        pool.push(name, address, gas=CHEAP, kind="window_post")
    pool.choose()
    pool.node.base_fee = 300

    def replace(*, message: Message, **how: Any) -> Message:
        if message.push_id == "bad":
            raise ValueError("a row that cannot be read")
        return message_replace(message=message, **how)

    monkeypatch.setattr(fee_bump, "message_replace", replace)

    assert empty_head(pool) == ["good"]


def test_the_largest_fee_holds_and_is_named(pool: Pool) -> None:
    overtaken(pool, kind="window_post", spec=SendSpec(max_fee=250_000_000))

    assert proofs_bump(client=pool.client, head=pool.head, now=pool.now) == []

    row = pool.row("one")
    assert (row.state, row.wait) == (MessageState.FILLED, Wait.FEE_CAP)
    assert "max fee 0.00000000025 FIL" in row.error
    assert not SignedVersion.objects.exists()


def test_proofs_are_raised_as_far_as_the_balance_goes(pool: Pool) -> None:
    address = overtaken(pool, kind="window_post", value=0)
    pool.push("two", address, kind="window_post", value=0, gas=CHEAP)
    pool.node.base_fee = 100
    pool.step(only=lambda _signed: False)
    pool.node.base_fee = 300
    pool.node.balances[address] = 108_000 * 1_000_000

    assert empty_head(pool) == ["one", "two"]

    rows = [pool.row("one"), pool.row("two")]
    assert [row.gas_fee_cap for row in rows] == [103_000, 5_000]
    assert rows[1].gas_premium == 5_000, "a premium above the cap buys nothing"


def test_a_proof_whose_raise_the_balance_does_not_pay_keeps_its_version(pool: Pool) -> None:
    address = overtaken(pool, kind="window_post", value=0)
    pool.node.balances[address] = 299 * 1_000_000

    assert empty_head(pool) == []

    row = pool.row("one")
    assert (row.gas_fee_cap, row.wait) == (200, Wait.FEE_CAP)
    assert row.error.startswith("needs ")
    assert not SignedVersion.objects.exists()


def test_without_a_signer_the_old_version_stays(pool: Pool) -> None:
    overtaken(pool, kind="window_post")
    pool.keyring.is_away = True

    assert proofs_bump(client=pool.client, head=pool.head, now=pool.now) == []

    assert pool.row("one").gas_fee_cap == 200


def near_deadline(pool: Pool, *, epochs: int, **rule: int) -> str:
    """A proof in flight whose deadline closes in `epochs`; its tenant has a rule for automatic fee bumps."""
    address = pool.address()
    auto_bump_set(
        principal=SYSTEM,
        tenant=tenant("alice"),
        is_on=True,
        **{"within_epochs": 10, "every_epochs": 2, **rule},
    )
    pool.push("one", address, kind="window_post", gas=ROOMY, urgent_epoch=pool.head.height + epochs)
    pool.choose()
    return address


def empty_head(pool: Pool) -> list[str]:
    pool.node.mine(only=lambda _signed: False)
    pool.follow()
    return proofs_bump(client=pool.client, head=pool.head, now=pool.now)


def test_a_proof_near_its_deadline_pays_more_again_and_again(pool: Pool) -> None:
    address = near_deadline(pool, epochs=12)
    assert empty_head(pool) == []  # eleven epochs are left

    premiums = [pool.row("one").gas_premium]
    assert empty_head(pool) == ["one"]
    premiums.append(pool.row("one").gas_premium)
    assert empty_head(pool) == []  # raised one epoch ago
    assert empty_head(pool) == ["one"]
    premiums.append(pool.row("one").gas_premium)

    assert premiums[1] > premiums[0] * 1.25
    assert premiums[2] > premiums[1] * 1.25
    assert str(pool.node.pool[(address, 0)].cid) == pool.row("one").cid


def test_the_rules_largest_fee_holds(pool: Pool) -> None:
    near_deadline(pool, epochs=3, max_fee=10_000)

    assert empty_head(pool) == []
    assert not SignedVersion.objects.exists()


def test_a_rule_that_is_off_or_a_deadline_that_has_passed_raises_nothing(pool: Pool) -> None:
    near_deadline(pool, epochs=2)
    assert empty_head(pool) == ["one"]
    for _ in range(4):
        assert empty_head(pool) == []

    auto_bump_set(principal=SYSTEM, tenant=tenant("alice"), is_on=False, within_epochs=10, every_epochs=1)
    pool.push("two", pool.address(), kind="window_post", gas=ROOMY, urgent_epoch=pool.head.height + 3)
    pool.choose()
    assert empty_head(pool) == []
