"""A sector whose store is a bucket, brought here whole for stages that read all of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.wire.pipeline import WORKER_STAGES, StoreUse
from workers.storage.files import copy_file, is_complete, space_check
from workers.storage.moves import sector_files
from workers.storage.sector import sector_name
from workers.storage.store import Store, path_remove
from workers.storage.sums import SectorSums

if TYPE_CHECKING:
    from poolsite.wire.job_inputs import SealInputs

FETCHED: Final = "fetched"
"""In a job's folder: the sector's files, laid out as in a store."""
READING: Final = frozenset(stage for stage, spec in WORKER_STAGES.items() if spec.store is StoreUse.READS)
"""Stages that read the sector that is in a store."""
UNREAD: Final = "unsealed/"
"""What no stage reads of a stored sector."""


def store_near(store: Store, job: Path, inputs: SealInputs) -> Store:
    """Return a folder with the sector's files, whole by size and sum, for a stage that reads them.

    What a kill has left whole is kept.  Raises NotEnoughSpace, DamagedFile, BucketAway, OSError.
    """
    name = sector_name(inputs.miner_id, inputs.number)
    near, sums = Store(job / FETCHED), SectorSums(store.root, name).read()
    missing = {}
    for file in sector_files(store.root, name):
        size = (store.root / file).stat().st_size
        if not file.startswith(UNREAD) and not is_complete(near.root / file, size):
            missing[file] = size
    near.root.mkdir(exist_ok=True)
    space_check(near.root, sum(missing.values()))
    for file, size in missing.items():
        target = near.root / file
        target.parent.mkdir(parents=True, exist_ok=True)
        known = sums.get(file)
        copy_file(store.root / file, target, size_bytes=size, digest=None if known is None else known.digest)
    return near


def fetched_remove(job: Path) -> None:
    """Remove what was brought here."""
    path_remove(job / FETCHED)
