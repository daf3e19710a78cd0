"""Moving a sector between two stores of a host: copied and verified; removed from the old one on an order.

Killed anywhere, the old copy is whole until the console knows the new one; what was verified is noted, so
that a copy goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from poolsite.filecoin.porep.parameters import UnknownSealProof, seal_parameters
from workers.storage.attachment import NotAttached
from workers.storage.checksums import disk_digest, file_digest, part_ignore
from workers.storage.files import DamagedFile, copy_file, names_in, unfinished_remove, write_file
from workers.storage.links import apart_check
from workers.storage.parts import lender_of, root_of, whole_files
from workers.storage.sector import sector_name
from workers.storage.store import Store, path_remove
from workers.storage.sums import FileSum, SectorSums
from workers.storage.used import SECTOR_KINDS

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from workers.storage.attachment import Attachment
    from workers.storage.sector import SectorFiles
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
    target.require()
    there = target.store.root
    path = stores.folder / MOVES / sector.move
    path.parent.mkdir(parents=True, exist_ok=True)
    noted = _noted(path)
    replica = _original(stores, source.require(), target.store, sector, copied=noted)
    files, recorded = _originals(replica, there), _recorded(replica)
    for root in {root_of(replica), lender_of(replica)} - {there}:
        apart_check(root, there, sector.name)
    todo = [file for name, file in files.items() if noted.get(name, STARTED) == STARTED]
    size = sum(file.stat().st_size for file in todo)
    try:
        with stores.reserved(f"move-{sector.move}", target, size):
            for name, file in files.items():  # before anything is written: that may be the last good copy
                if (there / name).exists() and noted.get(name, STARTED) == STARTED:
                    _recorded_check(file, recorded.get(name), beat=beat)
            for name, file in files.items():
                copy = there / name
                if not _is_there(copy, file, noted.get(name)):
                    if not copy.exists():  # so that a kill leaves nothing that nobody knows of
                        _note(path, noted | {name: STARTED})
                    noted[name] = _file_copy(file, copy, recorded.get(name), beat=beat)
                    _note(path, noted)
            _replica_check(target.require(), sector)
            sums = {name: FileSum((there / name).stat().st_size, noted[name]) for name in files}
            SectorSums(there, sector.name).record(sums)
    except OSError as error:
        left = _copy_undo(stores, source, target, sector, files=list(files), path=path)
        raise type(error)(f"{error}; {left} in {target.path}") from error
    log.info("sector_copied", sector=sector.number, source=source.name, target=target.name, bytes=size)


def _copy_undo(
    stores: Stores,
    source: Attachment,
    target: Attachment,
    sector: MovedSector,
    *,
    files: list[str],
    path: Path,
) -> str:
    """Remove what a copy that failed has made, where the old copy is whole; return what is left of it.

    A file that was there before and was not written by this move is left alone.
    """
    noted = _noted(path)
    copied = sum(digest != STARTED for digest in noted.values())
    started = [file for file in files if noted.get(file, STARTED) == STARTED]
    try:
        root = target.require().root
        _original(stores, source.require(), target.store, sector, copied=noted)
        for file in reversed(list(noted)):
            (root / file).unlink(missing_ok=True)
        for file in started:
            unfinished_remove(root / file)
        SectorSums(root, sector.name).forget(noted)
        for kind in SECTOR_KINDS:
            with suppress(FileNotFoundError, NotADirectoryError):
                if not names_in(root / kind / sector.name):  # what was there before stays
                    (root / kind / sector.name).rmdir()
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("half_copy_left", sector=sector.number, target=target.name, reason=str(error)[:200])
        return f"{copied} of {len(files)} files were copied and are left"
    return "nothing from the copy is left"


def sector_remove(stores: Stores, sector: MovedSector, *, beat: Callable[[], None] = part_ignore) -> None:
    """Remove a sector from its old store, if the new one has every file with the same sum.

    With it goes the cache that another store has lent; it goes first, as by the replica it is known.  Raises
    NotAttached, DamagedFile, OSError.
    """
    source, target = _store(stores, sector.from_uid), _store(stores, sector.to_uid)
    _replica_check(target.require(), sector)
    root, there = source.require().root, target.store.root
    replica = _whole_files(stores, source.store, target.store, sector)
    lender, lent = lender_of(replica), replica.cache.parent.name
    noted = _noted(stores.folder / MOVES / sector.move)
    for at in {root, lender}:
        apart_check(at, there, sector.name)
    for name, file in _originals(replica, there).items():
        copy = there / name
        if not copy.is_file() or copy.stat().st_size != file.stat().st_size:
            raise DamagedFile(f"{copy} does not match {file}: it was not copied, so the original is kept")
        known = noted.get(name) or file_digest(file, on_part=beat)
        if disk_digest(copy, on_part=beat) != known:
            raise DamagedFile(
                f"{copy} and {file} have different checksums, the original is kept: check the disk"
            )
    if lender != root:
        _kinds_remove(lender, sector.name, [lent])
        SectorSums(lender, sector.name).forget(folders=[lent])
    _kinds_remove(root, sector.name, (*LAST, *(kind for kind in SECTOR_KINDS if kind not in LAST)))
    SectorSums(root, sector.name).remove()
    (stores.folder / MOVES / sector.move).unlink(missing_ok=True)
    log.info("sector_removed", sector=sector.number, store=source.name)


def _kinds_remove(root: Path, name: str, kinds: Sequence[str]) -> None:
    """Remove a sector's files of some kinds from a store.  Raises OSError if any is left."""
    for kind in kinds:
        path_remove(root / kind / name)
    left = [file for file in sector_files(root, name) if file.partition("/")[0] in kinds]
    if left:
        raise OSError(f"{root / left[0]} cannot be removed")


def copy_drop(stores: Stores, sector: MovedSector) -> None:
    """Remove what this host has made of a copy that is not wanted any more, where the old copy is whole.

    Raises NotAttached, DamagedFile.
    """
    source, target = _store(stores, sector.from_uid), _store(stores, sector.to_uid)
    path = stores.folder / MOVES / sector.move
    stores.release(f"move-{sector.move}")
    replica = _whole_files(stores, source.store, target.store, sector)
    files = list(_originals(replica, target.store.root))
    left = _copy_undo(stores, source, target, sector, files=files, path=path)
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


def _whole_files(stores: Stores, source: Store, target: Store, sector: MovedSector) -> SectorFiles:
    """Return the replica to be moved, with its cache there or lent by a third store."""
    others = [root for root in stores.roots_beside(source.root) if root != target.root]
    named = {"miner_id": sector.miner_id, "number": sector.number}
    return whole_files(source, others, _parameters(sector), **named, comm_r=sector.comm_r)


def _original(
    stores: Stores, source: Store, target: Store, sector: MovedSector, *, copied: Collection[str]
) -> SectorFiles:
    """Return the replica to be moved with its cache, which may be in the target already.

    What the move itself has `copied` there is no original.  Raises DamagedFile unless it is the replica that
    the console means.
    """
    files = _whole_files(stores, source, target, sector)
    named = {"miner_id": sector.miner_id, "number": sector.number}
    for place in (Store.updated_files, Store.files):
        own, there = (place(one, files.parameters, **named) for one in (source, target))
        is_lacking = files.comm_r != sector.comm_r and own.sealed.exists() and not own.p_aux.exists()
        is_there = there.comm_r == sector.comm_r
        if is_lacking and is_there and str(there.p_aux.relative_to(target.root)) not in copied:
            files = replace(own, cache=there.cache)
    _files_check(files, sector)
    return files


def _originals(replica: SectorFiles, target: Path) -> dict[str, Path]:
    """Return by name the files that a move copies, of the replica's store and of the lent cache.

    The replicas come last; what lies in the target already is left out.
    """
    root, lender, name = root_of(replica), lender_of(replica), replica.sealed.name
    kind = f"{replica.cache.parent.name}/"
    lent = [file for file in sector_files(lender, name) if file.startswith(kind)] if lender != root else []
    own = {file: root / file for file in sector_files(root, name) if file not in lent}
    found = {file: lender / file for file in lent} | own
    return {file: path for file, path in found.items() if path != target / file}


def _recorded(replica: SectorFiles) -> dict[str, FileSum]:
    """Return the recorded sums of these files."""
    kind, name = f"{replica.cache.parent.name}/", replica.sealed.name
    own, lender = SectorSums(root_of(replica), name).read(), lender_of(replica)
    if lender == root_of(replica):
        return own
    lent = SectorSums(lender, name).read()
    return own | {file: one for file, one in lent.items() if file.startswith(kind)}


def _parameters(sector: MovedSector) -> SealParameters:
    """Raise DamagedFile for an unknown proof type."""
    try:
        return seal_parameters(sector.seal_proof)
    except UnknownSealProof as error:
        raise DamagedFile(str(error)) from None


def _replica_check(store: Store, sector: MovedSector) -> None:
    """Raise DamagedFile unless a store has the replica that the console means, and its cache."""
    known = {"miner_id": sector.miner_id, "number": sector.number}
    _files_check(store.proven_files(_parameters(sector), **known, comm_r=sector.comm_r), sector)


def _files_check(files: SectorFiles, sector: MovedSector) -> None:
    """Raise DamagedFile unless these are the files of the replica that the console means."""
    if files.comm_r != sector.comm_r or not files.sealed.exists():
        raise DamagedFile(f"there is no {files.sealed} with the comm_r on chain")
    if files.sealed.stat().st_size != files.parameters.sector_bytes:
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
