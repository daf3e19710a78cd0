"""The golden sealing runs, made again with our stages."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poolsite.filecoin.porep.parameters import seal_parameters
from workers.processors import add_piece, c1, pc1, pc2, tree_d
from workers.processors.tasks import (
    AddPieceTask,
    C1Output,
    C1Task,
    Pc1Output,
    Pc1Task,
    Pc2Output,
    Pc2Task,
    PieceInfo,
    PieceSource,
    TreeDOutput,
    TreeDTask,
)

GOLDEN = Path(__file__).parents[3] / "golden" / "proofs"


def golden(name: str) -> Any:
    """Read a golden file by its name."""
    return json.loads((GOLDEN / f"{name}.json").read_text())


def stream(name: str, count: int) -> bytes:
    """The golden README's deterministic bytes."""
    out, block = bytearray(), 0
    while len(out) < count:
        out += hashlib.sha256(name.encode() + struct.pack("<Q", block)).digest()
        block += 1
    return bytes(out[:count])


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class Sealing:
    """One golden case in a folder of its own; the stages are run one by one."""

    case: Any
    number: int
    folder: Path

    @property
    def name(self) -> str:
        return seal_parameters(self.number).name

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def sealed(self) -> Path:
        return self.folder / "sealed"

    @property
    def staged(self) -> Path:
        return self.folder / "staged"

    def value(self, key: str) -> bytes:
        return bytes.fromhex(self.case[key])

    def piece_sources(self) -> tuple[PieceSource, ...]:
        sources = []
        for i, piece in enumerate(self.case["pieces"]):
            path = self.folder / f"piece-{i}"
            path.write_bytes(stream(f"seal-{i}", piece["unpadded"]))
            sources.append(PieceSource(str(path), piece["unpadded"], piece["unpadded"]))
        return tuple(sources)

    def add_piece(self) -> tuple[PieceInfo, ...]:
        return add_piece.run(AddPieceTask(self.name, self.piece_sources(), str(self.staged))).piece_infos

    def tree_d(self) -> TreeDOutput:
        return tree_d.run(TreeDTask(self.name, str(self.staged), str(self.cache)))

    def pc1_task(self, infos: tuple[PieceInfo, ...]) -> Pc1Task:
        return Pc1Task(
            self.name,
            str(self.cache),
            str(self.staged),
            str(self.sealed),
            self.value("prover_id"),
            self.case["sector_id"],
            self.value("ticket"),
            infos,
        )

    def pc1(self, infos: tuple[PieceInfo, ...]) -> Pc1Output:
        return pc1.run(self.pc1_task(infos))

    def pc2(self, output: Pc1Output) -> Pc2Output:
        return pc2.run(Pc2Task(output, str(self.cache), str(self.sealed)))

    def c1_task(self, output: Pc2Output, infos: tuple[PieceInfo, ...]) -> C1Task:
        return C1Task(
            self.name,
            str(self.cache),
            str(self.sealed),
            self.value("prover_id"),
            self.case["sector_id"],
            self.value("ticket"),
            self.value("seed"),
            output,
            infos,
        )

    def c1(self, output: Pc2Output, infos: tuple[PieceInfo, ...]) -> C1Output:
        return c1.run(self.c1_task(output, infos))

    def to_pc2(self) -> tuple[tuple[PieceInfo, ...], Pc1Output, Pc2Output]:
        infos = self.add_piece()
        self.tree_d()
        made = self.pc1(infos)
        return infos, made, self.pc2(made)


def sealing(case: str, number: int, *, folder: Path) -> Sealing:
    """Prepare a golden case."""
    return Sealing(golden(f"seal_{case}"), number, folder)
