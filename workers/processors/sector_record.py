"""`sector.json` in a folder made by `workers seal`: what the sector is, so that other tools can go on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from poolsite.filecoin.merkle import TreeShape
from poolsite.filecoin.porep.parameters import SECTOR_SIZES, SealParameters, seal_parameters
from workers.processors import codec
from workers.processors.errors import BadFile, BadInput, ProcessorError
from workers.processors.tasks import SectorRecord
from workers.storage.files import write_file
from workers.storage.sector import SectorFiles

FILE_NAME = "sector.json"

GENERATIONS = ("V1", "V1_1", "synthetic", "non-interactive")
"""Words for the generations of seal proofs, in the order of their numbers."""

UNREGISTERED_SHAPES = {
    4 << 10: TreeShape(sub=2),
    16 << 10: TreeShape(sub=8),
    32 << 10: TreeShape(sub=8, top=2),
}
"""Sizes that only tests use; they take the 2 KiB proof's number, as the golden cases do."""


def parameters_of(size: int, generation: str, layers: int | None) -> SealParameters:
    """Return the parameters of a size and a generation, if asked with another number of layers.

    Raises BadInput for a size that does not exist.
    """
    if size not in SECTOR_SIZES and size not in UNREGISTERED_SHAPES:
        raise BadInput(f"{size} bytes is not a sector size")
    row = SECTOR_SIZES.index(size) if size in SECTOR_SIZES else 0
    parameters = seal_parameters(GENERATIONS.index(generation) * len(SECTOR_SIZES) + row)
    if size in UNREGISTERED_SHAPES:
        parameters = dataclasses.replace(parameters, sector_bytes=size, shape=UNREGISTERED_SHAPES[size])
    if layers is not None and layers not in (2, 11):
        raise BadInput("a sector must have 2 or 11 layers")
    return dataclasses.replace(parameters, layers=layers or parameters.layers)


def record_parameters(record: SectorRecord) -> SealParameters:
    """Return a sector's parameters."""
    return parameters_of(record.size, record.generation, record.layers)


def record_files(record: SectorRecord, folder: Path) -> SectorFiles:
    """Return where a sector's files lie."""
    return sector_files(record_parameters(record), folder)


def record_write(record: SectorRecord, folder: Path) -> None:
    """Write the record."""
    write_file(folder / FILE_NAME, json.dumps(codec.encode(record), indent=1).encode())


def sector_files(parameters: SealParameters, folder: Path) -> SectorFiles:
    """Return the files of a sector that lies alone in a folder."""
    return SectorFiles(parameters, folder / "cache", folder / "sealed")


def record_read(folder: Path) -> SectorRecord:
    """Read the record of a folder.  Raises BadFile."""
    path = folder / FILE_NAME
    try:
        return codec.decode(SectorRecord, json.loads(path.read_text()))
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}; `workers seal` writes it into a sector's folder") from None
    except (ValueError, ProcessorError) as error:
        raise BadFile(f"{path}: {error}") from None
