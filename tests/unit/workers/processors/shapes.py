"""Sectors of each shape of tree, sealed."""

from __future__ import annotations

import dataclasses
import shutil

from poolsite.filecoin.merkle import TreeShape
from poolsite.filecoin.porep.parameters import seal_parameters
from tests.naive.pieces import staged_sector
from tests.unit.workers.processors.sealing import golden, stream
from workers.processors.labelling import LabelledSector, label_sectors
from workers.processors.pc2 import seal_trees
from workers.processors.tree_d import tree_d_build
from workers.storage.sector import SectorFiles

KIB = 1024

CASES = {
    "2k_11layers": (5, 2 * KIB, TreeShape(), 11),
    "2k_ni": (15, 2 * KIB, TreeShape(), 2),
    "4k_sub2": (5, 4 * KIB, TreeShape(sub=2), 2),
    "16k_sub8": (5, 16 * KIB, TreeShape(sub=8), 2),
    "16k_sub8_11layers": (5, 16 * KIB, TreeShape(sub=8), 11),
    "32k_top2_11layers": (5, 32 * KIB, TreeShape(sub=8, top=2), 11),
    "8m_v1_1": (6, 8192 * KIB, TreeShape(), 2),
}
"""Registered number, size, shape and layers of the golden cases that no registered proof has."""


def seal(name, folder):
    case = golden(f"seal_{name}")
    number, size, shape, layers = CASES[name]
    parameters = dataclasses.replace(seal_parameters(number), sector_bytes=size, shape=shape, layers=layers)
    files = SectorFiles(parameters, folder / "cache", folder / "sealed")
    pieces = [stream(f"seal-{i}", piece["unpadded"]) for i, piece in enumerate(case["pieces"])]
    (folder / "staged").write_bytes(staged_sector(size, pieces))
    shutil.copy(folder / "staged", folder / "sealed")
    comm_d = tree_d_build(files, str(folder / "staged"))
    label_sectors([LabelledSector(files, bytes.fromhex(case["replica_id"]))], folder=folder / "parents")
    return case, files, comm_d, seal_trees(files, comm_d=comm_d)
