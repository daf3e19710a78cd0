"""Proofs that fail on this host for one sector after the other: the host then tries a sector only seldom.

One that fails at once always has a free slot, and would else get every sector that waits for a proof, and
have each of them paused, while other hosts that could make it are busy.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

from poolsite.wire.pipeline import WORKER_STAGES

PROOFS: Final = frozenset(stage for stage, spec in WORKER_STAGES.items() if spec.memory.is_of_groth16)
"""Stages that depend on the machine, its GPU and its parameters; others may fail by a sector's own disk."""
FAILED_MAX: Final = 3
"""Sectors that fail in a row before there is a pause."""
PAUSE_S, PAUSE_MAX_S = 600.0, 1800.0
"""First pause and longest; it doubles with each further failure."""


class FailingStages:
    """What failed since a stage last ended well, by stage."""

    def __init__(self) -> None:
        self._failed: dict[str, set[str]] = {}
        self._pause_s: dict[str, float] = {}
        self._until: dict[str, float] = {}

    def failed(self, stage: str, job_id: str) -> str:
        """Note a failure; return what is to be known of the pause that follows, empty without one."""
        if stage not in PROOFS:
            return ""
        jobs = self._failed.setdefault(stage, set())
        jobs.add(job_id)
        if len(jobs) < FAILED_MAX:
            return ""
        self._pause_s[stage] = min(2 * self._pause_s.get(stage, PAUSE_S / 2), PAUSE_MAX_S)
        self._until[stage] = monotonic() + self._pause_s[stage]
        minutes = int(self._pause_s[stage] // 60)
        return (
            f"; {len(jobs)} sectors in a row failed here: "
            f"the next one is tried in {minutes} min, or after a restart of this host"
        )

    def ended_well(self, stage: str) -> bool:
        """Note that a stage ended as it should; return whether it had pauses until now."""
        had_pauses = stage in self._until
        for known in (self._failed, self._pause_s, self._until):
            known.pop(stage, None)
        return had_pauses

    def slots(self, stage: str, count: int) -> int:
        """Return how many of a stage's slots are used now: none in a pause, then one until it ends well."""
        if stage not in self._until:
            return count
        return 0 if monotonic() < self._until[stage] else min(count, 1)
