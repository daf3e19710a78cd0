"""The store of finished sectors: `sealed/s-t0M-N` and `cache/s-t0M-N/`, as lotus and damocles lay them out.

A sector is in the store when its files are there whole; each is copied under a temporary name first.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workers.storage.checksums import Checksums, copy_check, file_digest, part_ignore
from workers.storage.files import copy_file, is_complete, names_in, unfinished_remove, write_new
from workers.storage.sector import SectorFiles, sector_name
from workers.storage.store_mark import StoreMark, mark_read
from workers.storage.sums import FileSum, SectorSums

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters

NAME: Final = re.compile(r"s-t0([0-9]{1,18})-([0-9]{1,18})")
"""A sector's file."""
MARK: Final = "sectorstore.json"
"""File in a store's root that gives it its name, as lotus writes it."""


class StoreAway(OSError):
    """The folder is there, but not the store that was in it: its disk is not mounted."""


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of finished sectors, or what stands for one in a bucket."""

    root: Path

    @property
    def is_there(self) -> bool:
        """Return whether the folder bears a store's mark."""
        return (self.root / MARK).exists()

    def name(self) -> str:
        """Return the store's name; an unmarked folder is marked first."""
        path = self.root / MARK
        if not path.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            name = f"store-{secrets.token_hex(4)}"
            facts = {"ID": str(uuid.uuid4()), "Name": name, "Strict": False, "ReadOnly": False, "Weight": 1}
            with contextlib.suppress(FileExistsError):  # of sealer and prover at once one wins
                write_new(path, json.dumps(facts, indent=2).encode())
        return self.mark().name

    def mark(self) -> StoreMark:
        """Return the store's own rules.  Raises BadMark, OSError."""
        return mark_read(self.root / MARK)

    def files(self, parameters: SealParameters, *, miner_id: int, number: int) -> SectorFiles:
        """Return where a sector's files lie, whether they are there or not."""
        name = sector_name(miner_id, number)
        return SectorFiles(parameters, self.root / "cache" / name, self.root / "sealed" / name)

    def updated_files(self, parameters: SealParameters, *, miner_id: int, number: int) -> SectorFiles:
        """Return where the files of a sector lie that data were encoded into."""
        name = sector_name(miner_id, number)
        return SectorFiles(parameters, self.root / "update-cache" / name, self.root / "update" / name)

    def proven_files(
        self, parameters: SealParameters, *, miner_id: int, number: int, comm_r: bytes
    ) -> SectorFiles:
        """Return the files that have this comm_r: for a while two replicas of an updated sector lie here."""
        updated = self.updated_files(parameters, miner_id=miner_id, number=number)
        if updated.comm_r == comm_r:
            return updated
        return self.files(parameters, miner_id=miner_id, number=number)

    def numbers(self) -> dict[int, list[int]]:
        """Return the numbers of the sectors that lie here, by the id of their miner."""
        names: set[str] = set()
        for kind in ("sealed", "update"):
            with contextlib.suppress(FileNotFoundError):
                names.update(names_in(self.root / kind))
        found: dict[int, list[int]] = {}
        for one in map(NAME.fullmatch, names):
            if one is not None:
                found.setdefault(int(one[1]), []).append(int(one[2]))
        return found

    def persist(
        self,
        source: SectorFiles,
        *,
        miner_id: int,
        number: int,
        is_update: bool = False,
        beat: Callable[[], None] | None = None,
    ) -> SectorFiles:
        """Copy what proving needs: the sealed file, p_aux, t_aux and tree-r-last; `beat` hears of each part.

        Each is read back from its disk, whatever memory has of it: the original is removed once it is proven.
        May be repeated; what is there whole and newer is copied again, since the sector may have been
        sealed anew.  Raises TruncatedFile, FileNotFoundError, OSError, DamagedFile if a file is not what
        was written here, DamagedCopy if its copy is not.
        """
        place = self.updated_files if is_update else self.files
        target = place(source.parameters, miner_id=miner_id, number=number)
        target.cache.mkdir(parents=True, exist_ok=True)
        target.sealed.parent.mkdir(parents=True, exist_ok=True)
        known = Checksums(source.cache).read()
        sizes = {path: path.stat().st_size for path in stored_files(source)}
        copies = {path: target.cache / path.name for path in sizes}
        sizes[source.sealed], copies[source.sealed] = source.parameters.sector_bytes, target.sealed
        names = {file: str(copy.relative_to(self.root)) for file, copy in copies.items()}
        sums = SectorSums(self.root, target.sealed.name)
        sums.forget(names.values())
        recorded: dict[str, FileSum] = {}
        for file, size in sizes.items():
            digest = known.get(file.name)
            copy_file(file, copies[file], size_bytes=size, digest=digest, beat=beat)
            if file.stat().st_size != size:  # the copy is filled up with zeros
                continue
            on_part = beat or part_ignore
            copy_check(copies[file], digest or file_digest(file, on_part=on_part), on_part=on_part)
            if digest:
                recorded[names[file]] = FileSum(size, digest)
        sums.record(recorded)
        return target

    def unfinished_remove(
        self, parameters: SealParameters, *, miner_id: int, number: int, is_update: bool = False
    ) -> None:
        """Remove what a `persist` that was cut off has left under temporary names.  Raises OSError."""
        place = self.updated_files if is_update else self.files
        target = place(parameters, miner_id=miner_id, number=number)
        for path in (target.sealed, *stored_files(target)):
            unfinished_remove(path)

    def has(self, source: SectorFiles, *, miner_id: int, number: int, is_update: bool = False) -> bool:
        """Return whether everything that `persist` copies is there, of the same sizes as in `source`.

        It is the same replica by its p_aux, which holds comm_c and comm_r_last.
        """
        place = self.updated_files if is_update else self.files
        target = place(source.parameters, miner_id=miner_id, number=number)
        if not is_complete(target.sealed, source.parameters.sector_bytes) or not target.p_aux.exists():
            return False
        if source.p_aux.exists() and source.p_aux.read_bytes() != target.p_aux.read_bytes():
            return False
        return all(
            is_complete(target.cache / path.name, path.stat().st_size)
            for path in stored_files(source)
            if path.exists()
        )


def stored_files(files: SectorFiles) -> list[Path]:
    """Return the files of the cache folder that a proven sector keeps."""
    trees = [files.tree_r_last(base_tree) for base_tree in range(files.base_trees)]
    return [files.p_aux, files.t_aux, *trees]


@singledispatch
def path_remove(path: Path) -> None:
    """Delete a file, or a folder with everything in it; none is fine."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
