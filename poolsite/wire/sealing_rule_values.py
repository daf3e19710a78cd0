"""The values of sealing rules: how each is written, and what it is read as."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from poolsite.filecoin.porep.parameters import SECTOR_SIZES

ALL: Final = "all"
PLANS: Final = ("sealer", "niporep", "snapup", "rebuild", "unseal")
"""Of a sealing thread; `wdpost` is a prover's."""
NEW_PLANS: Final = ("sealer", "niporep")
"""Those of them that begin new sectors."""

SECONDS: Final = {
    **{"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0},
    **{"h": 3600.0, "hr": 3600.0, "d": 86400.0, "day": 86400.0},
}
DURATION: Final = re.compile(r"(\d+(\.\d+)?(ns|us|ms|s|sec|m|min|h|hr|d|day)s? ?)+")
BYTES: Final = {
    name: base**power
    for power, letter in enumerate("KMGT", start=1)
    for name, base in ((f"{letter}B", 1000), (f"{letter}iB", 1024))
} | {"B": 1}
SPACE: Final = re.compile(rf"(\d{{1,15}}(?:\.\d{{1,9}})?) ?({'|'.join(BYTES)})?")
RETRIES_MAX: Final = 1_000
DEALS_MAX: Final = 1 << 20
"""Clients' pieces of one sector at most, by the actors' own bounds far fewer."""
PAUSE_MAX_S: Final = 7 * 86_400
"""Before a stage that failed is tried again."""
LIST_MAX: Final = 50
"""Miners that a rule names at most."""


def size_name(size: int) -> str:
    """Return `32GiB`."""
    for unit, shift in (("GiB", 30), ("MiB", 20)):
        if size >= 1 << shift:
            return f"{size >> shift}{unit}"
    return f"{size >> 10}KiB"


SIZES: Final = {size_name(size): size for size in SECTOR_SIZES}


def items_of(value: Any) -> list[str]:
    """Return the words of a list, written as one or with commas or spaces between; none for all."""
    if isinstance(value, list | tuple):
        return [str(one) for one in value]
    return [] if value == ALL else str(value).replace(",", " ").split()


def _miners(value: Any) -> str:
    """Return miners as `f01000 f01001`.  Raises ValueError."""
    ids = [re.fullmatch(r"(?:[ft]0)?(\d{1,19})", one) for one in items_of(value)]
    if not all(ids) or len(ids) > LIST_MAX:
        raise ValueError(f'list at most {LIST_MAX} miners, such as "f01000 f01001", or "{ALL}"')
    return " ".join(f"f0{int(one[1])}" for one in ids if one) or ALL


def _sizes(value: Any) -> str:
    """Return sizes as `32GiB 64GiB`.  Raises ValueError."""
    names = items_of(value)
    if not all(name in SIZES for name in names):
        raise ValueError(f"use sizes of {', '.join(SIZES)}, or {ALL}")
    return " ".join(dict.fromkeys(names)) or ALL


def _flag(value: Any) -> str:
    """Return `true` or `false`.  Raises ValueError."""
    word = str(value).lower()
    if word not in ("true", "false"):
        raise ValueError("use true or false")
    return word


def _retries(value: Any) -> str:
    """Return a count.  Raises ValueError."""
    text = str(value)
    if not (text.isascii() and text.isdigit() and int(text) <= RETRIES_MAX):
        raise ValueError(f"use a whole number from 0 to {RETRIES_MAX}")
    return str(int(text))


def _duration(value: Any) -> str:
    """Return a time as it is written.  Raises ValueError."""
    if not DURATION.fullmatch(str(value)):
        raise ValueError('use a duration such as "30s" or "5min"')
    return str(value).strip()


def _pause(value: Any) -> str:
    """Return a time before another try.  Raises ValueError."""
    text = _duration(value)
    if seconds_of(text) > PAUSE_MAX_S:
        raise ValueError(f"use a duration of at most {PAUSE_MAX_S // 86_400}d")
    return text


def _deals(value: Any) -> str:
    """Return a count of pieces.  Raises ValueError."""
    text = str(value)
    if text == ALL:
        return text
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= DEALS_MAX):
        none = "for none set enable_deals = false"
        raise ValueError(f'use a whole number from 1 to {DEALS_MAX}, or "{ALL}"; {none}')
    return str(int(text))


def _space(value: Any) -> str:
    """Return a size as it is written.  Raises ValueError."""
    text = str(value).strip()
    if isinstance(value, bool) or not SPACE.fullmatch(text) or bytes_of(text) > max(SECTOR_SIZES):
        raise ValueError(f'use a size of at most {size_name(max(SECTOR_SIZES))}, such as "16GiB"')
    return text


def plan_read(value: Any) -> str:
    """Return a plan.  Raises ValueError."""
    if value not in PLANS:
        raise ValueError(f"use one of {', '.join(PLANS)}")
    return str(value)


READERS: Final[Mapping[str, Callable[[Any], str]]] = {
    "allowed_miners": _miners,
    "allowed_sizes": _sizes,
    "enable_deals": _flag,
    "disable_cc": _flag,
    "max_deals": _deals,
    "min_deal_space": _space,
    "max_retries": _retries,
    "recover_interval": _pause,
    "seal_interval": _duration,
    "verify_after_pc2": _flag,
}
"""What reads each rule; raises ValueError with what to write instead."""


def seconds_of(time: str) -> float:
    """Return the seconds of `1h 30min`."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([a-z]+)", time)
    return sum(float(number) * SECONDS.get(unit, SECONDS.get(unit[:-1], 0.0)) for number, unit in parts)


def bytes_of(space: str) -> int:
    """Return the bytes of `1.5GiB`; a bare number is bytes."""
    found = SPACE.fullmatch(space)
    return int(float(found[1]) * BYTES[found[2] or "B"]) if found else 0
