"""Block indexes of pieces that are CARs: made when they arrive, anew on demand, and sampled."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q

from apps.chain.node.isolation import for_each_isolated
from apps.core import clock
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason
from apps.messages.services.recovery.detect import restore_check
from apps.pieces.data.blocks import (
    VOLUME_BLOCKS_MAX,
    Indexing,
    blocks_sample,
    hash_chunk_read,
    index_files_bare,
    index_make,
    index_path,
    index_unlink,
    is_newer,
    volume_files,
    volume_has,
    volume_is_whole,
    volume_make,
    volume_path,
)
from apps.pieces.errors import PieceNotServed, PieceSealed
from apps.pieces.models import BlockIndex, BlockVolume, HashChunk, Piece
from apps.pieces.reasons import (
    CAR_BLOCK,
    CAR_CID,
    CAR_CUT,
    CAR_HEADER,
    CAR_LENGTH,
    CAR_MANY,
    INDEX_FAILED,
    INDEX_GONE,
    INDEX_WRONG,
)
from apps.pieces.selectors import (
    chunk_before,
    index_files_unowned,
    indexes_single,
    indexes_unsampled,
    is_served,
    pieces_unindexed,
    unknown_kept_before,
)
from apps.pieces.states import IndexOutcome
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.ipld.block_index import BLOCKS_MAX, BadIndex
from poolsite.ipld.car import CarFault

log = structlog.get_logger(__name__)

TRIED_AGAIN: Final = timedelta(minutes=10)
SAMPLED_AGAIN: Final = timedelta(days=1)
SAMPLE: Final = 16
"""Blocks that are compared at a time; a damaged tenth of them is found in five days of six."""
FAULTS: Final = {
    CarFault.CUT: CAR_CUT,
    CarFault.LENGTH: CAR_LENGTH,
    CarFault.CID: CAR_CID,
    CarFault.BLOCK: CAR_BLOCK,
    CarFault.HEADER: CAR_HEADER,
}
LOOKED_AT: Final = 500
"""Pieces at most whose index files are looked for at a time."""
SINGLES_MAX: Final = 16
"""Indexes that are merged into a volume once there are so many."""
MERGED_AT_ONCE: Final = 256
TIDIED_AFTER: Final = timedelta(hours=2)
"""Longer than a volume may be written: what a kill has left of one."""
NO_CAR: Final = "none"
"""The indexer's word for what is no CAR."""


def indexes_update(*, now: datetime) -> None:
    """Delete files of no piece, index what is due, one piece after the other, merge, and sample some."""
    orphans_remove(now=now)
    for_each_isolated(
        pieces_unindexed(tried_before=now - TRIED_AGAIN), index_update, event="piece_not_indexed"
    )
    volumes_check(now=now)
    while indexes_combine():
        pass
    unsampled = indexes_unsampled(before=now - SAMPLED_AGAIN)
    for_each_isolated(unsampled, index_verify, event="index_not_sampled")


def index_update(piece: Piece) -> None:
    """Index a piece's blocks and note what came of it; a kill leaves it due."""
    made = index_make(piece)
    now = clock.now()
    values = {"is_due": True, "tried_at": now, "reason": INDEX_FAILED()}
    if made is not None:
        values = {"is_due": False, "tried_at": now, **_values_of(made, now)}
        if made.fault:
            index_unlink(piece)
    try:
        with transaction.atomic():
            row, _ = BlockIndex.objects.update_or_create(piece=piece, defaults=values)
            if made is not None:
                _chunks_note(row, made)
            publish(Change("piece", str(piece.uuid), piece.miner.tenant_id))
    except IntegrityError:  # it was removed meanwhile, and its index with it
        index_unlink(piece)


def _chunks_note(row: BlockIndex, made: Indexing) -> None:
    """Write down the chunks of an index' multihashes, unless they are the same as before."""
    chunks = [tuple(chunk) for chunk in made.chunks]
    if list(row.chunks.order_by("number").values_list("cid", "at", "size", "count")) == chunks:
        return
    row.chunks.all().delete()
    HashChunk.objects.bulk_create(
        HashChunk(index=row, number=number, cid=cid, at=at, size=size, count=count)
        for number, (cid, at, size, count) in enumerate(made.chunks)
    )


def orphans_remove(*, now: datetime) -> None:
    """Delete index files of pieces that are not here any more, if neither a row nor raw bytes are.

    A piece may go while it is indexed, and whoever would delete what comes of that may be killed.  Some are
    looked at each time, drawn by lot: sealed pieces keep their index, and may be many.  After a restore those
    from before it stay for a while: another backup may know their pieces.
    """
    files = index_files_bare()
    drawn = random.sample(sorted(files), min(len(files), LOOKED_AT))
    if unowned := index_files_unowned(drawn):
        kept_before = unknown_kept_before(restore_check(now=now), now=now)
        for path in (path for uuid in unowned for path in files[uuid]):
            if kept_before is None or is_newer(path, kept_before):
                path.unlink(missing_ok=True)


def hash_chunk_load(chunk: HashChunk) -> bytes | None:
    """Return a chunk of an index' multihashes as indexers fetch it; None unless the file still gives it."""
    before = chunk_before(chunk) if chunk.number else None
    return hash_chunk_read(chunk, "" if before is None else before.cid)


def _values_of(made: Indexing, now: datetime) -> dict[str, object]:
    entries = made.chunks[-1][0] if made.chunks else ""
    values = {"blocks": made.blocks, "volume": None, "left_out": made.left_out, "entries": entries}
    values |= {"reason": "", "made_at": None}
    if not made.fault:
        return {**values, "outcome": IndexOutcome.INDEXED, "made_at": now, "sampled_at": now}
    if made.fault == NO_CAR:
        return {**values, "outcome": IndexOutcome.NO_CAR}
    return {**values, "outcome": IndexOutcome.DAMAGED, "reason": _reason_of(made)}


def _reason_of(made: Indexing) -> Reason:
    fault = CarFault(made.fault)
    return CAR_MANY(most=BLOCKS_MAX) if fault == CarFault.MANY else FAULTS[fault](at=made.at)


def volumes_check(*, now: datetime) -> None:
    """Drop volumes whose file is gone or cut, and delete files of none that nobody writes any more."""
    volumes = dict(BlockVolume.objects.values_list("name", "blocks"))
    for name, blocks in volumes.items():
        if not volume_is_whole(name, blocks=blocks):
            volume_drop(name)
    for path, name in volume_files().items():
        if name not in volumes and not is_newer(path, now - TIDIED_AFTER):
            path.unlink(missing_ok=True)


@transaction.atomic
def volume_drop(name: UUID) -> None:
    """Remove a volume: its indexes are looked at by themselves again, until they are merged anew."""
    log.warning("volume_dropped", volume=str(name))
    BlockIndex.objects.filter(volume=name).update(volume=None)
    BlockVolume.objects.filter(name=name).delete()


def indexes_combine() -> bool:
    """Merge indexes that are in no volume, and volumes that are not much larger, into one.

    So an index is merged again for each doubling of what there is.  Returns whether that may be done again;
    a few indexes stay single.
    """
    started, name = clock.now(), uuid4()
    rows, old = _sources_choose()
    if not rows:
        return False
    singles = {str(index_path(row.piece)): row for row in rows}
    volumes = {str(volume_path(volume.name)): volume for volume in old}
    named: dict[UUID | None, list[int]] = {volume.name: [] for volume in old}
    for in_volume, piece in BlockIndex.objects.filter(volume__in=named).values_list("volume", "pk"):
        named[in_volume].append(piece)
    sources: list[dict[str, object]] = [
        {"path": path, "pieces": [row.pk], "is_volume": False} for path, row in singles.items()
    ]
    sources += [
        {"path": path, "pieces": named[volume.name], "is_volume": True} for path, volume in volumes.items()
    ]
    made = volume_make(name, sources)
    if made is None:
        return False
    if not made.damaged:
        return _volume_note(name, made.blocks, rows=rows, old=old, started=started)
    if made.damaged in volumes:
        volume_drop(volumes[made.damaged].name)
    else:  # it is made anew by itself, once the bytes are here
        row = singles[made.damaged]
        lost = BlockIndex.objects.filter(pk=row.pk, made_at=row.made_at)
        lost.update(reason=INDEX_GONE(), is_due=True, tried_at=None)
    return True


def _sources_choose() -> tuple[list[BlockIndex], list[BlockVolume]]:
    """Return what is to be merged; nothing while there is too little."""
    rows, volumes, blocks = list[BlockIndex](), list[BlockVolume](), 0
    for row in indexes_single(MERGED_AT_ONCE):
        if rows and blocks + row.blocks > VOLUME_BLOCKS_MAX:
            break
        rows, blocks = [*rows, row], blocks + row.blocks
    if len(rows) < SINGLES_MAX and blocks < VOLUME_BLOCKS_MAX // 2:
        return [], []
    for volume in BlockVolume.objects.order_by("blocks"):
        if volume.blocks > 2 * blocks or volume.blocks + blocks > VOLUME_BLOCKS_MAX:
            break
        volumes, blocks = [*volumes, volume], blocks + volume.blocks
    return rows, volumes


def _volume_note(
    name: UUID, blocks: int, *, rows: list[BlockIndex], old: list[BlockVolume], started: datetime
) -> bool:
    """Put a volume in the place of its sources; False if another one has merged some of them meanwhile."""
    replaced = [volume.name for volume in old]
    singles = Q(pk__in=[row.pk for row in rows], volume=None, made_at__lte=started)  # later: made anew
    with transaction.atomic():
        locked = BlockIndex.objects.select_for_update().filter(singles | Q(volume__in=replaced))
        keys = list(locked.order_by("pk").values_list("pk", flat=True))
        volumes = BlockVolume.objects.select_for_update().filter(name__in=replaced).order_by("name")
        is_noted = bool(keys) and len(volumes) == len(old)
        if is_noted:
            BlockIndex.objects.filter(pk__in=keys).update(volume=name)
            BlockVolume.objects.create(name=name, blocks=blocks)
            volumes.delete()
    for unused in replaced if is_noted else [name]:
        volume_path(unused).unlink(missing_ok=True)
    return is_noted


def index_verify(row: BlockIndex) -> None:
    """Compare some blocks of an index with its piece, and note what was found."""
    values: dict[str, object]
    try:
        if row.volume is not None and not volume_has(row, SAMPLE):
            volume_drop(row.volume)
        wrong, sampled = blocks_sample(row, SAMPLE)
        for chunk in row.chunks.order_by("?")[:1]:
            if hash_chunk_load(chunk) is None:
                raise BadIndex(chunk)
        # Another sample that finds nothing says nothing of the wrong blocks: only another index does.
        values = {"reason": INDEX_WRONG(wrong=wrong, sampled=sampled)} if wrong else {}
    except (FileNotFoundError, BadIndex):  # it is made anew by itself
        values = {"reason": INDEX_GONE(), "is_due": True, "tried_at": None}
    rows = BlockIndex.objects.filter(pk=row.pk, made_at=row.made_at)
    rows.update(sampled_at=clock.now(), **values)


@transaction.atomic
def index_renew(piece: Piece, *, by: Principal) -> BlockIndex:
    """Mark a piece's blocks to be indexed anew with the next head.  Raises PieceSealed, PieceNotServed."""
    if not piece.is_readable:
        raise PieceSealed
    if not is_served(piece):
        raise PieceNotServed(
            gettext("{miner} does not serve its data, so no index is made: see its page Market").format(
                miner=piece.miner.address
            )
        )
    row, _ = BlockIndex.objects.update_or_create(piece=piece, defaults={"is_due": True, "tried_at": None})
    audit_record(principal=by, action="piece.index", target=str(piece), after={"miner": str(piece.miner)})
    publish(Change("piece", str(piece.uuid), piece.miner.tenant_id))
    return row
