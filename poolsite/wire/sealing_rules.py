"""Rules by which a host, or one of its sealing threads, begins sectors: names, words and meanings.

Names and meanings are a damocles-worker's `[sealing]`; a rule travels as text.
Source: ipfs-force-community/damocles damocles-worker/src/config.rs Sealing; what is obeyed stands in
docs/sealing/host-file.md, “Rules of hosts and threads”.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from poolsite.wire.codec import BadWire, Document, Int
from poolsite.wire.sealing_rule_values import (
    ALL,
    LIST_MAX,
    READERS,
    SIZES,
    bytes_of,
    items_of,
    plan_read,
    seconds_of,
)

SEALING: Final = "sealing."
"""Begins the key of a host's rule, as `sealing.max_retries`."""
THREADS: Final = "threads."
"""Begins the key of a thread's, as `threads.2.max_retries`."""
PLAN, LOCATION = "plan", "location"
"""Of a thread: its plan, and its folder, which is only shown."""


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
        accepts_miner = not self.miners or miner_id in self.miners
        accepts_size = not self.sizes or sector_size in self.sizes
        if not (accepts_miner and accepts_size):
            return False
        if deals is None:
            return self.takes_empty
        accepts_count = not self.deals_max or len(deals) <= self.deals_max
        return self.takes_data and accepts_count and sum(deals) >= self.deal_bytes_min


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
    return plan_read(value) if name == PLAN else READERS[name](value)


def thread_key(number: int, name: str) -> str:
    """Return the key of a thread's setting."""
    return f"{THREADS}{number}.{name}"


def rules_of(values: Mapping[str, str]) -> SealingRules:
    """Return the rules of their words by name.  Raises ValueError for a host that would begin nothing."""
    values = DEFAULTS | dict(values)
    takes = NewSectors(
        miners=tuple(int(one[2:]) for one in items_of(values["allowed_miners"])),
        sizes=tuple(SIZES[one] for one in items_of(values["allowed_sizes"])),
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
