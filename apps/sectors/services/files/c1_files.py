"""What C1 gave on a host that has no slot for C2: one file each in `settings.C1_DIR`, until C2 is done."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import transaction

from apps.sectors.models import Job, Sector


def c1_file_find(job: Job, *, sector: Sector) -> Path:
    """Return where the vanilla proofs for a sector's seed lie; for another seed there is another file."""
    return Path(settings.C1_DIR) / f"{job.uuid}-{bytes(sector.seed or b'').hex()[:16]}"


def is_c1_file_kept(job: Job, *, sector: Sector) -> bool:
    """Return whether a host has handed them over."""
    return c1_file_find(job, sector=sector).exists()


def c1_file_delete(job: Job, *, sector: Sector) -> None:
    """Delete the vanilla proofs with the step that makes them useless; none is fine."""
    path = c1_file_find(job, sector=sector)
    transaction.on_commit(lambda: path.unlink(missing_ok=True))
