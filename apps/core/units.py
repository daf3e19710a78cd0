"""Values of settings with their units, as the audit log keeps them: the unit follows from a value's name."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from poolsite.filecoin.amounts import fil_format

FIL_NAMES: Final = ("max_fee", "daily_budget", "balance_min")
"""Amounts in attoFIL."""
FEE_NAMES: Final = ("gas_fee_cap", "base_fee", "hold_base_fee", "base_fee_max")
"""attoFIL for a unit of gas."""
SUFFIXES: Final = {
    "_per_s": _("{value} a second"),
    "_epochs": _("{value} epochs"),
    "_bytes": _("{value} bytes"),
    "_percent": _("{value} per cent"),
    "_s": _("{value} s"),
}


def value_with_unit(name: str, value: object) -> str | None:
    """Return a setting's value with its unit; None for None, what has no unit as Python writes it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value)
    if name in FIL_NAMES:
        return fil_format(int(str(value)))
    if name in FEE_NAMES:
        return gettext("{value} attoFIL per gas").format(value=value)
    text = next((text for suffix, text in SUFFIXES.items() if name.endswith(suffix)), None)
    return str(value) if text is None else str(text).format(value=value)
