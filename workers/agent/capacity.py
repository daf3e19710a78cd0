"""What a sealing host has room for: free slots of its stages, and new sectors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from poolsite.wire.pipeline import WORKER_STAGES, StoreUse
from poolsite.wire.sealing_rules import EVERY
from workers.agent.failing_stages import FailingStages
from workers.host_settings import SECTORS_MAX
from workers.storage.files import space_of

if TYPE_CHECKING:
    from poolsite.wire.sealing_rules import NewSectors
    from workers.agent.held_job import HeldJob
    from workers.agent.journal import Journal
    from workers.agent.places import SealingPlaces
    from workers.config import SealerConfig
    from workers.console.lease_keeper import LeaseKeeper
    from workers.store_watch import StoreWatch

STORING: Final = tuple(stage for stage, spec in WORKER_STAGES.items() if spec.store is StoreUse.WRITES)
READING: Final = tuple(
    stage for stage, spec in WORKER_STAGES.items() if spec.store in (StoreUse.READS, StoreUse.CLEARS)
)
"""Stages that put a sector into a store, and that find one there."""
CLAIM_MAX: Final = 20
"""Most jobs in one claim."""


class SealingCapacity:
    """What one sealing host may claim."""

    def __init__(
        self,
        config: SealerConfig,
        *,
        leases: LeaseKeeper,
        journal: Journal,
        held: Mapping[str, HeldJob],
        uncompiled_stages: Callable[[], Collection[str]],
        watch: StoreWatch | None,
    ) -> None:
        self.config, self.leases, self.journal = config, leases, journal
        self.held = held
        """By id the jobs that the host holds now."""
        self.places: SealingPlaces | None = None
        """Has the folders of sealing threads, where the host's file names some."""
        self.uncompiled_stages = uncompiled_stages
        """Return the stages whose kernels are still being compiled: nothing is claimed for them."""
        self.watch = watch
        self.failing = FailingStages()
        self.turn = 0
        """Counts claims: threads with other rules take turns."""

    def slots(self, stage: str) -> int:
        """Return how many slots a stage has now."""
        return self.failing.slots(stage, self.leases.slots.get(stage, 0))

    def slots_free(self) -> dict[str, int]:
        """Return the free slots of each stage."""
        free = {stage: self.slots(stage) for stage in self.leases.slots}
        for job in self.held.values():
            free[job.inputs.stage] = free.get(job.inputs.stage, 0) - 1
        free |= dict.fromkeys(self.uncompiled_stages(), 0)
        free |= dict.fromkeys(self.stages_without_store(), 0)
        return {stage: max(count, 0) for stage, count in free.items()}

    def stages_without_store(self) -> tuple[str, ...]:
        """Return the stages that could only fail, as no store can be written, or not even read."""
        if self.watch is None or self.watch.has_writable:
            return ()
        return STORING if self.watch.has_readable else (*STORING, *READING)

    def new_sectors(self) -> tuple[int, NewSectors]:
        """Return how many sectors may begin, and which.

        Threads with other rules take turns: a claim says one rule for all that it asks for.
        """
        rooms, settings = self.rooms_free(), self.config.settings
        if self.places is None or not self.places.locations:
            return rooms, settings.rules().takes
        room_bytes = settings.room_bytes(sector_bytes=self.leases.sector_bytes)
        rules = [settings.rules(number).takes for number in self.places.threads_free(room_bytes)]
        if not rooms or not rules:
            return 0, EVERY
        self.turn += 1
        requested = list(dict.fromkeys(rules))[self.turn % len(dict.fromkeys(rules))]
        return min(rooms, rules.count(requested)), requested

    def rooms_free(self) -> int:
        """Return for how many new sectors the disk and the stores have room."""
        if self.leases.is_draining:
            return 0
        settings = self.config.settings
        room_bytes = settings.room_bytes(sector_bytes=self.leases.sector_bytes)
        if self.places is not None and self.places.is_divided:
            room = self.places.rooms(room_bytes)
        else:
            owed = self._beside()
            owed += 0 if self.places is None else sum(self.places.unwritten(room_bytes).values())
            room = max(self.leases.report.hardware().disk_free_bytes - owed, 0) // room_bytes
        if most := settings.get(SECTORS_MAX):
            room = min(room, max(most - self.journal.unfinished(), 0))
        if self.watch is not None:
            room = min(room, max(self.watch.rooms() - self.journal.unfinished(), 0))
        return min(room, CLAIM_MAX)

    def _beside(self) -> int:
        """Return what finished sectors were promised in stores on the disk of the host's own folder."""
        if self.watch is not None:
            with suppress(OSError):  # its disk is gone: nothing is claimed
                return self.watch.promised()[space_of(self.config.folder).disk]
        return 0
