"""Small sectors that are labelled as batches on drives, each from a thread of its own."""

from __future__ import annotations

from hashlib import sha256

from poolsite.filecoin.porep.parameters import seal_parameters
from tests.unit.workers.processors.sealing import digest
from workers.processors import c1
from workers.processors.labelling import LabelledSector
from workers.storage.sector import SectorFiles

SMALL = seal_parameters(5)
SECTORS = 5


def sector(number, folder):
    files = SectorFiles(SMALL, folder / f"cache-{number}", folder / f"sealed-{number}")
    files.cache.mkdir(exist_ok=True)
    return LabelledSector(files, sha256(bytes([number])).digest()[:31] + b"\0")


def layers(one):
    return [digest(one.files.layer(layer)) for layer in (1, 2)]


def commit(one, infos, output):
    """Run pc2 and c1; return comm_r and the proof's digest."""
    sealed = one.pc2(output)
    return sealed.comm_r, c1.run(one.c1_task(sealed, infos)).sha256
