"""Parameter files converted once to the rows that the kernels take, and mapped into memory.

A conversion belongs to one state of one file (its path, size and time of change) and checks every point on
the way.  Each process compares it with the digests that were written with it before its first proof: found
there, a flipped bit costs no window.  The pages that it reads are those that the proof takes next.
"""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog

from poolsite.private_files import locked
from workers.snark.arrays import silent
from workers.snark.files import conversion_path
from workers.snark.parameters import SECTIONS, BadParameters, KeyPoints, ParameterFile
from workers.storage.checksums import file_digest
from workers.storage.files import write_file

if TYPE_CHECKING:
    from workers.snark.arrays import Progress, Words

log = structlog.get_logger(__name__)

CHUNK_POINTS = 1 << 18
"""Points that are converted at a time: 25 MB of G1, twice as much of G2."""
DIGESTS = "digests.json"
"""SHA-256 of each file of a conversion, by name."""
CHECK_REPORT_S = 1.0
"""Pause between two reports of a check's progress."""
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
    """Return the conversion of a file, made in `folder` if it is not there, and again if it is damaged.

    Several processes may ask at once: one converts, the others wait.  Raises BadParameters, OSError.
    """
    target = conversion_path(source.path, folder)
    if not _is_intact(target, threads=threads, progress=progress):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f"{source.path.stem}.lock"):
            if not _is_intact(target, threads=threads, progress=progress):
                if target.exists():
                    log.error("conversion_damaged", folder=str(target), effect="it is converted again")
                    shutil.rmtree(target)
                _convert(source, target, threads=threads, progress=progress)
    converted = ConvertedParameters(target, source.name)
    if converted.verifying_key() != source.verifying_key():
        raise BadParameters(f"{source.name} is damaged: its verifying key is not the one that was converted")
    return converted


def _is_intact(target: Path, *, threads: int, progress: Progress) -> bool:
    """Return whether a conversion is there and each of its files is what was written.

    One that an earlier version made has no digests: those of its present files are noted.  It is no worse
    than before, as each proof is checked with the verifying key before it is given out.
    """
    if not target.exists():
        return False
    try:
        known = json.loads((target / DIGESTS).read_text())
    except FileNotFoundError:
        known = None
    except ValueError:
        known = {}
    names = [path.name for path in target.iterdir() if path.name != DIGESTS] if known is None else [*known]
    try:
        found = _digests(target, names, threads=threads, progress=progress)
    except FileNotFoundError:
        found = {}
    if known is None:
        with suppress(OSError):  # a full disk must not cost the proof
            write_file(target / DIGESTS, json.dumps(found).encode())
        return True
    return bool(known) and found == known


def _digests(folder: Path, names: list[str], *, threads: int, progress: Progress) -> dict[str, str]:
    """Return the digests of some files, telling meanwhile that the work goes on."""
    with ThreadPoolExecutor(threads) as pool:
        jobs = {name: pool.submit(file_digest, folder / name) for name in names}
        while wait(jobs.values(), timeout=CHECK_REPORT_S).not_done:
            progress(0, 1)
        return {name: job.result() for name, job in jobs.items()}


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
        digests = _sections_write(source, partial, threads=threads, progress=progress)
        for name, content in _small_files(source).items():
            (partial / name).write_bytes(content)
            digests[name] = sha256(content).hexdigest()
        (partial / DIGESTS).write_text(json.dumps(digests))
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


def _small_files(source: ParameterFile) -> dict[str, bytes]:
    """Return what a conversion has beside the sections, by file name."""
    files = {"key.vk": source.verifying_key(), "counts.json": json.dumps(source.counts()).encode()}
    key = source.key_points()
    for field in KEY_FIELDS:
        written = BytesIO()
        np.save(written, getattr(key, field))
        files[f"{field}.npy"] = written.getvalue()
    return files


def _sections_write(
    source: ParameterFile, folder: Path, *, threads: int, progress: Progress
) -> dict[str, str]:
    """Write the sections; return the digest of what was written, by file name."""
    total = sum(count for _, _, count in source.sections.values())
    done, digests = 0, {}
    with ThreadPoolExecutor(threads) as pool:
        for name, group in SECTIONS:
            count = source.sections[name][2]
            with (folder / f"{name}.npy").open("wb") as file:
                header, shape = BytesIO(), {"shape": (count, group.words)}
                np.lib.format.write_array_header_1_0(header, {"descr": "<u8", "fortran_order": False} | shape)
                file.write(header.getvalue())
                digest = sha256(header.getvalue())
                starts = list(range(0, count, CHUNK_POINTS))
                for at in range(0, len(starts), threads):  # no more than this many chunks in memory
                    some = starts[at : at + threads]
                    ends = [min(first + CHUNK_POINTS, count) for first in some]
                    for points in pool.map(source.points_between, [name] * len(some), some, ends):
                        file.write(points.data)
                        digest.update(points.data)
                        done += len(points)
                        progress(done, total)
            digests[f"{name}.npy"] = digest.hexdigest()
    return digests


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
