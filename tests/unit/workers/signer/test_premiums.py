"""The part of a fee that whoever makes the block gets has limits of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from poolsite.filecoin.amounts import FIL
from tests.unit.workers.signer.signing import SENDER, message, sign
from workers.signer.errors import Denied
from workers.signer.policy_backtest import backtest_run
from workers.signer.policy_parse import policy_parse
from workers.signer.records import Records

if TYPE_CHECKING:
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
