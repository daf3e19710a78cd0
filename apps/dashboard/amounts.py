"""Amounts as people type them into forms: FIL for sums, nanoFIL for fees per gas, nothing for "not set"."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from apps.core.errors import BadValue
from apps.core.formatting import ATTO_PER_FIL, ATTO_PER_NANO
from poolsite.filecoin.amounts import TOTAL_FILECOIN

DIGITS_MAX: Final = 40
WHOLE_MAX: Final = 1 << 31
FACTOR_MAX: Final = 1000


def amount_read(text: str, *, field: str, is_fee: bool = False) -> int:
    """Read FIL, or nanoFIL for a fee per gas, as attoFIL; an empty field is 0.  Raises BadValue."""
    if not text:
        return 0
    unit, name = (ATTO_PER_NANO, "nFIL") if is_fee else (ATTO_PER_FIL, "FIL")
    plain = text.replace("\u202f", "").replace(" ", "")
    try:
        amount = Decimal(plain) * unit
        is_whole = amount == amount.to_integral_value()
    except InvalidOperation:
        raise BadValue(f"write an amount in {name}, such as 0.5", field=field) from None
    if not plain.isascii() or len(plain) > DIGITS_MAX or not is_whole or not 0 <= amount <= TOTAL_FILECOIN:
        raise BadValue(f"write an amount in {name}, such as 0.5", field=field)
    return int(amount)


def amount_shown(atto: int, *, is_fee: bool = False) -> str:
    """Write attoFIL so that reading it gives the same; 0 is an empty field."""
    if not atto:
        return ""
    text = f"{Decimal(atto) / (ATTO_PER_NANO if is_fee else ATTO_PER_FIL):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def whole_read(text: str, *, field: str) -> int:
    """Read a count; an empty field is 0.  Raises BadValue."""
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) >= WHOLE_MAX:
        raise BadValue("write a whole number", field=field)
    return int(text)


def factor_read(text: str, *, field: str) -> float:
    """Read a factor such as 1.25; an empty field is 0.  Raises BadValue."""
    if not text:
        return 0.0
    try:
        value = float(text) if text.isascii() and len(text) < 12 else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value <= FACTOR_MAX:
        raise BadValue("write a factor, such as 1.25", field=field)
    return value
