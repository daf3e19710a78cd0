"""Rows of sectors, their jobs and batches, hosts, stores, and what is done with proven sectors."""

from __future__ import annotations

from apps.sectors.models.adoptions import SectorAdoption
from apps.sectors.models.batches import Batch
from apps.sectors.models.changes import SectorChange
from apps.sectors.models.damocles import DamoclesJob, DamoclesRecord, DamoclesSector
from apps.sectors.models.expirations import ClaimsEnding, Expirations
from apps.sectors.models.hosts import (
    DAMOCLES,
    NAMELESS,
    HostInventory,
    HostReport,
    SharedSettings,
    Worker,
    WorkerCommand,
)
from apps.sectors.models.jobs import CommitAggregate, Job, JobEvent
from apps.sectors.models.numbers import NumberReservation, SectorNumbers
from apps.sectors.models.runs import RUNS_OVER, PipelineRun
from apps.sectors.models.sectors import ActiveSectors, Pledge, Sector, SectorProof
from apps.sectors.models.store_checks import SectorCopy, StoreCheck
from apps.sectors.models.store_scans import StoreFinding, StoreScan
from apps.sectors.models.stores import Store, StoreAttachment, StoreEvent, StoreMove, StoreSample
from apps.sectors.models.targets import BatchSettings, SealTarget
from apps.sectors.models.verified import Allocation, AllocationsRead, VerifiedClaim

__all__ = [
    "DAMOCLES",
    "NAMELESS",
    "RUNS_OVER",
    "ActiveSectors",
    "Allocation",
    "AllocationsRead",
    "Batch",
    "BatchSettings",
    "ClaimsEnding",
    "CommitAggregate",
    "DamoclesJob",
    "DamoclesRecord",
    "DamoclesSector",
    "Expirations",
    "HostInventory",
    "HostReport",
    "Job",
    "JobEvent",
    "NumberReservation",
    "PipelineRun",
    "Pledge",
    "SealTarget",
    "Sector",
    "SectorAdoption",
    "SectorChange",
    "SectorCopy",
    "SectorNumbers",
    "SectorProof",
    "SharedSettings",
    "Store",
    "StoreAttachment",
    "StoreCheck",
    "StoreEvent",
    "StoreFinding",
    "StoreMove",
    "StoreSample",
    "StoreScan",
    "VerifiedClaim",
    "Worker",
    "WorkerCommand",
]
