"""What limits the fees of a replacement: a day's budget, the balance, a block."""

from __future__ import annotations

import pytest

from apps.messages.errors import FeeTooLow
from apps.messages.models import Message
from apps.messages.rules.push_items import Gas
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.guards import guard_set
from apps.messages.services.replace import message_replace
from apps.users.rules.principals import SYSTEM, Principal
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from tests.messaging import FIL, Pool
from tests.people import principal

LIMIT = 2_000_000
FEES = Gas(limit=LIMIT, fee_cap=10_000, premium=1_000)
COST = LIMIT * (100 + 1_000)
"""Of such a message at base fee 100."""


def in_flight(pool: Pool, *, fil: int = 100, kind: str = "") -> Message:
    pool.push("one", pool.address(fil=fil), gas=FEES, kind=kind)
    pool.choose()
    return pool.row("one")


def replaced(pool: Pool, fees: NewFees, *, by: Principal | None = None) -> Message:
    return message_replace(
        message=pool.row("one"), fees=fees, client=pool.client, head=pool.head, now=pool.now, by=by
    )


def test_a_replacement_by_hand_stays_within_the_days_budget(pool: Pool) -> None:
    guard_set(principal=SYSTEM, daily_budget=COST + LIMIT * 500)
    old = in_flight(pool)

    dear = NewFees(is_auto=False, premium=1_501, fee_cap=10_000)
    with pytest.raises(FeeTooLow, match=r"gas guard has 0\.000000001 FIL left"):
        replaced(pool, dear, by=principal())
    assert pool.row("one").cid == old.cid

    new = replaced(pool, NewFees(is_auto=False, premium=1_500, fee_cap=10_000), by=principal())
    assert new.gas_premium == 1_500


def test_budgets_hold_up_no_replacement_that_the_pool_makes_or_they_spare(pool: Pool) -> None:
    guard_set(principal=SYSTEM, daily_budget=COST)
    in_flight(pool)
    assert replaced(pool, NewFees()).gas_premium > 1_000

    Message.objects.filter(push_id="one").update(priority=0)  # a proof
    assert replaced(pool, NewFees(), by=principal()).gas_premium > 1_000


def test_two_replacements_at_once_do_not_spend_a_day_twice(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard_set(principal=SYSTEM, daily_budget=COST + LIMIT * 1_000)
    in_flight(pool)
    sign = pool.keyring.sign_all

    def meanwhile(requests: object, *, timeout_s: float = 10) -> object:
        Message.objects.create(
            id="other", push_id="other", from_addr="f01001", to="f01000", method=0, state="FILLED",
            nonce=0, gas_limit=LIMIT, gas_fee_cap=10_000, gas_premium=1_000,
        )  # fmt: skip
        return sign(requests, timeout_s=timeout_s)  # type: ignore[arg-type]

    monkeypatch.setattr("apps.wallets.services.sign.wallet_sign_all", meanwhile)
    with pytest.raises(FeeTooLow, match="used up the daily budget"):
        replaced(pool, NewFees(is_auto=False, premium=2_000, fee_cap=10_000), by=principal())


@pytest.mark.parametrize(
    ("fees", "words"),
    [
        (NewFees(is_auto=False, premium=9_000, fee_cap=FIL), "needs 2000000 FIL"),
        (NewFees(is_auto=False, premium=9_000, fee_cap=9_000, gas_limit=BLOCK_GAS_LIMIT + 1), "gas limit"),
        (NewFees(gas_limit=BLOCK_GAS_LIMIT + 1), "gas limit"),
    ],
    ids=["balance", "block", "estimated"],
)
def test_fees_that_no_sender_or_block_has_room_for_are_refused(pool: Pool, fees: NewFees, words: str) -> None:
    in_flight(pool, fil=1)
    asked = pool.keyring.asked

    with pytest.raises(FeeTooLow, match=words):
        replaced(pool, fees)

    assert pool.keyring.asked == asked
