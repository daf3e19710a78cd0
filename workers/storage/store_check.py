"""Check of a sector's files in a store: read at a set pace, each sum compared with the recorded one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.porep.parameters import UnknownSealProof, seal_parameters
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.wire.store_checks import FILES_MAX, CheckedFile, FileState
from workers.storage.checksums import disk_parts
from workers.storage.files import DamagedFile
from workers.storage.moves import sector_files
from workers.storage.parts import lender_of, whole_files
from workers.storage.sector import sector_name
from workers.storage.store import stored_files
from workers.storage.sums import FileSum, SectorSums

if TYPE_CHECKING:
    from workers.storage.sector import SectorFiles
    from workers.storage.store import Store

P_AUX_BYTES: Final = 2 * NODE_BYTES
OPTIONAL: Final = "t_aux"
"""Of the kept files: nothing that is proven needs it."""


@dataclass(frozen=True, slots=True)
class CheckedOne:
    """What an order to check names."""

    miner_id: int
    number: int
    seal_proof: int
    comm_r: bytes
    uid: str
    bytes_s: int
    """Most bytes that are read in a second; 0: as fast as it goes."""
    is_quick: bool
    """Names, sizes and comm_r alone."""

    @property
    def name(self) -> str:
        """Return the name of its files."""
        return sector_name(self.miner_id, self.number)


def checked_one(args: Mapping[str, str]) -> CheckedOne:
    """Read what an order names.  Raises KeyError, ValueError."""
    return CheckedOne(
        int(args["miner_id"]),
        int(args["number"]),
        int(args["seal_proof"]),
        bytes.fromhex(args["comm_r"]),
        args["uid"],
        int(args.get("bytes_s", "0")),
        "quick" in args,
    )


def sector_check(
    store: Store, one: CheckedOne, *, is_wanted: Callable[[], bool], others: Sequence[Path] = ()
) -> list[CheckedFile]:
    """Return what every file of a sector is found to be; sums that nobody had recorded are.

    A cache that the store lacks is that of one of the `others`.

    Raises DamagedFile for an unknown proof type, InterruptedError once it is not wanted, OSError if the
    store goes away.
    """
    try:
        parameters = seal_parameters(one.seal_proof)
    except UnknownSealProof as error:
        raise DamagedFile(str(error)) from None
    known = {"miner_id": one.miner_id, "number": one.number}
    files = whole_files(store, others, parameters, **known, comm_r=one.comm_r)
    sizes = {str(path.relative_to(lender_of(files))): size for path, size in _cache_needed(files)}
    sizes[str(files.sealed.relative_to(store.root))] = parameters.sector_bytes
    roots, recorded = _files_in(store.root, files, one.name, sizes)
    found: list[CheckedFile] = []
    fresh: dict[Path, dict[str, FileSum]] = {root: {} for root in roots.values()}
    for name, root in sorted(roots.items())[:FILES_MAX]:
        path = root / name
        size = _size(path)
        if size is None or size != sizes.get(name, size):
            state = FileState.MISSING if size is None else FileState.WRONG_SIZE
        elif path == files.p_aux and files.comm_r != one.comm_r:
            state = FileState.WRONG_COMM_R
        elif one.is_quick:
            state = FileState.NOT_READ
        else:
            digest = _digest(path, one, is_wanted)
            state = _compared(digest, size, recorded.get(name))
            if state is FileState.NOTED:
                fresh[root][name] = FileSum(size, digest)
        found.append(CheckedFile(name=name_text(name), state=state, size=size or 0))
    if any(fresh.values()) and not is_wanted():
        raise InterruptedError("the files may have changed since their checksums were computed")
    try:
        for root, sums in fresh.items():
            SectorSums(root, one.name).record(sums)
    except OSError:  # a disk that is mounted read-only: nothing can be kept there
        found = [_not_noted(file) if file.state is FileState.NOTED else file for file in found]
    return found


def _files_in(
    own: Path, files: SectorFiles, name: str, needed: Collection[str]
) -> tuple[dict[str, Path], dict[str, FileSum]]:
    """Return by name in which store each file of a sector lies, or is missing, and the recorded sums.

    Of a store that lends the cache that alone counts.
    """
    roots: dict[str, Path] = {}
    recorded: dict[str, FileSum] = {}
    lent = f"{files.cache.parent.name}/"
    for root in dict.fromkeys((own, lender_of(files))):
        there = sector_files(root, name)
        # An unsealed file may go at any time.
        sums = {
            file: was
            for file, was in SectorSums(root, name).read().items()
            if file in there or not file.startswith("unsealed/")
        }
        if root == own:
            roots |= dict.fromkeys((*needed, *there, *sums), root)
            recorded |= sums
        else:
            every = (*needed, *there, *sums)
            roots |= {file: root for file in every if file.startswith(lent)}
            recorded |= {file: was for file, was in sums.items() if file.startswith(lent)}
    return roots, recorded


def _digest(path: Path, one: CheckedOne, is_wanted: Callable[[], bool]) -> str:
    """Return a file's sum; empty: the disk refuses to read it."""
    try:
        return paced_digest(path, bytes_s=one.bytes_s, is_wanted=is_wanted)
    except InterruptedError:
        raise
    except OSError:
        return ""


def _compared(digest: str, size: int, recorded: FileSum | None) -> FileState:
    if not digest:
        return FileState.UNREADABLE
    if recorded is None:
        return FileState.NOTED
    if recorded.size != size:
        return FileState.WRONG_SIZE
    return FileState.GOOD if recorded.digest == digest else FileState.DIFFERS


def _not_noted(file: CheckedFile) -> CheckedFile:
    return CheckedFile(name=file.name, state=FileState.NOT_KEPT, size=file.size)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _cache_needed(files: SectorFiles) -> Iterator[tuple[Path, int]]:
    """Yield the files of the cache that a proof needs, with their sizes."""
    tree = NODE_BYTES * files.tree_r_last_nodes
    for path in stored_files(files):
        if path.name != OPTIONAL:
            yield path, P_AUX_BYTES if path == files.p_aux else tree


def paced_digest(path: Path, *, bytes_s: int, is_wanted: Callable[[], bool]) -> str:
    """Return the SHA-256 of what the disk has of a file, read no faster than was asked.

    Memory is not filled with it: proofs need the cache.  Raises InterruptedError once it is not wanted.
    """
    digest, done, started = sha256(), 0, time.monotonic()
    with closing(disk_parts(path)) as parts:
        for part in parts:
            digest.update(part)
            done += len(part)
            while bytes_s and (wait := started + done / bytes_s - time.monotonic()) > 0 and is_wanted():
                time.sleep(min(wait, 1.0))
            if not is_wanted():
                raise InterruptedError("the check was cancelled")
    return digest.hexdigest()


def wanted_check(is_wanted: Callable[[], bool]) -> None:
    """Raise InterruptedError once a scan is not wanted any more."""
    if not is_wanted():
        raise InterruptedError("the scan was cancelled")


def name_text(name: str) -> str:
    r"""Return a file's name as it can be told: bytes that are no UTF-8 as `\xe9`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
