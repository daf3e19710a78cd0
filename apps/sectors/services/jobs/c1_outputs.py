"""The output of C1 on its way to the host that does C2: taken from the one, given to the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.conf import settings

from apps.core.disk import DiskFull, DiskLevel, disk_space
from apps.core.marked_texts import gettext
from apps.core.uuids import is_uuid
from apps.pieces.data.files import CHUNK_BYTES, Source, bytes_read
from apps.sectors.errors.jobs import BadReport, C1Missing, JobUnknown, LeaseLost
from apps.sectors.models import Job
from apps.sectors.services.files.c1_files import c1_file_find
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import Stage

C1_MAX_BYTES: Final = 1 << 30
"""Of one sector; the ten partitions of one of 32 GiB have some 60 MB."""
PART_RETENTION: Final = timedelta(days=1)
"""An upload to which nothing was added for so long ended with its process."""


@dataclass(frozen=True, slots=True)
class C1Output:
    """A file that is read while it is sent."""

    size: int
    chunks: Iterator[bytes]


def is_sealing(job_id: str) -> bool:
    """Return whether a job seals a sector."""
    return is_uuid(job_id) and Job.objects.filter(uuid=job_id, kind=JobKind.SEAL).exists()


def c1_store(job_id: str, *, source: Source, token: int, tenant_id: int) -> None:
    """Store the output of C1; the same again changes nothing.

    Raises JobUnknown, LeaseLost, BadReport, DiskFull, OSError.
    """
    path = _path(job_id, token=token, tenant_id=tenant_id, stage=Stage.C1)
    if (space := disk_space(settings.C1_DIR)).level is DiskLevel.FULL:
        raise DiskFull(space)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    size = 0
    try:
        with part.open("wb") as file:
            while chunk := source.read(CHUNK_BYTES):
                size += len(chunk)
                if size > C1_MAX_BYTES:
                    raise BadReport(
                        gettext("must have at most {limit} bytes").format(limit=C1_MAX_BYTES),
                        field="data",
                    )
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def c1_parts_sweep(*, now: datetime) -> None:
    """Delete what uploads have left whose process was killed."""
    for part in Path(settings.C1_DIR).glob("*.part"):
        with suppress(OSError):  # the next sweep tries again
            if part.stat().st_mtime < (now - PART_RETENTION).timestamp():
                part.unlink()


def c1_read(job_id: str, *, token: int, tenant_id: int) -> C1Output:
    """Return what C1 gave, for the host that holds the job's C2.  Raises JobUnknown, LeaseLost, C1Missing."""
    path = _path(job_id, token=token, tenant_id=tenant_id, stage=Stage.C2)
    if not path.exists():
        raise C1Missing
    size = path.stat().st_size
    return C1Output(size, bytes_read(path, first=0, count=size))


def _path(job_id: str, *, token: int, tenant_id: int, stage: str) -> Path:
    """Return the file of a sector whose job is at a stage, for its lease.  Raises JobUnknown, LeaseLost."""
    jobs = Job.objects.filter(kind=JobKind.SEAL, miner__tenant_id=tenant_id).select_related("sector")
    job = jobs.filter(uuid=job_id).first() if is_uuid(job_id) else None
    if job is None or job.sector is None:
        raise JobUnknown(job_id)
    if job.lease_token != token or job.stage != stage:
        raise LeaseLost
    return c1_file_find(job, sector=job.sector)
