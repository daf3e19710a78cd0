"""Fields of the pages' forms that read amounts, counts, sizes, factors, percentages and days.

Amounts are typed in FIL, fees per gas in nanoFIL; an empty field is 0, "not set".
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from apps.core.formatting import ATTO_PER_NANO
from apps.dashboard.text_fields import Text
from apps.messages.rules.gas_checks import FACTOR_MAX
from poolsite.filecoin.amounts import FIL, TOTAL_FILECOIN, BadAmount, fil_parse

DIGITS_MAX: Final = 40
INTEGER_MAX: Final = 1 << 31
SEPARATORS: Final = re.compile(r"(?<=\d)[\u202f ,](?=\d{3}(?!\d))")
"""Separators of thousands: a comma before other digits is a decimal one, which no whole number has."""
BLANKS: Final = re.compile(r" (?=\d{3}(?!\d)|[^\d ]|$)")
"""Blanks between thousands and before a unit: others divide two numbers."""
SIZE_MAX: Final = 1 << 62
"""As much as REST takes: a target that it set is saved here unchanged."""
SIZE_NAMES: Final = {name.lower(): name for name in ("B", "KiB", "MiB", "GiB", "TiB", "PiB")}
SIZE_UNITS: Final = {name: 1 << (10 * power) for power, name in enumerate(SIZE_NAMES)}
SIZE_PLACES: Final = 6
"""Most decimals of a size, read or written."""
SIZE_WRITTEN: Final = re.compile(
    rf"([0-9]{{1,19}}(?:\.[0-9]{{1,{SIZE_PLACES}}})?)\s*([KMGTP]iB|B)?", re.ASCII | re.IGNORECASE
)
"""`500 GiB`; `500 GB` is not taken, since it is another amount to some."""
PERCENT_WRITTEN: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)


class Amount(Text):
    """FIL, or nanoFIL for a fee per gas, as attoFIL; another unit may be written, as in `20 nFIL`."""

    def __init__(self, *, is_fee: bool = False) -> None:
        super().__init__()
        self.factor, self.unit = (ATTO_PER_NANO, "nFIL") if is_fee else (FIL, "FIL")

    def clean(self, value: Any) -> int:
        """Read attoFIL.  Raises ValidationError."""
        text = super().clean(value)
        if not text:
            return 0
        wrong = ValidationError(_("enter an amount in %(unit)s, such as 0.5"), params={"unit": self.unit})
        try:
            amount = int(fil_parse(BLANKS.sub("", text), default_unit=self.unit))
        except BadAmount:
            raise wrong from None
        if not 0 <= amount <= TOTAL_FILECOIN:
            raise wrong
        return amount

    def prepare_value(self, value: Any) -> Any:
        """Write attoFIL so that reading it gives the same; 0 is an empty field."""
        if isinstance(value, str) or not value:
            return value or ""
        text = f"{Decimal(value) / self.factor:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text


class Integer(Text):
    """A count."""

    def clean(self, value: Any) -> int:
        """Return the count.  Raises ValidationError."""
        text = super().clean(value) or "0"
        if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) >= INTEGER_MAX:
            raise ValidationError(_("enter a whole number"))
        return int(text)

    def prepare_value(self, value: Any) -> Any:
        """Write it; 0 is an empty field."""
        return value or ""


class Whole(forms.IntegerField):
    """A whole number within limits; an empty field is `empty`, or refused without one."""

    def __init__(self, *, least: int, most: int, initial: Any = "", empty: int | None = None) -> None:
        super().__init__(min_value=least, max_value=most, initial=initial, required=empty is None)
        self.empty = empty
        limits_say(self, least=least, most=most, invalid=_("enter a whole number"))

    def to_python(self, value: Any) -> int | None:
        """Read it with or without the spaces and commas that pages and people write into it."""
        return super().to_python(SEPARATORS.sub("", value) if isinstance(value, str) else value)

    def clean(self, value: Any) -> Any:
        """Return the number.  Raises ValidationError."""
        found = super().clean(value)
        return self.empty if found is None else found


class Number(forms.DecimalField):
    """A number that must be there, within limits."""

    def __init__(self, *, least: Decimal, most: Decimal, initial: Any = None) -> None:
        super().__init__(min_value=least, max_value=most, initial=initial)
        limits_say(self, least=least, most=most, invalid=_("must be a number, such as 600"))


def limits_say(field: forms.Field, *, least: Any, most: Any, invalid: Any) -> None:
    """Have a field of Django's refuse in our words."""
    limits = format_lazy(_("must be from {least} to {most}"), least=least, most=most)
    field.error_messages |= {
        "invalid": invalid,
        "required": invalid,
        "min_value": limits,
        "max_value": limits,
    }


class Size(Text):
    """An amount of bytes, such as 500 GiB."""

    def clean(self, value: Any) -> int:
        """Read bytes; an empty field is 0.  Raises ValidationError."""
        text = super().clean(value).replace("\u202f", " ") or "0"
        found = SIZE_WRITTEN.fullmatch(text)
        if found is None:
            raise ValidationError(_("enter a size, such as 500 GiB"))
        count = int(Decimal(found[1]) * SIZE_UNITS[(found[2] or "B").lower()])
        if count > SIZE_MAX:
            raise ValidationError(_("enter a smaller size"))
        return count

    def prepare_value(self, value: Any) -> Any:
        """Write bytes in the largest unit in which reading them gives the same; 0 is an empty field."""
        if isinstance(value, str) or not value:
            return value or ""
        for unit, size in reversed(SIZE_UNITS.items()):
            for places in range(SIZE_PLACES + 1 if value >= size else 0):
                number = f"{Decimal(value) / size:.{places}f}"
                if int(Decimal(number) * size) == value:
                    return f"{number} {SIZE_NAMES[unit]}"
        return f"{value} B"


class OptionalSize(Size):
    """An amount of bytes; an empty field is None, which is something else than 0."""

    def clean(self, value: Any) -> int | None:  # type: ignore[override]  # as its docstring says
        """Read bytes.  Raises ValidationError."""
        return super().clean(value) if Text.clean(self, value) else None

    def prepare_value(self, value: Any) -> Any:
        """Write bytes as `Size` does; None is an empty field."""
        return "0" if value == 0 else super().prepare_value(value)


class Factor(Text):
    """A factor such as 1.25."""

    def clean(self, value: Any) -> float:
        """Return the factor.  Raises ValidationError."""
        text = super().clean(value) or "0"
        try:
            factor = float(text) if text.isascii() and len(text) < 12 else -1.0
        except ValueError:
            factor = -1.0
        if not 0 <= factor <= FACTOR_MAX:
            raise ValidationError(_("enter a factor, such as 1.25"))
        return factor

    def prepare_value(self, value: Any) -> Any:
        """Write it; 0 is an empty field."""
        return value if isinstance(value, str) else f"{value:g}" if value else ""


class Percent(Text):
    """A percentage such as 12.5."""

    def clean(self, value: Any) -> Decimal:
        """Return the exact percentage; an empty field is 0.  Raises ValidationError."""
        text = super().clean(value).removesuffix("%").strip() or "0"
        if len(text) > DIGITS_MAX or PERCENT_WRITTEN.fullmatch(text) is None:
            raise ValidationError(_("enter a percentage, such as 12.5"))
        return Decimal(text)

    def prepare_value(self, value: Any) -> Any:
        """Write it without zeros at its end; 0 is an empty field."""
        if isinstance(value, str) or not value:
            return value or ""
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text


class Day(Text):
    """A day, as browsers send it."""

    def clean(self, value: Any) -> date:
        """Return the date.  Raises ValidationError."""
        text = super().clean(value)
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise ValidationError(_("enter a day, such as 2026-12-31")) from None

    def prepare_value(self, value: Any) -> Any:
        """Write it as it is read."""
        return value.isoformat() if isinstance(value, date) else value or ""
