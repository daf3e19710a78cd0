"""Parameter files converted once to the rows that the kernels take, and mapped into memory.

A conversion belongs to one state of one file (its path, size and time of change) and checks every point on
the way; afterwards opening it reads nothing, and the processes of a host share the pages.
"""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from poolsite.private_files import locked
from workers.snark.arrays import silent
from workers.snark.files import conversion_path
from workers.snark.parameters import SECTIONS, KeyPoints, ParameterFile

if TYPE_CHECKING:
    from pathlib import Path

    from workers.snark.arrays import Progress, Words

CHUNK_POINTS = 1 << 18
"""Points that are converted at a time: 25 MB of G1, twice as much of G2."""
KEY_FIELDS = ("alpha", "beta_g1", "beta_g2", "delta_g1", "delta_g2")


class ConvertedParameters:
    """A finished conversion: points are mapped when they are asked for."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        counts = json.loads((folder / "counts.json").read_text())
        self._counts: dict[str, int] = {str(section): int(count) for section, count in counts.items()}

    def counts(self) -> dict[str, int]:
        """Return how many points each section has."""
        return dict(self._counts)

    def verifying_key(self) -> bytes:
        """Return the bytes of the verifying key."""
        return (self.folder / "key.vk").read_bytes()

    def key_points(self) -> KeyPoints:
        """Return the prover's points of the verifying key."""
        return KeyPoints(*(np.load(self.folder / f"{field}.npy") for field in KEY_FIELDS))

    def points(self, name: str) -> Words:
        """Return the points of a section, mapped; nothing is ever written through the map."""
        mapped: Words = np.load(self.folder / f"{name}.npy", mmap_mode="c").view(np.ndarray)
        return mapped


def converted_open(
    source: ParameterFile, folder: Path, *, threads: int = 1, progress: Progress = silent
) -> ConvertedParameters:
    """Return the conversion of a file, made in `folder` if it is not there.

    Several processes may ask at once: one converts, the others wait.  Raises BadParameters, OSError.
    """
    target = conversion_path(source.path, folder)
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f"{source.path.stem}.lock"):
            if not target.exists():
                _convert(source, target, threads=threads, progress=progress)
    return ConvertedParameters(target, source.name)


def converted_forget(source: ParameterFile, folder: Path) -> None:
    """Remove a conversion that turned out to be damaged; the next use makes it again."""
    shutil.rmtree(conversion_path(source.path, folder), ignore_errors=True)


def _convert(source: ParameterFile, target: Path, *, threads: int, progress: Progress) -> None:
    """Write all sections beside the target, then give the folder its name."""
    partial = target.with_name(f"{source.path.stem}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    source.key_check()
    source.published_check()
    try:
        _sections_write(source, partial, threads=threads, progress=progress)
        key = source.key_points()
        for field in KEY_FIELDS:
            np.save(partial / f"{field}.npy", getattr(key, field))
        (partial / "key.vk").write_bytes(source.verifying_key())
        (partial / "counts.json").write_text(json.dumps(source.counts()))
        for path in partial.iterdir():
            _sync(path)
        partial.rename(target)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for old in target.parent.glob(f"{source.path.stem}.*"):
        if old != target and old.is_dir():  # of an earlier state of the file
            shutil.rmtree(old, ignore_errors=True)


def _sections_write(source: ParameterFile, folder: Path, *, threads: int, progress: Progress) -> None:
    total = sum(count for _, _, count in source.sections.values())
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        for name, group in SECTIONS:
            count = source.sections[name][2]
            with (folder / f"{name}.npy").open("wb") as file:
                header = {"descr": "<u8", "fortran_order": False, "shape": (count, group.words)}
                np.lib.format.write_array_header_1_0(file, header)
                starts = list(range(0, count, CHUNK_POINTS))
                for at in range(0, len(starts), threads):  # no more than this many chunks in memory
                    some = starts[at : at + threads]
                    ends = [min(first + CHUNK_POINTS, count) for first in some]
                    for points in pool.map(source.points_between, [name] * len(some), some, ends):
                        file.write(points.data)
                        done += len(points)
                        progress(done, total)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
