"""Paused sectors grouped by what went wrong: the same stage and the same words, numbers and names aside."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from apps.sectors.host_selectors import worker_machine
from apps.sectors.selectors import resume_choices, sectors_visible
from apps.sectors.states import PAUSED_BY

if TYPE_CHECKING:
    from datetime import datetime

    from apps.sectors.models import Sector
    from apps.users.principals import Principal

FAILURES_MAX: Final = 5_000
"""Paused sectors that are grouped; the oldest ones beyond are left out."""
NAMES: Final = re.compile(r"(/[\w.\-]+)+|\b(?:baf|bag)\w{20,}|\b[0-9a-f]{12,}\b|\b[ft]0?\d+\b|\d[\d.,:]*")
"""What differs from sector to sector in the words of one error."""
ADVICE: Final = (
    (r"no space|disk full|ENOSPC", "free disk space on the host, then retry"),
    (r"the chain would refuse|message ended with|exit code", "see why the chain refuses it, then retry"),
    (r"nonce|base fee|funds|balance|insufficient", "fund the sender, then retry"),
    (
        r"damaged|corrupt|mismatch|differs|wrong",
        "go back to an earlier stage: the files are made anew",
    ),
    (r"no such file|not found|missing", "bring the files back, or go back to an earlier stage"),
    (PAUSED_BY, "retry when it may go on"),
    (r"gave up|killed|signal|memory", "give the host more memory or fewer slots, then retry"),
)
"""What helps against errors with such words; the first that fits."""


@dataclass(slots=True)
class FailureGroup:
    """Sectors that failed alike."""

    key: str
    """The fingerprint."""
    state: str
    stage: str
    text: str
    """The newest error, as it is."""
    level: str
    advice: str
    back: tuple[str, ...]
    """Earlier states from which they can go on."""
    since: datetime
    last: datetime
    hosts: list[str] = field(default_factory=list)
    sectors: list[Sector] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.sectors)


def fingerprint(stage: str, error: str) -> str:
    """Return what sectors that failed alike have in common."""
    words = NAMES.sub("#", error)[:300]
    return hashlib.sha256(f"{stage}\0{words}".encode()).hexdigest()[:12]


def advice_of(error: str) -> str:
    """Return what helps."""
    return next(
        (words for pattern, words in ADVICE if re.search(pattern, error, re.IGNORECASE)),
        "retry; if it fails again, go back to an earlier stage",
    )


def failures_grouped(viewer: Principal) -> list[FailureGroup]:
    """Return the paused sectors that this caller may know of by fingerprint, the largest group first."""
    groups: dict[str, FailureGroup] = {}
    rows = sectors_visible(viewer).exclude(paused_at=None).order_by("-paused_at", "-pk")
    for sector in rows[:FAILURES_MAX]:
        key = fingerprint(sector.stage, sector.error)
        at = sector.paused_at or sector.updated_at
        group = groups.get(key)
        if group is None:
            group = groups[key] = FailureGroup(
                key=key,
                state=sector.state,
                stage=sector.stage,
                text=sector.error,
                level=sector.error_level,
                advice=advice_of(sector.error),
                back=resume_choices(sector)[1:],
                since=at,
                last=at,
            )
        group.since = min(group.since, at)
        group.sectors.append(sector)
        worker = sector.job.sticky_worker
        if worker is not None and (host := worker_machine(worker)) not in group.hosts:
            group.hosts.append(host)
    return sorted(groups.values(), key=lambda one: (-one.count, one.key))
