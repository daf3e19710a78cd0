"""What lies in a store: its sectors, whole and half, and other files; leftovers removed from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from poolsite.wire.store_checks import FILE_NAME_MAX, OTHER_FILES_MAX
from workers.storage.files import DamagedFile, names_in
from workers.storage.links import apart_check
from workers.storage.moves import LAST, sector_files
from workers.storage.parts import REPLICAS, is_complete, is_lent, is_whole
from workers.storage.sector import sector_name
from workers.storage.store import NAME, StoreAway, path_remove
from workers.storage.store_check import name_text, wanted_check
from workers.storage.store_mark import BadMark
from workers.storage.sums import SectorSums
from workers.storage.used import SECTOR_KINDS

if TYPE_CHECKING:
    from workers.storage.attachment import Attachment
    from workers.storage.store import Store


def sectors_scan(
    root: Path,
    *,
    others: Sequence[Path] = (),
    is_wanted: Callable[[], bool] = lambda: True,
    unfinished: Iterable[str] = (),
) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Return the numbers of whole and of half sectors in a store, by miner.

    Raises OSError, InterruptedError once it is not wanted.

    A sector is whole if a replica lies there, and its `p_aux` beside it or in one of the `others`, the host's
    other stores; a cache that is lent to such a replica is no half one.  Nor is an unsealed file alone, but
    parts of an upload that nobody goes on with are (`unfinished`: those sectors' names).
    """
    listed = {name for kinds in REPLICAS for kind in kinds for name in _names(root / kind)}
    complete: dict[int, list[int]] = {}
    half: dict[int, list[int]] = {}
    for name in sorted(listed | set(unfinished)):
        wanted_check(is_wanted)
        miner_id, number = map(int, name.removeprefix("s-t0").split("-"))
        is_here = is_whole(root, others, name)
        if not is_here and is_lent(root, others, name):
            continue
        into = complete if is_here else half
        into.setdefault(miner_id, []).append(number)
    return complete, half


def sector_bytes(root: Path, name: str) -> int:
    """Return what a sector's files take in a store, those that are being written too."""
    paths = (root / kind / f"{name}{end}" for kind in SECTOR_KINDS for end in ("", ".tmp"))
    return sum(_bytes_of(path) for path in paths)


def sector_kinds(root: Path, name: str) -> str:
    """Return the folders of a store in which a sector has files, those that are being written too."""
    ends = ("", ".tmp")
    return " ".join(
        kind for kind in SECTOR_KINDS if any((root / kind / f"{name}{end}").exists() for end in ends)
    )


def others_scan(root: Path) -> list[tuple[str, int]]:
    """Return what lies among the sectors of a store and is none, with its bytes, as far as it is told."""
    found: list[tuple[str, int]] = []
    for kind in SECTOR_KINDS:
        folder = root / kind
        names = sorted(names_in(folder)) if folder.is_dir() else []
        for name in names:
            shown = name_text(name)
            if NAME.fullmatch(name.removesuffix(".tmp")) is None and len(kind) + len(shown) < FILE_NAME_MAX:
                found.append((f"{kind}/{shown}", _bytes_of(folder / name)))
            if len(found) == OTHER_FILES_MAX:
                return found
    return found


def leftover_remove(store: Store, args: Mapping[str, str], others: Iterable[Attachment] = ()) -> None:
    """Remove a sector's files from one store; whole ones if `args` say so.

    `others` are the other stores of the host.  Raises DamagedFile where one of them shares these files,
    StoreAway where one that is away might, OSError.
    """
    name = sector_name(int(args["miner_id"]), int(args["number"]))
    for other in others:
        try:
            there = other.read(lambda there: there)
        except (OSError, BadMark):
            raise StoreAway(
                f"{other.path} is unavailable and may share files with {store.root}: mount it, or detach "
                "it (page Storage), then remove again"
            ) from None
        apart_check(store.root, there.root, name)
        if any(_is_parted(store.root, there.root, name, *kinds) for kinds in REPLICAS):
            raise DamagedFile(
                f"{name} lies in two stores, its replica in one and its cache in the other ({store.root}, "
                f"{there.root}): it is proven from both and kept; move it into one store first"
            )
    if "whole" not in args and any(is_complete(store.root, name, *kinds) for kinds in REPLICAS):
        raise DamagedFile(f"{name} is complete in {store.root} and is kept")
    for kind in (*LAST, *(kind for kind in SECTOR_KINDS if kind not in LAST)):
        path_remove(store.root / kind / name)
        path_remove(store.root / kind / f"{name}.tmp")
    if left := sector_files(store.root, name):
        raise OSError(f"{store.root / left[0]} cannot be removed")
    SectorSums(store.root, name).remove()


def _bytes_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else (path,)
    size = 0
    for file in files:
        with suppress(OSError):
            size += file.lstat().st_blocks * 512 if not file.is_dir() else 0
    return size


def _is_parted(root: Path, other: Path, name: str, replica: str, cache: str) -> bool:
    """Return whether one store has a replica, the other its cache, and neither has both."""
    halves = [
        ((one / replica / name).is_file(), (one / cache / name / "p_aux").is_file()) for one in (root, other)
    ]
    return halves in ([(True, False), (False, True)], [(False, True), (True, False)])


def _names(folder: Path) -> Iterator[str]:
    """Return the sectors' names in a folder; a file that is being written counts as the sector's."""
    try:
        entries = names_in(folder)
    except FileNotFoundError:
        return
    for entry in entries:
        name = entry.removesuffix(".tmp")
        if NAME.fullmatch(name):
            yield name
