"""Rules by which a host, or one of its sealing threads, begins sectors: names, words and meanings.

Names and meanings are a damocles-worker's `[sealing]`; a rule travels as text.
Source: ipfs-force-community/damocles damocles-worker/src/config.rs Sealing; what is obeyed stands in
docs/sealing.md, “Rules of hosts and threads”.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.wire.codec import BadWire, Document, Int

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SEALING: Final = "sealing."
"""Begins the key of a host's rule, as `sealing.max_retries`."""
THREADS: Final = "threads."
"""Begins the key of a thread's, as `threads.2.max_retries`."""
ALL: Final = "all"
PLANS: Final = ("sealer", "niporep", "snapup", "rebuild", "unseal")
"""Of a sealing thread; `wdpost` is a prover's."""
PLAN, LOCATION = "plan", "location"
"""Of a thread: its plan, and its folder, which is only shown."""
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


class NewSectors(Document, frozen=True, kw_only=True):
    """Which new sectors a host accepts; by default all."""

    miners: tuple[Int, ...] = ()
    """Of these miners alone; empty: of all."""
    sizes: tuple[Int, ...] = ()
    """Of these sizes alone, in bytes; empty: of all."""
    takes_data: bool = True
    """Those with clients' data."""
    takes_empty: bool = True
    """Those of zeros."""
    deals_max: Int = 0
    """Most pieces of clients' data in one; 0: any number."""
    deal_bytes_min: Int = 0
    """Least space that they take together, in bytes; sectors of zeros are begun as before."""

    def __post_init__(self) -> None:
        for name in ("deals_max", "deal_bytes_min"):
            if getattr(self, name) < 0:
                raise BadWire(name, "must not be negative")
        if len(self.miners) > LIST_MAX or len(self.sizes) > LIST_MAX:
            raise BadWire("takes", f"must name {LIST_MAX} miners and sizes at most")

    def takes(self, *, miner_id: int, sector_size: int, deals: Sequence[int] | None) -> bool:
        """Return whether a sector is begun; `deals` are the sizes of its clients' pieces, None: of zeros."""
        is_its = not self.miners or miner_id in self.miners
        fits = not self.sizes or sector_size in self.sizes
        if deals is None:
            return is_its and fits and self.takes_empty
        is_few = not self.deals_max or len(deals) <= self.deals_max
        return is_its and fits and self.takes_data and is_few and sum(deals) >= self.deal_bytes_min


EVERY: Final = NewSectors()
"""All sectors."""


@dataclass(frozen=True, slots=True)
class SealingRules:
    """The sealing rules of a host or a thread."""

    takes: NewSectors = EVERY
    attempts_max: int = 0
    """Failures of one stage before it is paused; 0: as its miner's batches say."""
    recover_s: int = 0
    """Before a stage that failed for the moment is tried again; 0: as the console has it."""
    interval_s: float = 0.0
    """Between the end of a sector and the beginning of the next one in the same folder."""
    verifies: bool = False
    """Whether PC2 ends with a look at what it made."""


def size_name(size: int) -> str:
    """Return `32GiB`."""
    for unit, shift in (("GiB", 30), ("MiB", 20)):
        if size >= 1 << shift:
            return f"{size >> shift}{unit}"
    return f"{size >> 10}KiB"


SIZES: Final = {size_name(size): size for size in SECTOR_SIZES}


def _items(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(one) for one in value]
    return [] if value == ALL else str(value).replace(",", " ").split()


def _miners(value: Any) -> str:
    """Return miners as `f01000 f01001`.  Raises ValueError."""
    ids = [re.fullmatch(r"(?:[ft]0)?(\d{1,19})", one) for one in _items(value)]
    if not all(ids) or len(ids) > LIST_MAX:
        raise ValueError(f'list at most {LIST_MAX} miners, such as "f01000 f01001", or "{ALL}"')
    return " ".join(f"f0{int(one[1])}" for one in ids if one) or ALL


def _sizes(value: Any) -> str:
    """Return sizes as `32GiB 64GiB`.  Raises ValueError."""
    names = _items(value)
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


def _plan(value: Any) -> str:
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
DEFAULTS: Final = {
    "allowed_miners": ALL,
    "allowed_sizes": ALL,
    "enable_deals": "true",
    "disable_cc": "false",
    "max_deals": ALL,
    "min_deal_space": "0B",
    "seal_interval": "0s",
    "verify_after_pc2": "false",
}
"""Of those that a host always has."""
RULES: Final = tuple(READERS)


def rule_key(key: str) -> tuple[int, str] | None:
    """Return the thread (0: the whole host) and the rule, or `plan`, of a setting's key; None for others."""
    if key.startswith(SEALING):
        name = key.removeprefix(SEALING)
        return (0, name) if name in READERS else None
    found = re.fullmatch(r"threads\.([1-9]\d{0,3})\.(\w+)", key)
    if found is None or found[2] not in (PLAN, *READERS):
        return None
    return int(found[1]), found[2]


def rule_read(name: str, value: Any) -> str:
    """Return a rule's value as it travels.  Raises ValueError with what to write instead."""
    return _plan(value) if name == PLAN else READERS[name](value)


def thread_key(number: int, name: str) -> str:
    """Return the key of a thread's setting."""
    return f"{THREADS}{number}.{name}"


def seconds_of(time: str) -> float:
    """Return the seconds of `1h 30min`."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([a-z]+)", time)
    return sum(float(number) * SECONDS.get(unit, SECONDS.get(unit[:-1], 0.0)) for number, unit in parts)


def bytes_of(space: str) -> int:
    """Return the bytes of `1.5GiB`; a bare number is bytes."""
    found = SPACE.fullmatch(space)
    return int(float(found[1]) * BYTES[found[2] or "B"]) if found else 0


def rules_of(values: Mapping[str, str]) -> SealingRules:
    """Return the rules of their words by name.  Raises ValueError for a host that would begin nothing."""
    values = DEFAULTS | dict(values)
    takes = NewSectors(
        miners=tuple(int(one[2:]) for one in _items(values["allowed_miners"])),
        sizes=tuple(SIZES[one] for one in _items(values["allowed_sizes"])),
        takes_data=values["enable_deals"] == "true",
        takes_empty=values["disable_cc"] == "false",
        deals_max=0 if values["max_deals"] == ALL else int(values["max_deals"]),
        deal_bytes_min=bytes_of(values["min_deal_space"]),
    )
    if not (takes.takes_data or takes.takes_empty):
        raise ValueError("would accept no sectors: set enable_deals to true or disable_cc to false")
    retries = values.get("max_retries")
    return SealingRules(
        takes,
        attempts_max=0 if retries is None else int(retries) + 1,
        recover_s=ceil(seconds_of(values.get("recover_interval", ""))),
        interval_s=seconds_of(values["seal_interval"]),
        verifies=values["verify_after_pc2"] == "true",
    )
