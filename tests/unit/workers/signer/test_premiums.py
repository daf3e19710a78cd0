"""The part of a fee that whoever makes the block gets has limits of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT, MIN_GAS_PREMIUM
from poolsite.filecoin.gas_estimates import replacement_premium
from tests.unit.workers.signer.signing import SENDER, message, sign
from workers.signer.default_policy import DEFAULT
from workers.signer.errors import Denied
from workers.signer.policy_backtest import backtest_run
from workers.signer.policy_parse import policy_parse
from workers.signer.records import Records
from workers.signer.sign_request import Amounts, SignRequest
from workers.signer.signing import Signer

GAS = 10**9
NANO_FIL = 10**9
RULE = 'version = 1\n[[rule]]\nname = "r"\nfee_max = "5 FIL"\nfee_per_day = "200 FIL"\n'
A_MESSAGE = f'{RULE}premium_max = "1 FIL"\n'
A_DAY = f'{RULE}premium_per_day = "3 FIL"\n'


def paying(fil: float, **overrides: Any) -> Any:
    """Return a message whose premium is so much, of a fee of 5 FIL."""
    gas = {"gas_limit": GAS, "gas_fee_cap": 5 * NANO_FIL, "gas_premium": int(fil * NANO_FIL)}
    return message(**gas, **overrides)


NAMED = DEFAULT.replace('to = ["f04"]', 'to = ["f04", "f01234"]')
USUAL: Final = 2 * MIN_GAS_PREMIUM
"""The most that a node estimates while blocks are not full, in attoFIL per gas."""


def proof(gas: int, premium: int) -> SignRequest:
    """Return what a signer is asked for a WindowPoSt, as far as the policy looks."""
    return SignRequest(
        "message",
        SENDER,
        b"",
        readings=("miner.SubmitWindowedPoSt",),
        to=address_parse("f01234"),
        fee_max=5 * FIL,
        premium_max=gas * premium,
    )


def decide(request: SignRequest, *, spent: int = 0) -> str:
    """Return why the default refuses a request; empty if it does not."""
    sums = Amounts(premium=spent)
    policy, noon = policy_parse(NAMED), datetime(2026, 11, 20, 12, tzinfo=UTC)
    return policy.decide(request, caller="gateway", now=noon, spent=lambda _rule: sums).error


def policy_write(signer: Signer, text: str) -> None:
    (signer.folder / "policy.toml").write_text(text)


def test_a_premium_above_the_limit_of_a_message_is_refused(signer):
    policy_write(signer, A_MESSAGE)

    assert sign(signer, paying(1))
    with pytest.raises(Denied, match="rule 'r': premium 2 FIL is above 1 FIL"):
        sign(signer, paying(2))


def test_a_rule_without_premium_limits_has_none(signer):
    policy_write(signer, RULE)

    assert sign(signer, paying(5))


def test_premiums_of_a_day_add_up_and_outlive_a_start(signer):
    policy_write(signer, A_DAY)
    for nonce in range(3):
        sign(signer, paying(1, nonce=nonce))

    again = Records(signer.folder / "records.sqlite")

    where: dict[str, Any] = {"rule": "r", "address": str(SENDER), "day": datetime.now(UTC).date().isoformat()}
    assert again.spent(**where).premium == signer.records.spent(**where).premium == 3 * FIL
    with pytest.raises(Denied, match="rule 'r': premiums per day 4 FIL is above 3 FIL"):
        sign(signer, paying(1, nonce=3))


def test_replacements_of_one_message_count_with_the_highest_premium(signer):
    policy_write(signer, A_DAY)
    for premium in (1, 1.25, 2, 1.5):
        sign(signer, paying(premium))

    sign(signer, paying(1, nonce=1))
    with pytest.raises(Denied, match="premiums per day 4 FIL"):
        sign(signer, paying(3))
    assert sign(signer, paying(2))


def test_a_changed_premium_of_a_record_is_noticed(signer):
    policy_write(signer, A_DAY)
    sign(signer, paying(1))
    signer.records.link.execute("DROP TRIGGER record_no_update")

    signer.records.link.execute("UPDATE record SET premium_nano = 0")

    assert signer.records.chain_verify() == 1


def test_a_rehearsal_counts_premiums_of_a_day(signer):
    policy_write(signer, RULE)
    for nonce in (0, 1, 1, 2):
        sign(signer, paying(2, nonce=nonce))

    since = datetime.now(UTC) - timedelta(days=1)
    found = backtest_run(signer.records, policy_parse(A_DAY), since=since)

    afters = [one.after for one in found.changes]
    assert afters == ["refused (rule 'r': premiums per day 4 FIL is above 3 FIL)"] * 3


def test_the_default_signs_the_largest_message_replaced_twenty_times():
    """Each time a node's pool wants a quarter more: twenty times is more than a window has epochs for."""
    premium = USUAL
    for _ in range(20):
        assert not decide(proof(BLOCK_GAS_LIMIT, premium))
        premium = replacement_premium(premium, percent=125)


def test_the_default_signs_all_that_a_large_pool_sends_in_a_day():
    a_day = 10_000 * 10**9  # gas of 10,000 large batches and proofs, a seventh of what the chain takes
    spent = a_day * USUAL

    assert not decide(proof(BLOCK_GAS_LIMIT, USUAL), spent=spent)


def test_the_default_lets_nobody_take_more_than_five_fil_of_premiums_a_day():
    assert "premium 2 FIL is above 0.1 FIL" in decide(proof(1, 2 * FIL)), "the first rule that fits speaks"
    assert not decide(proof(1, FIL), spent=4 * FIL)
    assert decide(proof(1, FIL), spent=9 * FIL // 2), "by neither rule"
    assert "premiums per day" in decide(proof(1, FIL // 20), spent=5 * FIL)
    assert not decide(proof(1, FIL // 20), spent=9 * FIL // 2)
