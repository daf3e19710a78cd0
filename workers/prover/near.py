"""Proving out of a bucket: the nodes that a proof opens are fetched by ranges into sparse files.

A processor then reads them as it reads any sector's files.  What it would read beside them is zeros, and the
proof is refused by its own check.  A large sector takes less than a MiB for a window's ten challenges.
"""

from __future__ import annotations

import dataclasses
import secrets
import shutil
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog
from msgspec.structs import replace

from poolsite.filecoin.merkle import BASE_ARITY
from poolsite.filecoin.post.challenges import post_randomness, sector_challenges
from poolsite.filecoin.post.parameters import UnknownPoStProof, post_parameters
from poolsite.filecoin.scalars import NODE_BYTES
from workers.processors.post_tasks import SectorCheckTask, WindowPostTask, WinningPostTask
from workers.processors.seal_proofs import SEAL_PROOFS
from workers.prover.located import store_having
from workers.storage.bucket_files import store_path
from workers.storage.bucket_path import BucketPath
from workers.storage.bucket_settings import SCHEME, BucketAway
from workers.storage.files import TruncatedFile
from workers.storage.sector import SectorFiles
from workers.storage.store_check import P_AUX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from poolsite.filecoin.post.parameters import PoStParameters
    from workers.processors.post_tasks import Replica
    from workers.storage.stores import Stores

    ProvenTask = WindowPostTask | SectorCheckTask | WinningPostTask
    _Part = tuple[BucketPath, int, int]

log = structlog.get_logger(__name__)

NEAR: Final = "near"
"""In a prover's folder: what was fetched for the proofs that run."""
AT_ONCE: Final = 16
"""Requests side by side: a proof waits for the way to the server, not for its disks."""
GAP_BYTES: Final = 1 << 16
"""What lies so near to each other is fetched by one request."""
PAUSES_S: Final = (0.0, 0.25, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each attempt to fetch the parts that an answering server refused; boto3 also retries each
request."""
TRY_SHARE: Final = 0.1
"""Share of the proof's remaining time for fetching; after it, a sector of which one part was refused gets no
further requests in that attempt."""
TRY_S: Final = 120.0
"""Time for fetching, where the task does not say how long it has."""
TRY_WIN_S: Final = 3.0
"""The same for a WinningPoSt."""
BROKEN_MAX: Final = 3
"""If a server is overloaded and refuses parts of more sectors than this, the proof is retried instead of
calling them faulty."""


def is_far(replica: Replica) -> bool:
    """Return whether a sector's files lie in a bucket."""
    return replica.sealed_file.startswith(SCHEME)


@contextmanager
def task_near(task: ProvenTask, stores: Stores) -> Iterator[tuple[ProvenTask, dict[int, str]]]:
    """Return a proof's task with files that can be read here, and why those of some sectors cannot.

    What was fetched of buckets goes at its end.  Raises BucketAway, OSError where a store is away.
    """
    if not any(map(is_far, task.replicas)):
        yield task, {}
        return
    place = stores.folder / NEAR / secrets.token_hex(8)
    try:
        replicas, wanted = _near_files(task, place)
        is_win = isinstance(task, WinningPostTask)
        limit_s = TRY_SHARE * getattr(task, "seconds_left", 0) or (TRY_WIN_S if is_win else TRY_S)
        unread = _fetch_all(wanted, stores, limit_s=limit_s, tries=1 if is_win else 2)
        yield replace(task, replicas=replicas), unread
    finally:
        shutil.rmtree(place, ignore_errors=True)


def near_clear(folder: Path) -> None:
    """Remove what a prover that was killed has left."""
    shutil.rmtree(folder / NEAR, ignore_errors=True)


def _near_files(task: ProvenTask, place: Path) -> tuple[tuple[Replica, ...], dict[BucketPath, _Wanted]]:
    """Return the replicas as they are to lie here, and what of their files is to be fetched for that."""
    try:
        parameters = post_parameters(task.proof_type)
    except UnknownPoStProof:
        return task.replicas, {}  # the processor refuses it
    is_check = isinstance(task, SectorCheckTask)
    if is_check:
        parameters = dataclasses.replace(parameters, challenges=1)
    positions = {number: at for at, number in enumerate(sorted({one.sector_id for one in task.replicas}))}
    wanted: dict[BucketPath, _Wanted] = {}
    near = []
    for one in task.replicas:
        if not is_far(one):
            near.append(one)
            continue
        files = _files(parameters, one)
        challenges = sector_challenges(
            parameters,
            post_randomness(task.seed),
            sector_number=one.sector_id,
            position=0 if is_check else positions[one.sector_id],
        )
        for path, parts in proof_parts(files, challenges).items():
            assert isinstance(path, BucketPath)
            wanted.setdefault(path, _Wanted(one.sector_id, near_path(place, path))).parts.update(parts)
        cache, sealed = (near_path(place, path) for path in (files.cache, files.sealed))
        near.append(replace(one, cache_dir=str(cache), sealed_file=str(sealed)))
    return tuple(near), wanted


def _fetch_all(
    wanted: dict[BucketPath, _Wanted], stores: Stores, *, limit_s: float, tries: int
) -> dict[int, str]:
    """Fetch what is wanted; return the sectors of which a file cannot be read, each with the reason.

    Such a file is left out: the processor calls its sector faulty and reads the others.  An overloaded server
    gives some of what it refused before, and lost objects stay refused: of those the first `tries` are made
    whatever they take.  Raises OSError where the store cannot be read either, its server refuses parts of
    many sectors for its load, or nothing can be written here.
    """
    parts = [(path, *part) for path, file in wanted.items() for part in joined_parts(file.parts)]
    failed: dict[BucketPath, OSError] = {}
    refused: set[_Part] = set()
    is_overloaded = False
    until = time.monotonic() + limit_s
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="near") as threads:
        for made, pause_s in enumerate(PAUSES_S):
            if made and (not parts or (made >= tries and time.monotonic() + pause_s > until)):
                break
            time.sleep(pause_s)
            unread = _parts_fetch(parts, wanted, threads, until=until)
            failed = {part[0]: error for part, error in unread.items() if error is not None}
            is_overloaded = not refused <= unread.keys()
            refused = {part for part, error in unread.items() if error is not None or part in refused}
            parts = list(unread)
            _away_check(failed, stores)
    busy = {wanted[path].sector_id: error for path, error in failed.items() if isinstance(error, BucketAway)}
    if is_overloaded and len(busy) > BROKEN_MAX:
        raise next(iter(busy.values()))
    for path, error in failed.items():
        log.warning("not_fetched", sector=wanted[path].sector_id, reason=str(error)[:200])
        wanted[path].path.unlink(missing_ok=True)
    return {wanted[path].sector_id: str(error) for path, error in failed.items()}


def _parts_fetch(
    parts: list[_Part], wanted: dict[BucketPath, _Wanted], threads: ThreadPoolExecutor, *, until: float
) -> dict[_Part, OSError | None]:
    """Fetch these parts; return those that were not read, each with the reason.

    None: it was not requested, as it was late and another part of its sector was refused.
    """
    bad: set[int] = set()
    unread: dict[_Part, OSError | None] = {}

    def fetch(part: _Part) -> None:
        path, first, count = part
        sector_id, error = wanted[path].sector_id, None
        if sector_id not in bad or time.monotonic() <= until:
            error = _fetch(path, wanted[path].path, first, count)
            if error is None:
                return
            bad.add(sector_id)
        unread[part] = error

    list(threads.map(fetch, parts))
    return {part: unread[part] for part in parts if part in unread}


def _away_check(failed: dict[BucketPath, OSError], stores: Stores) -> None:
    """Raise what was answered for a file whose store cannot be read either: it says nothing of its sector."""
    attached = stores.attached()
    having = {path: store_having(attached, str(path)) for path in failed}
    here = {one.uid for one in attached if one.uid in having.values() and one.is_here}
    for path, error in failed.items():
        if having[path] not in here:
            raise error


def _files(parameters: PoStParameters, replica: Replica) -> SectorFiles:
    seal = next(seal for seal in SEAL_PROOFS.values() if seal.sector_bytes == parameters.sector_bytes)
    return SectorFiles(seal, store_path(replica.cache_dir), store_path(replica.sealed_file))


@dataclass(slots=True)
class _Wanted:
    """A file of which parts are fetched."""

    sector_id: int
    path: Path
    parts: set[tuple[int, int]] = field(default_factory=set)


def near_path(place: Path, path: Path) -> Path:
    """Return where a file of a bucket is put; a message that names it tells the bucket's path as well."""
    return place.joinpath(*path.parts[1:])


def proof_parts(files: SectorFiles, challenges: tuple[int, ...]) -> dict[Path, set[tuple[int, int]]]:
    """Return first byte and count of what the proofs of these leaves read of each file.

    Of the sealed file it is the piece of which tree-r-last has no rows; of each base tree the children on the
    way to its root, and of all of them the roots.
    """
    found: dict[Path, set[tuple[int, int]]] = defaultdict(set)
    found[files.p_aux].add((0, P_AUX_BYTES))
    span = BASE_ARITY ** (files.discarded_rows + 1)
    last = files.tree_r_last_nodes - 1
    for at in range(files.base_trees):
        found[files.tree_r_last(at)].add((last * NODE_BYTES, NODE_BYTES))
    for challenge in challenges:
        base_tree, index = divmod(challenge, files.base_leaves)
        piece = index // span
        first = base_tree * files.base_leaves + piece * span
        found[files.sealed].add((first * NODE_BYTES, span * NODE_BYTES))
        start, width = 0, files.base_leaves // span
        while width > 1:
            piece //= BASE_ARITY
            nodes = start + piece * BASE_ARITY
            found[files.tree_r_last(base_tree)].add((nodes * NODE_BYTES, BASE_ARITY * NODE_BYTES))
            start, width = start + width, width // BASE_ARITY
    return found


def joined_parts(parts: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the parts with those joined that lie near to each other."""
    joined: list[tuple[int, int]] = []
    for first, count in sorted(parts):
        if joined and first - sum(joined[-1]) <= GAP_BYTES:
            begin, so_far = joined[-1]
            joined[-1] = begin, max(so_far, first + count - begin)
        else:
            joined.append((first, count))
    return joined


def _fetch(path: BucketPath, near: Path, first: int, count: int) -> OSError | None:
    """Fetch a part of a file into a sparse one of the same size; return what kept it from being read.

    A missing file is left out, a short one has its own size: the processor tells which sector is faulty.
    """
    try:
        part, size = _part_read(path, first, count)
    except FileNotFoundError:
        return None
    except OSError as error:
        return error
    near.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        near.touch(exist_ok=False)
    with near.open("r+b") as file:
        if near.stat().st_size != size:
            file.truncate(size)
        file.seek(first)
        file.write(part)
    return None


def _part_read(path: BucketPath, first: int, count: int) -> tuple[bytes, int]:
    try:
        return path.read_range(first, count)
    except TruncatedFile:
        return b"", path.file_facts().st_size
