"""Moving a sector between two stores of a host: copied and verified; removed from the old one on an order.

Killed anywhere, the old copy is whole until the console knows the new one; what was verified is noted, so
that a copy goes on where it was.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from poolsite.filecoin.porep.parameters import UnknownSealProof, seal_parameters
from workers.storage.attachment import NotAttached
from workers.storage.checksums import disk_digest, file_digest, part_ignore
from workers.storage.files import DamagedFile, copy_file, unfinished_remove, write_file
from workers.storage.links import apart_check
from workers.storage.sector import sector_name
from workers.storage.store import path_remove
from workers.storage.sums import FileSum, SectorSums
from workers.storage.used import SECTOR_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from workers.storage.attachment import Attachment
    from workers.storage.store import Store
    from workers.storage.stores import Stores

log = structlog.get_logger(__name__)

MOVES: Final = "moves"
"""In a worker's folder: of each copy that is under way, the digests of what was verified."""
STARTED: Final = ""
"""Instead of the digest of a file that is being copied and was not there before."""
LAST: Final = ("update", "sealed")
"""Folders whose file is copied last and removed first: by it a sector counts as being in a store."""


@dataclass(frozen=True, slots=True)
class MovedSector:
    """What an order names."""

    move: str
    miner_id: int
    number: int
    seal_proof: int
    comm_r: bytes
    from_uid: str
    to_uid: str

    @property
    def name(self) -> str:
        """Return the name of its files."""
        return sector_name(self.miner_id, self.number)


def moved_sector(args: Mapping[str, str]) -> MovedSector:
    """Read what an order names.  Raises KeyError, ValueError."""
    return MovedSector(
        args["move"].replace("/", "-"),
        int(args["miner_id"]),
        int(args["number"]),
        int(args["seal_proof"]),
        bytes.fromhex(args["comm_r"]),
        args["from"],
        args["to"],
    )


def sector_copy(stores: Stores, sector: MovedSector, *, beat: Callable[[], None] = part_ignore) -> None:
    """Copy a sector's files and verify what the other disk has; `beat` is called as it goes on.

    Raises NotAttached, StoreAway, DamagedFile, NotEnoughSpace, OSError.
    """
    source, target = _store(stores, sector.from_uid), _store(stores, sector.to_uid)
    _replica_check(source.require(), sector)
    target.require()
    here, there = source.store.root, target.store.root
    apart_check(here, there, sector.name)
    files = sector_files(here, sector.name)
    path = stores.folder / MOVES / sector.move
    path.parent.mkdir(parents=True, exist_ok=True)
    noted, recorded = _noted(path), SectorSums(here, sector.name).read()
    todo = [here / file for file in files if noted.get(file, STARTED) == STARTED]
    size = sum(file.stat().st_size for file in todo)
    try:
        with stores.reserved(f"move-{sector.move}", target, size):
            for file in files:  # before anything is written: what is there may be the last good copy
                if (there / file).exists() and noted.get(file, STARTED) == STARTED:
                    _recorded_check(here / file, recorded.get(file), beat=beat)
            for file in files:
                copy = there / file
                if not _is_there(copy, here / file, noted.get(file)):
                    if not copy.exists():  # so that a kill leaves nothing that nobody knows of
                        _note(path, noted | {file: STARTED})
                    noted[file] = _file_copy(here / file, copy, recorded.get(file), beat=beat)
                    _note(path, noted)
            _replica_check(target.require(), sector)
            sums = {file: FileSum((there / file).stat().st_size, noted[file]) for file in files}
            SectorSums(there, sector.name).record(sums)
    except OSError as error:
        left = _copy_undo(source, target, sector, files=files, path=path)
        raise type(error)(f"{error}; {left} in {target.path}") from error
    log.info("sector_copied", sector=sector.number, source=source.name, target=target.name, bytes=size)


def _copy_undo(
    source: Attachment, target: Attachment, sector: MovedSector, *, files: list[str], path: Path
) -> str:
    """Remove what a copy that failed has made, where the old copy is whole; return what is left of it.

    A file that was there before and was not written by this move is left alone.
    """
    noted = _noted(path)
    copied = sum(digest != STARTED for digest in noted.values())
    started = [file for file in files if noted.get(file, STARTED) == STARTED]
    try:
        _replica_check(source.require(), sector)
        root = target.require().root
        for file in reversed(list(noted)):
            (root / file).unlink(missing_ok=True)
        for file in started:
            unfinished_remove(root / file)
        SectorSums(root, sector.name).forget(noted)
        for kind in SECTOR_KINDS:
            with suppress(FileNotFoundError, NotADirectoryError):
                (root / kind / sector.name).rmdir()
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("half_copy_left", sector=sector.number, target=target.name, reason=str(error)[:200])
        return f"{copied} of {len(files)} files were copied and are left"
    return "nothing from the copy is left"


def sector_remove(stores: Stores, sector: MovedSector, *, beat: Callable[[], None] = part_ignore) -> None:
    """Remove a sector from its old store, if the new one has every file with the same sum.

    Raises NotAttached, DamagedFile, OSError.
    """
    source, target = _store(stores, sector.from_uid), _store(stores, sector.to_uid)
    _replica_check(target.require(), sector)
    root = source.require().root
    there = target.store.root
    apart_check(root, there, sector.name)
    noted = _noted(stores.folder / MOVES / sector.move)
    for file in sector_files(root, sector.name):
        copy = there / file
        if not copy.is_file() or copy.stat().st_size != (root / file).stat().st_size:
            raise DamagedFile(
                f"{copy} does not match {root / file}: it was not copied, so the original is kept"
            )
        known = noted.get(file) or file_digest(root / file, on_part=beat)
        if disk_digest(copy, on_part=beat) != known:
            raise DamagedFile(
                f"{copy} and {root / file} have different checksums, the original is kept: check the disk"
            )
    for kind in (*LAST, *(kind for kind in SECTOR_KINDS if kind not in LAST)):
        path_remove(root / kind / sector.name)
    if left := sector_files(root, sector.name):
        raise OSError(f"{root / left[0]} cannot be removed")
    SectorSums(root, sector.name).remove()
    (stores.folder / MOVES / sector.move).unlink(missing_ok=True)
    log.info("sector_removed", sector=sector.number, store=source.name)


def copy_drop(stores: Stores, sector: MovedSector) -> None:
    """Remove what this host has made of a copy that is not wanted any more, where the old copy is whole.

    Raises NotAttached, DamagedFile.
    """
    source, target = _store(stores, sector.from_uid), _store(stores, sector.to_uid)
    path = stores.folder / MOVES / sector.move
    stores.release(f"move-{sector.move}")
    files = sector_files(source.store.root, sector.name)
    left = _copy_undo(source, target, sector, files=files, path=path)
    if path.exists():
        raise DamagedFile(f"{left} in {target.path}: the original is not complete")


def sector_files(root: Path, name: str) -> list[str]:
    """Return a sector's files below a store's root, the replicas last."""
    found = []
    for kind in (*(kind for kind in SECTOR_KINDS if kind not in LAST), *LAST):
        path = root / kind / name
        if path.is_dir():
            found += sorted(str(file.relative_to(root)) for file in path.rglob("*") if file.is_file())
        elif path.is_file():
            found.append(str(path.relative_to(root)))
    return [file for file in found if not file.endswith(".tmp")]


def _store(stores: Stores, uid: str) -> Attachment:
    one = stores.of_uid(uid)
    if one is None:
        raise NotAttached(f"this host does not have the store {uid} attached")
    return one


def _replica_check(store: Store, sector: MovedSector) -> None:
    """Raise DamagedFile unless a store has the replica that the console means."""
    try:
        parameters = seal_parameters(sector.seal_proof)
    except UnknownSealProof as error:
        raise DamagedFile(str(error)) from None
    known = {"miner_id": sector.miner_id, "number": sector.number}
    files = store.proven_files(parameters, **known, comm_r=sector.comm_r)
    if files.comm_r != sector.comm_r or not files.sealed.exists():
        raise DamagedFile(f"there is no {files.sealed} with the comm_r on chain")
    if files.sealed.stat().st_size != parameters.sector_bytes:
        raise DamagedFile(f"{files.sealed} has {files.sealed.stat().st_size} bytes")


def _file_copy(source: Path, target: Path, recorded: FileSum | None, *, beat: Callable[[], None]) -> str:
    """Copy a file and read it back from the other disk; returns its SHA-256.

    Raises DamagedFile, before anything is written if the file is not what was recorded.
    """
    digest = _recorded_check(source, recorded, beat=beat) or file_digest(source, on_part=beat)
    target.parent.mkdir(parents=True, exist_ok=True)
    copy_file(source, target, size_bytes=source.stat().st_size, digest=digest, beat=beat)
    if disk_digest(target, on_part=beat) != digest:
        target.unlink()
        raise DamagedFile(f"{target} does not match what was written: check the disk")
    return digest


def _recorded_check(path: Path, recorded: FileSum | None, *, beat: Callable[[], None]) -> str:
    """Return a file's SHA-256, empty if none was recorded.  Raises DamagedFile if it is another one."""
    if recorded is None:
        return ""
    if (digest := file_digest(path, on_part=beat)) != recorded.digest:
        raise DamagedFile(f"{path} does not match its recorded checksum: rebuild the sector")
    return digest


def _is_there(target: Path, source: Path, digest: str | None) -> bool:
    """Return whether a file was verified before and is still there."""
    return (
        digest not in (None, STARTED) and target.exists() and target.stat().st_size == source.stat().st_size
    )


def _note(path: Path, noted: Mapping[str, str]) -> None:
    write_file(path, json.dumps(noted).encode())


def _noted(path: Path) -> dict[str, str]:
    try:
        return {str(file): str(digest) for file, digest in json.loads(path.read_text()).items()}
    except (FileNotFoundError, ValueError, AttributeError):
        return {}
