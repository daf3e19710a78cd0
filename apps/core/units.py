"""Values of settings with their units, as the audit log keeps them: the unit follows from a value's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from poolsite.filecoin.amounts import fil_format

PREFIXES: Final = {"slots.": "{value} slots"}
FIL_NAMES: Final = ("max_fee", "daily_budget", "balance_min")
"""Amounts in attoFIL."""
FEE_NAMES: Final = ("gas_fee_cap", "base_fee", "hold_base_fee", "base_fee_max")
"""attoFIL for a unit of gas."""
SUFFIXES: Final = {
    "_base_fee_max": "{value} attoFIL per gas",
    "_per_s": "{value} per second",
    "bytes_s": "{value} bytes per second",
    "_epochs": "{value} epochs",
    "sectors_max": "{value} sectors",
    "_batch_max": "{value} sectors",
    "declare_max": "{value} sectors",
    "recover_max": "{value} sectors",
    "declaration_max": "{value} sectors",
    "in_work": "{value} sectors",
    "attempts_max": "{value} attempts",
    "power_max": "{value} bytes",
    "quota": "{value} messages",
    "gas_over_estimation": "{value} times",
    "gas_over_premium": "{value} times",
    "_bytes": "{value} bytes",
    "_percent": "{value} percent",
    "_min": "{value} min",
    "_s": "{value} s",
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
        return f"{value} attoFIL per gas"
    texts = (
        *(text for suffix, text in SUFFIXES.items() if name.endswith(suffix)),
        *(text for prefix, text in PREFIXES.items() if name.startswith(prefix)),
    )
    return texts[0].format(value=value) if texts else str(value)


def values_with_units(values: Mapping[str, object]) -> dict[str, str | None]:
    """Return settings by name, each with its unit."""
    return {name: value_with_unit(name, value) for name, value in values.items()}
