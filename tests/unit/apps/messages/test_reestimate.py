"""Estimates of a batch hold only together: when one message leaves, those after it are estimated again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.messages.models import Message, Sender
from apps.messages.rules.push_items import SendSpec
from apps.messages.services.guards import guard_set
from apps.messages.services.senders import sender_set
from apps.messages.states import MessageState, Wait
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.message import Message as ChainMessage
from tests.fake_node import GAS, Refusal
from tests.messaging import FIL, Pool

NEW = "f01007"
"""A receiver that the first transfer to it makes."""
MAKING = 2 * GAS
CREATE_MINER = 2


def making(message: ChainMessage, prior: list[ChainMessage]) -> int:
    """The first message to NEW makes it; a call of method 2 needs somebody to have made it."""
    is_made = any(str(one.to) == NEW for one in prior)
    if message.method == CREATE_MINER and not is_made:
        raise Refusal("message execution failed (exit=[ErrIllegalArgument(16)], vm error=[])", 3)
    return MAKING if str(message.to) == NEW and not is_made else GAS


def estimates(pool: Pool) -> int:
    """How often the node was asked for a batch."""
    return pool.node.calls.count("GasBatchEstimateMessageGas")


def refused_by_signer(pool: Pool, address: str) -> None:
    pool.push("leaves", address, to=NEW, params=b"\x81forbidden")
    pool.keyring.refused.add(b"forbidden")


def over_fee_limit(pool: Pool, address: str) -> None:
    pool.push("leaves", address, to=NEW, params=b"\x81x", spec=SendSpec(max_fee=MAKING * 10))


def over_cap(pool: Pool, address: str) -> None:
    pool.push("leaves", address, to=NEW, params=b"\x81x", kind="dear")
    guard_set(principal=SYSTEM, kind="dear", max_fee=MAKING * 10)


def over_budget(pool: Pool, address: str) -> None:
    pool.push("leaves", address, to=NEW, params=b"\x81x", kind="dear")
    guard_set(principal=SYSTEM, kind="dear", daily_budget=MAKING)


def over_balance(pool: Pool, address: str) -> None:
    pool.push("leaves", address, to=NEW, params=b"\x81x", value=1000 * FIL)


LEAVERS = {
    "signer": (refused_by_signer, Wait.POLICY),
    "fee limit": (over_fee_limit, Wait.FEE_LIMIT),
    "cap": (over_cap, Wait.GAS_CAP),
    "budget": (over_budget, Wait.DAILY_BUDGET),
    "funds": (over_balance, Wait.FUNDS),
}


@pytest.mark.parametrize(("leave", "wait"), LEAVERS.values(), ids=LEAVERS.keys())
def test_what_follows_a_leaver_is_estimated_without_it(
    pool: Pool, leave: Callable[[Pool, str], None], wait: Wait
) -> None:
    pool.node.simulate = making
    address = pool.address()
    pool.push("before", address)
    leave(pool, address)
    pool.push("after", address, to=NEW, params=b"\x81y")

    pool.choose()

    assert (pool.row("leaves").nonce, pool.row("leaves").wait) == (None, wait)
    assert (pool.row("before").nonce, pool.row("before").gas_limit) == (0, int(GAS * 1.25))
    assert (pool.row("after").nonce, pool.row("after").gas_limit) == (1, int(MAKING * 1.25))


def test_call_that_needs_a_refused_transfer_is_not_signed(pool: Pool) -> None:
    pool.node.simulate = making
    address = pool.address()
    refused_by_signer(pool, address)
    pool.push("create", address, method=CREATE_MINER)
    pool.push("other", address, value=3)

    pool.choose()

    row = pool.row("create")
    assert (row.state, row.wait, row.nonce) == (MessageState.UNFILLED, Wait.ESTIMATE, None)
    assert pool.row("other").nonce == 0


def test_failure_caused_by_a_refused_message_is_no_failure(pool: Pool) -> None:
    def spent(message: ChainMessage, prior: list[ChainMessage]) -> int:
        if message.method == CREATE_MINER and any(b"forbidden" in one.params for one in prior):
            raise Refusal("message execution failed (exit=[SysErrInsufficientFunds(6)], vm error=[])", 3)
        return GAS

    pool.node.simulate = spent
    address = pool.address()
    refused_by_signer(pool, address)
    pool.push("create", address, method=CREATE_MINER)

    pool.choose()

    assert (pool.row("create").nonce, pool.row("create").attempts) == (0, 0)


def test_batch_that_stays_whole_is_estimated_once(pool: Pool) -> None:
    address = pool.address()
    for number in range(5):
        pool.push(str(number), address, value=number)

    pool.choose()

    assert estimates(pool) == 1


def test_many_refusals_cost_one_more_estimate(pool: Pool) -> None:
    address = pool.address()
    pool.keyring.refused.add(b"forbidden")
    for number in range(20):
        pool.push(f"good {number:02}", address, value=number)
        pool.push(f"bad {number:02}", address, params=b"\x81forbidden", value=number)
    sender_set(principal=SYSTEM, address=address, quota=50)

    pool.choose()

    filled = Message.objects.filter(state=MessageState.FILLED).order_by("nonce")
    assert [row.push_id for row in filled] == [f"good {number:02}" for number in range(20)]
    assert [row.nonce for row in filled] == list(range(20))
    assert estimates(pool) == 2


def test_place_of_a_refused_message_goes_to_the_next(pool: Pool) -> None:
    address = pool.address()
    refused_by_signer(pool, address)
    pool.push("next", address)
    sender_set(principal=SYSTEM, address=address, quota=1)

    pool.choose()

    assert pool.row("next").nonce == 0


def test_refusals_without_end_leave_the_rest_for_another_round(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = pool.address()
    for number in range(9):
        pool.push(str(number), address, value=number, params=b"\x81" + bytes([number]))
    real = pool.keyring.sign_all

    def second_refused(requests: Any, **options: Any) -> Any:
        pool.keyring.refused = {requests[1].extra[-3:]} if len(requests) > 1 else set()
        return real(requests, **options)

    monkeypatch.setattr("apps.wallets.services.sign.wallet_sign_all", second_refused)
    pool.choose()

    filled = list(Message.objects.filter(state=MessageState.FILLED).order_by("nonce"))
    assert [row.nonce for row in filled] == list(range(len(filled)))
    rest = Message.objects.filter(state=MessageState.UNFILLED, wait=Wait.NEXT_HEAD)
    assert filled
    assert rest.exists()


class Kill(BaseException):
    """The end of a process."""


@pytest.mark.parametrize("calls", [1, 2])
def test_kill_between_two_estimates_burns_no_nonce(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    pool.node.simulate = making
    address = pool.address()
    pool.push("before", address)
    refused_by_signer(pool, address)
    pool.push("after", address, to=NEW, params=b"\x81y")
    real, seen = pool.keyring.sign_all, []

    def killed_at(requests: Any, **options: Any) -> Any:
        answers = real(requests, **options)
        seen.append(len(requests))
        if len(seen) == calls:
            raise Kill
        return answers

    with monkeypatch.context() as patch:
        patch.setattr("apps.wallets.services.sign.wallet_sign_all", killed_at)
        with pytest.raises(Kill):
            pool.choose()
    assert Sender.objects.get(address=address).next_nonce == 0
    for _ in range(3):
        pool.choose()
        pool.step()

    assert pool.nonces_on_chain(address) == [0, 1]
    assert pool.row("after").gas_limit == int(MAKING * 1.25)
