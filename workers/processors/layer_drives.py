"""The drives that a host's file names for layers of sectors in PC1."""

from __future__ import annotations

from typing import Final

import msgspec

LAYERS_VARIABLE: Final = "POOLSITE_SEALER_LAYERS"
"""JSON of `LayerDrives`, for the child that runs pc1."""


STORE: Final = "store"
"""The file in the folder of a host's batches that has the id of its drives."""
BATCH_SUFFIX, MEMBERS_SUFFIX = ".json", ".members"
"""Suffixes of a batch's file there, and of the one beside it that names its sectors."""
BATCH_MINUTES: Final = 30
"""After so long a batch begins though it is not full, unless the host's file says otherwise."""


class LayerDrives(msgspec.Struct, frozen=True, kw_only=True):
    """Drives on which the layers of sectors lie while they are labelled, many sectors in one batch."""

    folder: str
    """Folder of the host in which each batch has a file."""
    drives: tuple[str, ...]
    """A folder on each, or its device."""
    sectors: int = 0
    """Sectors of a full batch; 0: as many as a trial finds best."""
    sector_bytes: int = 32 << 30
    slots: int = 0
    """Sectors in PC1 at a time; 0: any number."""
    wait_minutes: int = BATCH_MINUTES
    """After so long a batch begins though it is not full."""
    writes_files: bool = False
    """Whether layers are copied to files of each sector, for programs that are not ours."""
