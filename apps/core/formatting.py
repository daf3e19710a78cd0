"""Numbers, amounts and durations as people read them: the same quantity always looks the same."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from django.utils.translation import gettext_noop, ngettext

from apps.core.clock import DAY_S, HOUR_S, MINUTE_S
from apps.core.marked_texts import COUNT, MarkedText, gettext
from poolsite.filecoin.amounts import FIL

NARROW: Final = "\u202f"
"""Narrow no-break space: between thousands, before a percent sign."""
NOTHING: Final = "\u2013"
"""Nothing known; zero is `0`."""
ATTO_PER_NANO: Final = 10**9
SIZE_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
ID_KEPT: Final = 4
"""Characters kept at each end of a shortened id."""


def whole(value: int | None) -> str:
    """`6 562 566`."""
    return NOTHING if value is None else f"{value:,}".replace(",", NARROW)


def tenths(value: float) -> str:
    """`1 873 243.8`: with a tenth, grouped as all numbers of the pages are."""
    number, _point, tenth = f"{value:.1f}".partition(".")
    return f"{whole(int(number))}.{tenth}"


def fil(atto: int | None) -> str:
    """attoFIL as FIL with 4 places: `0.0390`; an amount too small for them keeps its first digits."""
    if atto is None:
        return NOTHING
    if atto == 0:
        return "0"
    amount = Decimal(atto) / FIL
    if abs(amount) < Decimal("0.0001"):
        tiny = "< 0.000001" if amount > 0 else "> -0.000001"
        return f"{amount:.2g}" if abs(amount) >= Decimal("1e-6") else tiny
    units, _, places = f"{amount.quantize(Decimal('0.0001'), ROUND_HALF_EVEN):f}".partition(".")
    return f"{whole(int(units)) if units != '-0' else units}.{places}"


def fil_short(atto: int | None) -> str:
    """attoFIL for a tile: places only below 1 000 FIL, `9 998`."""
    return whole(atto // FIL) if atto is not None and atto >= 1000 * FIL else fil(atto)


def amount(atto: int | None) -> tuple[str, str]:
    """attoFIL, number and unit apart, in the unit in which it can be read: FIL, nFIL or aFIL."""
    if atto is None:
        return NOTHING, ""
    if 0 < abs(atto) < ATTO_PER_NANO * 1000:  # under a millionth of a FIL
        return fee(atto)
    return fil(atto), "FIL"


def amount_short(atto: int | None) -> tuple[str, str]:
    """Return the same for a tile: no places from 1 000 FIL on."""
    return (fil_short(atto), "FIL") if atto is not None and atto >= 1000 * FIL else amount(atto)


def amounts_text(*attos: int) -> list[str]:
    """Amounts that are compared, all in the unit in which the smallest can be read."""
    units = [amount(atto)[1] for atto in attos if atto]
    for unit, scale in (("aFIL", 1), ("nFIL", ATTO_PER_NANO)):
        if unit in units:
            places = 0 if scale == 1 else 3
            return [f"{Decimal(atto) / scale:,.{places}f} {unit}".replace(",", NARROW) for atto in attos]
    return [amount_text(atto) for atto in attos]


def amount_text(atto: int | None) -> str:
    """attoFIL with its unit: `0.0428 FIL`, `12 aFIL`."""
    return " ".join(amount(atto)).strip()


def fee(atto: int | None) -> tuple[str, str]:
    """Return a fee per gas, number and unit apart: ("0.104", "nFIL"); below 0.001 nFIL it is ("100", "aFIL").

    Three places, or as many as show three digits: caps that differ by a quarter must look different.
    """
    if atto is None:
        return NOTHING, ""
    if 0 < abs(atto) < ATTO_PER_NANO // 1000:
        return whole(atto), "aFIL"
    if atto == 0:
        return "0", "nFIL"
    amount = Decimal(atto) / ATTO_PER_NANO
    places = max(3, 2 - amount.adjusted())
    return f"{amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):f}", "nFIL"


def fee_text(atto: int | None) -> str:
    """Return a fee per gas with its unit: `0.104 nFIL`, `100 aFIL`."""
    return " ".join(fee(atto)).strip()


def fee_nano(atto: int | None) -> str:
    """Return a fee per gas in nFIL, however small, as a column of them has one unit: `0.000000100 nFIL`."""
    if not atto or abs(atto) >= ATTO_PER_NANO // 1000:
        return fee_text(atto)
    amount = Decimal(atto) / ATTO_PER_NANO
    return f"{amount.quantize(Decimal(1).scaleb(-9)):f} nFIL"


def size(count: int | None) -> tuple[str, str]:
    """Bytes in binary units, number and unit apart: ("32", "GiB"), ("9.54", "PiB")."""
    if count is None:
        return NOTHING, ""
    value, unit = Decimal(count), 0
    while abs(value) >= 1024 and unit < len(SIZE_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    text = f"{value:f}" if value == int(value) else f"{value:.2f}"
    return text, SIZE_UNITS[unit]


def joined_size(count: int | None) -> str:
    """`9.54 PiB`: number and unit together."""
    return " ".join(size(count)).strip()


def _time_left(seconds: float | None, say: Callable[[str], str]) -> str:
    if seconds is None:
        return NOTHING
    left = max(int(seconds), 0)
    if left < MINUTE_S:
        return say(gettext_noop("{seconds} s")).format(seconds=left)
    if left < 10 * MINUTE_S:
        return say(gettext_noop("{minutes} min {seconds:02d} s")).format(
            minutes=left // MINUTE_S, seconds=left % MINUTE_S
        )
    if left < HOUR_S:
        return say(gettext_noop("{minutes} min")).format(minutes=left // MINUTE_S)
    if left < DAY_S:
        return say(gettext_noop("{hours} h {minutes:02d}")).format(
            hours=left // HOUR_S, minutes=left % HOUR_S // MINUTE_S
        )
    days, hours = left // DAY_S, left % DAY_S // HOUR_S
    return say(gettext_noop("{days} d {hours:02d} h")).format(days=days, hours=hours)


def time_left(seconds: float | None) -> str:
    """`8 s`, `12 min`, `2 h 05`, `23 d 02 h`."""
    return _time_left(seconds, gettext)


def time_left_kept(seconds: float | None) -> str:
    """Return the same in English, as rows keep it."""
    return _time_left(seconds, str)


def duration(seconds: float | None) -> str:
    """Return how long something took: `31 ms`, `4.2 s`, `21:40`, `3:39:58`."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return gettext("{milliseconds:.0f} ms").format(milliseconds=seconds * 1000)
    if seconds < 10:
        return gettext("{seconds:.1f} s").format(seconds=seconds)
    minutes, seconds_left = divmod(int(seconds), MINUTE_S)
    hours, minutes = divmod(minutes, MINUTE_S)
    if hours:
        return f"{hours}:{minutes:02d}:{seconds_left:02d}"
    if minutes:
        return f"{minutes}:{seconds_left:02d}"
    return gettext("{seconds} s").format(seconds=seconds_left)


def percent(part: float, of: float) -> str:
    """`96 %`; without anything to divide by it is `NOTHING`."""
    return f"{100 * part / of:.0f}{NARROW}%" if of else NOTHING


def shortened(text: str) -> str:
    """Return an id with its middle cut: `f3vx…91ka`; ids of up to 12 characters stay whole."""
    return text if len(text) <= 12 else f"{text[:ID_KEPT]}…{text[-ID_KEPT:]}"


def plural_forms(noun: str, many: str = "") -> tuple[str, str]:
    """Return one and several of these as they stand in the catalogue: `{count} sector`, `{count} sectors`."""
    return f"{{count}} {noun}", f"{{count}} {many or noun + 's'}"


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 sector`, `3 sectors`, `2 addresses` in the page's language; a noun that is written is marked."""
    text = ngettext(*plural_forms(noun, many), count).format(count=whole(count))
    return MarkedText(text, COUNT, {"count": count, "noun": noun} | ({"many": many} if many else {}))


def plural_kept(count: int, noun: str, many: str = "") -> str:
    """Return the same as rows and the audit log keep it: in English, whoever acts."""
    return plural_forms(noun, many)[count != 1].format(count=whole(count))
