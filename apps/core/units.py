"""Values of settings with their units, as the audit log keeps them: the unit follows from a value's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from poolsite.filecoin.amounts import fil_format

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIXES: Final = {"slots.": _("{value} slots")}
FIL_NAMES: Final = ("max_fee", "daily_budget", "balance_min")
"""Amounts in attoFIL."""
FEE_NAMES: Final = ("gas_fee_cap", "base_fee", "hold_base_fee", "base_fee_max")
"""attoFIL for a unit of gas."""
SUFFIXES: Final = {
    "_base_fee_max": _("{value} attoFIL per gas"),
    "_per_s": _("{value} per second"),
    "bytes_s": _("{value} bytes per second"),
    "_epochs": _("{value} epochs"),
    "sectors_max": _("{value} sectors"),
    "_batch_max": _("{value} sectors"),
    "declare_max": _("{value} sectors"),
    "recover_max": _("{value} sectors"),
    "declaration_max": _("{value} sectors"),
    "in_work": _("{value} sectors"),
    "attempts_max": _("{value} attempts"),
    "power_max": _("{value} bytes"),
    "quota": _("{value} messages"),
    "gas_over_estimation": _("{value} times"),
    "gas_over_premium": _("{value} times"),
    "_bytes": _("{value} bytes"),
    "_percent": _("{value} percent"),
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
    texts = (
        *(text for suffix, text in SUFFIXES.items() if name.endswith(suffix)),
        *(text for prefix, text in PREFIXES.items() if name.startswith(prefix)),
    )
    return str(texts[0]).format(value=value) if texts else str(value)


def values_with_units(values: Mapping[str, object]) -> dict[str, str | None]:
    """Return settings by name, each with its unit."""
    return {name: value_with_unit(name, value) for name, value in values.items()}
