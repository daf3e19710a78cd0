"""Sectors whose files lie in several stores of a host, as lotus-miner and Curio may lay them out.

Such a sector's store is the one with its replica.  A cache that is missing there is lent by another store
that has it and no replica of the sector: what belongs to a second copy is not lent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from workers.storage.sector import SectorFiles
    from workers.storage.store import Store

REPLICAS: Final = (("sealed", "cache"), ("update", "update-cache"))
"""Folders of a replica and of its cache."""


def is_complete(root: Path, name: str, replica: str, cache: str) -> bool:
    """Return whether a store has a sector's replica and its cache."""
    return _has_replica(root, name, replica) and _has_cache(root, name, cache)


def lenders(root: Path, others: Iterable[Path], name: str, replica: str, cache: str) -> Iterator[Path]:
    """Yield the stores that have the cache which a replica's own store lacks."""
    if not _has_replica(root, name, replica) or _has_cache(root, name, cache):
        return
    for other in others:
        # A disk that goes away meanwhile lends nothing.
        with suppress(OSError):
            is_lender = type(other) is type(root) and _has_cache(other, name, cache)
            if is_lender and not _has_replica(other, name, replica):
                yield other


def is_whole(root: Path, others: Iterable[Path], name: str) -> bool:
    """Return whether a store has a sector's replica, with its cache there or in another one."""
    return any(
        is_complete(root, name, *kinds) or any(lenders(root, others, name, *kinds)) for kinds in REPLICAS
    )


def is_lent(root: Path, others: Iterable[Path], name: str) -> bool:
    """Return whether a store has a cache that it lends to another store, and no replica.

    Beside one of an updated replica that of the old one may be left, as lotus-miner leaves it.
    """
    of_caches = [(replica, cache) for replica, cache in REPLICAS if (root / cache / name).exists()]
    if any(_has_replica(root, name, replica) for replica, _ in REPLICAS):
        return False
    return any(
        root in lenders(other, (root,), name, replica, cache)
        for other in others
        for replica, cache in of_caches
    )


def whole_files(
    store: Store,
    others: Iterable[Path],
    parameters: SealParameters,
    *,
    miner_id: int,
    number: int,
    comm_r: bytes,
) -> SectorFiles:
    """Return a store's files with this comm_r, with a lent cache where it has none of its own.

    Those of the sector as it was sealed, where nothing has this comm_r.
    """
    sealed = store.files(parameters, miner_id=miner_id, number=number)
    others = list(others)
    for files in (store.updated_files(parameters, miner_id=miner_id, number=number), sealed):
        for one in (files, *lent_files(files, others)):
            if one.comm_r == comm_r:
                return one
    return sealed


def lent_files(files: SectorFiles, others: Iterable[Path]) -> Iterator[SectorFiles]:
    """Yield a replica's files with each cache that another store lends it."""
    kinds = files.sealed.parent.name, files.cache.parent.name
    for other in lenders(root_of(files), others, files.sealed.name, *kinds):
        yield replace(files, cache=other / files.cache.parent.name / files.cache.name)


def with_cache(files: SectorFiles, others: Iterable[Path]) -> SectorFiles:
    """Return a replica's files with the first cache that is lent to it, where it has none of its own."""
    return next(lent_files(files, others), files)


def root_of(files: SectorFiles) -> Path:
    """Return the store that a replica lies in."""
    return files.sealed.parent.parent


def lender_of(files: SectorFiles) -> Path:
    """Return the store that a replica's cache lies in."""
    return files.cache.parent.parent


def _has_replica(root: Path, name: str, replica: str) -> bool:
    return (root / replica / name).is_file()


def _has_cache(root: Path, name: str, cache: str) -> bool:
    return (root / cache / name / "p_aux").is_file()
