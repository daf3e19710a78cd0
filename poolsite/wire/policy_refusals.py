"""How a signer says which limit of its policy a message breaks, and how the console reads that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

VALUE: Final = "value"
FEE: Final = "fee"
PREMIUM: Final = "premium"
VALUE_PER_DAY: Final = "value per day"
FEES_PER_DAY: Final = "fees per day"
PREMIUMS_PER_DAY: Final = "premiums per day"
LIMITS: Final = (VALUE, FEE, PREMIUM, VALUE_PER_DAY, FEES_PER_DAY, PREMIUMS_PER_DAY)
"""Limits of a rule, as refusals name them."""
DAILY: Final = (VALUE_PER_DAY, FEES_PER_DAY, PREMIUMS_PER_DAY)
"""Those of a sum that begins anew at midnight UTC."""
NO_RULE: Final = "no rule allows "
"""Begins what is said of a request that no rule is for."""

FORM: Final = re.compile(
    r"rule '(?P<rule>.+?)': (?P<limit>"
    + "|".join(sorted(LIMITS, key=len, reverse=True))
    + r") (?P<amount>-?[\d.]+ FIL) is above (?P<allowed>-?[\d.]+ FIL)"
)


@dataclass(frozen=True, slots=True)
class LimitRefusal:
    """A limit of a rule that a request breaks."""

    rule: str
    limit: str
    """One of `LIMITS`."""
    amount: str
    """What was asked for, with its unit; of a daily limit together with what the day has spent."""
    allowed: str

    def __str__(self) -> str:
        return f"rule '{self.rule}': {self.limit} {self.amount} is above {self.allowed}"


def limit_refusal_read(text: str) -> LimitRefusal | None:
    """Read a refusal out of what a signer said; None if it says something else."""
    found = FORM.search(text)
    return None if found is None else LimitRefusal(**found.groupdict())
