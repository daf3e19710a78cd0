"""What the files of a sector take on disk while it is sealed; loads no kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters


def sealing_disk_bytes(parameters: SealParameters) -> int:
    """Return the most bytes that a sealing folder takes: staged and sealed file, layers and trees."""
    size = parameters.sector_bytes
    trees = 2 * size + size * 8 // 7 + size // 256
    return 3 * size + parameters.layers * size + trees
