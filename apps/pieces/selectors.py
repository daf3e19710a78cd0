"""Reading pieces."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Case, CharField, Count, F, Func, Q, QuerySet, Sum, Value, When
from django.utils.translation import gettext_lazy as _

from apps.core.addresses import address_typed
from apps.core.compiled import Compiled
from apps.core.disk import disk_space
from apps.core.errors import BadValue
from apps.core.filters import Choices, Words
from apps.core.marked_texts import gettext
from apps.core.streams import stream_connection
from apps.core.uuids import is_uuid
from apps.messages.models import Recovery
from apps.miners.models import Miner
from apps.miners.selectors.miners import MinerFilters
from apps.pieces.data.blocks import VOLUMES, BlockStore, ServedIndex, index_files_bare
from apps.pieces.data.files import is_stored
from apps.pieces.errors import PieceAmbiguous, PieceUnknown
from apps.pieces.models import (
    CLIENT_ACTOR,
    BlockIndex,
    BlockVolume,
    HashChunk,
    Piece,
    PieceDelivery,
)
from apps.pieces.states import UNCOMMITTED, DeliveryState, IndexOutcome, PieceState
from apps.users.models import Tenant
from apps.users.rules.encryption import DecryptionFailed, text_decrypt
from apps.users.rules.principals import Principal
from apps.users.states import POOL
from poolsite.filecoin.address import ID, BadAddress, address_parse
from poolsite.filecoin.cids import BadCid, cid_parse, cid_to_commd
from poolsite.filecoin.piece_cids import is_sized_cid, sized_cid_read

MARKET: Final = Func(F("shown"), Value("/"), Value(3), function="split_part", output_field=CharField())
"""Host and port of the address to which a delivery goes."""
NAMED_MAX: Final = 10
"""Uploads that a refusal names."""
NUMBER_DIGITS: Final = 19
TENANT_PART: Final = 2
"""A tenant without a quota may use half of the disk of pieces."""
INDEXED_AT_ONCE: Final = 20
"""Pieces that one head indexes or samples."""
VOLUME_TRIES: Final = 3
UNKNOWN_RETENTION: Final = timedelta(days=30)
"""After a restore, for index files of pieces that the database does not know."""
PLACE_MAX: Final = 64 << 30
"""Padded bytes of the largest place, a whole sector, in which a piece named with its size is looked for."""


@dataclass(frozen=True, slots=True)
class PieceName:
    """What a piece CID of either version names."""

    cids: tuple[str, ...]
    """Of version 1: the one that was given, or those of the same raw bytes in each place that holds them."""
    payload_size: int | None = None
    """Raw bytes that it must have; None for version 1, which does not tell."""

    @property
    def committed(self) -> Q:
        """The condition of pieces with this commitment."""
        found = Q(piece_cid__in=self.cids)
        return found if self.payload_size is None else found & Q(payload_size=self.payload_size)

    def is_of(self, piece: Piece) -> bool:
        """Return whether a piece has this commitment."""
        return str(piece.piece_cid) in self.cids and self.payload_size in (None, piece.payload_size)


def piece_name_read(text: str) -> PieceName:
    """Read a piece CID of either version.  Raises BadCid."""
    cid = cid_parse(text)
    if not is_sized_cid(cid):
        return PieceName((str(cid),))
    piece = sized_cid_read(cid)
    size, cids = piece.padded_size, [str(piece.cid)]
    while (size := 2 * size) <= PLACE_MAX:
        cids.append(str(piece.cid_in(size)))
    return PieceName(tuple(cids), piece.payload_size)


def piece_name(text: str) -> PieceName:
    """Read a piece CID.  Raises PieceUnknown."""
    try:
        return piece_name_read(text)
    except BadCid:
        raise PieceUnknown(text) from None


def pieces_visible(viewer: Principal) -> QuerySet[Piece]:
    """Return the pieces that this caller may know of, newest first."""
    pieces = Piece.objects.filter(removal_asked_at=None).order_by("-pk")
    pieces = pieces.select_related("miner__tenant", "block_index")
    if viewer.miners:
        pieces = pieces.filter(miner__actor_id__in=viewer.miners)
    return pieces if viewer.is_operator else pieces.filter(miner__tenant_id=viewer.own_id)


class PieceFilters(MinerFilters):
    """What a list of pieces can be narrowed to."""

    piece_cid = Words(
        method="of_cid",
        about="all with this commitment: one per miner and allocation or deal, and those that failed",
    )
    state = Choices(PieceState.values, lookup_expr="in", refusal=_("there is no such state"))

    q = Words(
        label=_("CID, id, number, client or file"),
        method="named",
        about="a commitment, a uuid, a client's address, the number of an allocation, deal or sector, or a "
        "part of the file's name or of the uploader's",
    )

    def named(self, rows: QuerySet[Piece], _name: str, value: str) -> QuerySet[Piece]:
        """Find by commitment, id, client or number, as the words look, else by file or uploader."""
        in_name = Q(file_name__icontains=value)
        if value.isdecimal() and len(value) < NUMBER_DIGITS:
            return rows.filter(Q(allocation=value) | Q(deal=value) | Q(sector_number=value) | in_name)
        if is_uuid(value):
            return rows.filter(uuid=value)
        try:
            parsed = address_parse(value)
        except BadAddress:
            parsed = None
        if parsed is not None:
            is_id = parsed.protocol == ID
            return rows.filter(
                Q(client=parsed.actor_id) if is_id else Q(actor=f"{CLIENT_ACTOR}{address_typed(value)}")
            )
        committed = _committed(value)
        return rows.filter(in_name | Q(actor__icontains=value) if committed is None else committed)

    def of_cid(self, rows: QuerySet[Piece], name: str, value: str) -> QuerySet[Piece]:
        """Narrow to a commitment.  Raises BadValue."""
        try:
            return rows.filter(piece_name_read(value).committed)
        except BadCid:
            raise BadValue(gettext("is not a piece's commitment"), field=name) from None


def _committed(text: str) -> Q | None:
    """Return the condition of pieces with this commitment; None for what is none, such as a CAR's root."""
    try:
        name = piece_name_read(text)
        cid_to_commd(cid_parse(name.cids[0]))
    except BadCid:
        return None
    return name.committed


def pieces_of_cid(viewer: Principal, piece_cid: str) -> QuerySet[Piece]:
    """Return the pieces with a commitment, newest first.  Raises BadValue for what is none."""
    filters = PieceFilters({"piece_cid": piece_cid}, pieces_visible(viewer), viewer=viewer)
    rows: QuerySet[Piece] = filters.rows()
    return rows


def deal_client(piece: Piece) -> str:
    """Return the address of the client who brought a piece for a deal; empty of any other piece."""
    return piece.actor.removeprefix(CLIENT_ACTOR) if piece.actor.startswith(CLIENT_ACTOR) else ""


def pieces_by_uuid(viewer: Principal, keys: Iterable[str]) -> QuerySet[Piece]:
    """Return the visible ones of these pieces."""
    return pieces_visible(viewer).filter(uuid__in=[key for key in keys if is_uuid(key)])


def pieces_counts(viewer: Principal) -> dict[str, int]:
    """Count the pieces by state."""
    rows = pieces_visible(viewer).select_related(None).order_by()
    return dict(rows.values_list("state").annotate(Count("pk")))


def pieces_failed(viewer: Principal) -> QuerySet[Piece]:
    """Return the pieces that will be in no sector and that nobody has removed yet, newest first."""
    return pieces_visible(viewer).filter(state=PieceState.FAILED).order_by("-pk")


def piece_get(viewer: Principal, piece_cid: str) -> Piece:
    """Return the piece of a commitment; of several the oldest whose bytes are kept, else that lives.

    Raises PieceUnknown.
    """
    has_ended = Case(When(state=PieceState.ENDED, then=1), default=0)
    rows = pieces_visible(viewer).exclude(state__in=UNCOMMITTED).order_by("-has_data", has_ended, "pk")
    piece = rows.filter(piece_name(piece_cid).committed).first()
    if piece is None:
        raise PieceUnknown(piece_cid)
    return piece


def piece_retrievable(piece_cid: str) -> Piece:
    """Return an active piece that anybody may retrieve: of a miner whose market serves its data.

    Raises PieceUnknown.
    """
    rows = Piece.objects.filter(piece_name(piece_cid).committed, state=PieceState.ACTIVE, has_data=True)
    rows = rows.filter(miner__market__serves_data=True).select_related("miner__market").order_by("pk")
    piece = next(filter(is_stored, rows), None)  # a file may be gone that a restored row speaks of
    if piece is None:
        raise PieceUnknown(piece_cid)
    return piece


def piece_unsealable(which: Q) -> Piece | None:
    """Return an active piece whose bytes are unsealed for whoever retrieves it; None if there is none."""
    rows = Piece.objects.filter(which, state=PieceState.ACTIVE, has_data=False)
    market = {"miner__market__serves_data": True, "miner__market__unseals_data": True}
    return rows.filter(**market).select_related("miner__tenant").order_by("pk").first()


def copies_lent() -> list[Piece]:
    """Return the pieces whose bytes are here for whoever retrieves them, least recently read first."""
    rows = Piece.objects.filter(copy_read_at__isnull=False, has_data=True)
    return list(rows.select_related("miner__tenant").order_by("copy_read_at", "pk"))


def block_store() -> BlockStore:
    """Return the blocks that anybody may retrieve: of active pieces of miners that serve them.

    The indexes in no volume are read before the volumes' names: one that is merged meanwhile is in both.
    """
    rows, request_thread = _indexes_retrievable(), threading.get_ident()

    def read(keys: Collection[int] | None) -> list[ServedIndex]:
        is_streaming = threading.get_ident() != request_thread
        with stream_connection() if is_streaming else nullcontext():
            return _served(rows if keys is None else rows.filter(piece__in=keys))

    for _try in range(VOLUME_TRIES):  # the file of one that was merged meanwhile is gone
        singles = _served(rows.filter(volume=None))
        volumes = VOLUMES.get(list(BlockVolume.objects.values_list("name", flat=True)))
        if volumes is not None:
            return BlockStore(singles, volumes, read)
    return BlockStore(read(None), [], read)


def _indexes_retrievable() -> QuerySet[BlockIndex]:
    rows = BlockIndex.objects.filter(outcome=IndexOutcome.INDEXED, made_at__isnull=False)
    rows = rows.filter(piece__state=PieceState.ACTIVE, piece__miner__market__serves_data=True)
    return rows.filter(Q(piece__has_data=True) | Q(piece__miner__market__unseals_data=True))


def _served(rows: QuerySet[BlockIndex]) -> list[ServedIndex]:
    columns = ("uuid", "payload_size", "miner__actor_id", "has_data", "miner__market__retrieval_day_bytes")
    names = [f"piece__{name}" for name in (*columns, "copy_read_at")]
    return [ServedIndex(*row) for row in rows.values_list("piece_id", *names)]


def indexes_single(limit: int) -> list[BlockIndex]:
    """Return indexes in no volume that can be merged, oldest pieces first."""
    rows = BlockIndex.objects.filter(outcome=IndexOutcome.INDEXED, made_at__isnull=False, volume=None)
    return list(rows.filter(is_due=False).select_related("piece").order_by("pk")[:limit])


def hash_chunks(miner: int, cid: str) -> list[HashChunk]:
    """Return the chunks of this CID of a miner's indexes: several where it has the same data twice."""
    rows = HashChunk.objects.filter(cid=cid, index__piece__miner=miner, index__piece__has_data=True)
    return list(rows.select_related("index__piece").order_by("pk"))


def chunk_before(chunk: HashChunk) -> HashChunk | None:
    """Return the chunk to which one links."""
    return HashChunk.objects.filter(index=chunk.index_id, number=chunk.number - 1).first()


def index_files_unowned(uuids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of some uuids that belong to no piece; one whose bytes are sealed keeps its index."""
    return set(uuids) - set(Piece.objects.filter(uuid__in=uuids).values_list("uuid", flat=True))


def unknown_kept_before(recovery: Recovery, *, now: datetime) -> datetime | None:
    """Return before which moment files of unknown pieces stay, as another backup may know them; else None."""
    restored_at = recovery.restored_at
    return restored_at if restored_at is not None and now < restored_at + UNKNOWN_RETENTION else None


def index_files_unknown() -> int:
    """Return how many pieces without a row, and without raw bytes, have a block index here."""
    return len(index_files_unowned(index_files_bare()))


def is_any_served() -> bool:
    """Return whether any miner serves its data."""
    return Miner.objects.filter(market__serves_data=True).exists()


def is_served(piece: Piece) -> bool:
    """Return whether anybody may retrieve a miner's pieces."""
    return Miner.objects.filter(pk=piece.miner_id, market__serves_data=True).exists()


def pieces_unindexed(*, tried_before: datetime) -> list[Piece]:
    """Return the pieces whose blocks are to be indexed: those of `due.INDEX`, longest here first."""
    rows = Piece.objects.filter(has_data=True, miner__market__serves_data=True).exclude(piece_cid="")
    waits = Q(block_index__tried_at=None) | Q(block_index__tried_at__lt=tried_before)
    unlisted = Q(block_index__blocks__gt=0, block_index__entries="")  # of a version that listed none
    rows = rows.filter(Q(block_index=None) | (Q(block_index__is_due=True) | unlisted) & waits)
    rows = rows.exclude(state=PieceState.FAILED).filter(removal_asked_at=None)
    return list(rows.select_related("miner__tenant").order_by("pk")[:INDEXED_AT_ONCE])


def indexes_unsampled(*, before: datetime) -> list[BlockIndex]:
    """Return indexes of which no block was compared since then, the longest first."""
    rows = BlockIndex.objects.filter(outcome=IndexOutcome.INDEXED, is_due=False, sampled_at__lt=before)
    rows = rows.filter(piece__has_data=True, piece__miner__market__serves_data=True)
    return list(rows.select_related("piece").order_by("sampled_at")[:INDEXED_AT_ONCE])


def indexes_wrong() -> QuerySet[BlockIndex]:
    """Return the indexes of which a sample found what it should not, and those that could not be made.

    Those of pieces that anybody could retrieve otherwise: others are not made anew.
    """
    rows = BlockIndex.objects.exclude(reason="").exclude(outcome=IndexOutcome.DAMAGED)
    return rows.filter(piece__has_data=True, piece__miner__market__serves_data=True).order_by("pk")


def piece_status(viewer: Principal, piece_cid: str) -> Piece:
    """Return the piece of a commitment, or where none lives the last one that failed under it.

    Raises PieceUnknown.
    """
    try:
        return piece_get(viewer, piece_cid)
    except PieceUnknown:
        name = piece_name(piece_cid)
        named = name.committed | Q(announced_cid__in=name.cids)
        failed = pieces_visible(viewer).filter(named, state=PieceState.FAILED).order_by("-pk").first()
        if failed is None:
            raise
        return failed


def piece_only(viewer: Principal, piece_cid: str) -> Piece:
    """Return what `piece_status` does where no other piece is meant.  Raises PieceUnknown, PieceAmbiguous."""
    piece = piece_status(viewer, piece_cid)
    rows = pieces_visible(viewer).filter(piece_name(piece_cid).committed).exclude(state__in=UNCOMMITTED)
    uploads = list(rows.values_list("uuid", flat=True)[:NAMED_MAX])
    if len(uploads) > 1:
        raise PieceAmbiguous(uploads)
    return piece


def upload_get(viewer: Principal, name: str) -> Piece:
    """Return a piece by the uuid of its upload.  Raises PieceUnknown."""
    piece = pieces_visible(viewer).filter(uuid=name).first() if is_uuid(name) else None
    if piece is None:
        raise PieceUnknown(name)
    return piece


def piece_named(viewer: Principal, name: str) -> Piece:
    """Return the one piece of an upload's uuid or of a commitment.  Raises PieceUnknown, PieceAmbiguous."""
    return upload_get(viewer, name) if is_uuid(name) else piece_only(viewer, name)


def piece_same(piece: Piece, piece_cid: str) -> Piece | None:
    """Return the miner's other piece of the same commitment and terms, if there is one.

    A piece without terms is any of them: it claims nothing of its own.  One whose sector has ended is none
    that has other terms.  One that is held for a deal is that deal's alone.
    """
    if piece.held_for is not None:
        return None
    rows = Piece.objects.filter(miner=piece.miner, piece_cid=piece_cid).exclude(state__in=UNCOMMITTED)
    rows = rows.filter(removal_asked_at=None).exclude(pk=piece.pk)
    rows = rows.select_related("miner__tenant").order_by("pk")
    alike = rows.filter(client=piece.client, allocation=piece.allocation, deal=piece.deal)
    live = alike if any(term is not None for term in piece.terms) else rows
    return live.exclude(state=PieceState.ENDED).first() or alike.first()


def piece_held(key: uuid.UUID) -> Piece | None:
    """Return the newest piece that was stored for a client's deal alone; None while there is none."""
    rows = Piece.objects.filter(held_for=key, removal_asked_at=None).exclude(state=PieceState.FAILED)
    return rows.select_related("miner__tenant").order_by("-pk").first()


def headers_decode(piece: Piece) -> tuple[tuple[str, str], ...]:
    """Return what is sent to the source of a piece besides.  Raises DecryptionFailed."""
    rows = json.loads(text_decrypt(piece.source_headers)) if piece.source_headers else []
    return tuple((name, value) for name, value in rows)


def fetch_same(piece: Piece) -> Piece | None:
    """Return the download in progress of what this one asks for.

    It has the same URL, commitment and terms, and the same headers: without them a source may refuse it.
    """
    rows = Piece.objects.filter(miner=piece.miner, state__in=[PieceState.FETCHING, PieceState.RECEIVED])
    rows = rows.filter(source_url=piece.source_url, announced_cid=piece.announced_cid, removal_asked_at=None)
    rows = rows.filter(client=piece.client, allocation=piece.allocation, deal=piece.deal)
    rows = rows.filter(padded_size=piece.padded_size, held_for=piece.held_for)
    rows = rows.select_related("miner__tenant").order_by("pk")
    headers = headers_decode(piece)
    return next((row for row in rows if _has_headers(row, headers)), None)


def _has_headers(piece: Piece, headers: tuple[tuple[str, str], ...]) -> bool:
    try:
        return headers_decode(piece) == headers
    except DecryptionFailed:
        return False


def pieces_of_sector(miner: Miner, number: int) -> list[Piece]:
    """Return the pieces in a sector, in order of place."""
    return list(Piece.objects.filter(miner=miner, sector_number=number).order_by("offset"))


def pieces_by_sector(places: Collection[tuple[int, int]]) -> dict[tuple[int, int], list[Piece]]:
    """Return the pieces in sectors, given by miner's key and number, each's in order of place; one query."""
    miners, numbers = {miner for miner, _ in places}, {number for _, number in places}
    found: dict[tuple[int, int], list[Piece]] = {place: [] for place in places}
    if not found:
        return found
    for piece in Piece.objects.filter(miner__in=miners, sector_number__in=numbers).order_by("offset"):
        if (place := (piece.miner_id, piece.sector_number or 0)) in found:
            found[place].append(piece)
    return found


def piece_placed(miner: Miner, number: int, piece_cid: str) -> Piece:
    """Return the piece of a commitment that lies in a sector.  Raises PieceUnknown."""
    rows = Piece.objects.filter(piece_name(piece_cid).committed, miner=miner, sector_number=number)
    piece = rows.exclude(offset=None).select_related("miner__tenant").order_by("-has_data", "pk").first()
    if piece is None:
        raise PieceUnknown(
            gettext("{piece_cid} in sector {number} of {miner}").format(
                piece_cid=piece_cid, number=number, miner=miner
            )
        )
    return piece


def deliveries_due(
    *, now: datetime, without: Collection[int] = (), markets: Collection[str] = (), limit: int
) -> list[PieceDelivery]:
    """Return the first deliveries whose bytes are here, or that have waited for them too long.

    `without` are rows, and `markets` hosts with their ports, that are left out.
    """
    rows = PieceDelivery.objects.filter(
        Q(not_before=None) | Q(not_before__lte=now), state=DeliveryState.WAITING
    )
    rows = rows.filter(Q(piece__has_data=True) | Q(until__lte=now)).exclude(pk__in=without)
    if markets:
        rows = rows.alias(market=MARKET).exclude(market__in=markets)
    return list(rows.select_related("piece__miner__tenant").order_by("pk")[:limit])


def pieces_unfinished(*, received_before: datetime) -> list[Piece]:
    """Return the pieces without a commitment since a moment."""
    late = Piece.objects.filter(state=PieceState.RECEIVED, removal_asked_at=None)
    late = late.filter(state_since__lt=received_before)
    return list(late.select_related("miner__tenant").order_by("pk"))


def pieces_removed() -> list[Piece]:
    """Return the pieces of whose removal a kill has left something."""
    rows = Piece.objects.filter(removal_asked_at__isnull=False)
    return list(rows.select_related("miner__tenant").order_by("pk"))


def pieces_with_leftovers() -> list[Piece]:
    """Return the pieces whose bytes are kept no more, and of which a kill may have left a file."""
    return list(Piece.objects.filter(has_leftover=True).select_related("miner__tenant").order_by("pk"))


def pieces_fetchable(
    *, without: Collection[int], tenants: Collection[int], failed_before: datetime
) -> list[Piece]:
    """Return the next piece to download of each tenant but these.

    Untried ones come first, then those that failed longest ago.

    Left out are the rows `without`, and those whose source failed at that moment or later.
    """
    rows = Piece.objects.filter(state=PieceState.FETCHING, removal_asked_at=None).exclude(pk__in=without)
    rows = rows.filter(Q(error="") | Q(updated_at__lt=failed_before))
    rows = rows.exclude(miner__tenant__in=tenants).select_related("miner__tenant")
    rows = rows.alias(failed_at=Case(When(error="", then=None), default=F("updated_at")))
    order = ("miner__tenant", F("failed_at").asc(nulls_first=True), "pk")
    return list(rows.order_by(*order).distinct("miner__tenant"))


def pieces_fetching(keys: Collection[int]) -> set[int]:
    """Return which of these rows are still to be downloaded."""
    rows = Piece.objects.filter(pk__in=keys, state=PieceState.FETCHING, removal_asked_at=None)
    return set(rows.values_list("pk", flat=True))


def uploads_idle(
    *, single_before: datetime, resumable_before: datetime, failed_before: datetime
) -> list[Piece]:
    """Return the uploads on which nothing was heard since a moment, and pieces that failed before another."""
    uploading, failed = Q(state=PieceState.UPLOADING), Q(state=PieceState.FAILED)
    single = uploading & Q(is_resumable=False, updated_at__lt=single_before)
    resumable = uploading & Q(updated_at__lt=resumable_before)
    rows = Piece.objects.filter(single | resumable | failed & Q(updated_at__lt=failed_before))
    return list(rows.select_related("miner__tenant").order_by("pk"))


def failed_earlier(piece: Piece) -> list[Piece]:
    """Return the miner's pieces that failed of the same commitment and terms."""
    rows = Piece.objects.filter(miner=piece.miner, state=PieceState.FAILED, held_for=piece.held_for)
    rows = rows.filter(client=piece.client, allocation=piece.allocation, deal=piece.deal)
    return list(rows.filter(Q(piece_cid=piece.piece_cid) | Q(announced_cid=piece.piece_cid)))


@dataclass(frozen=True, slots=True)
class StorageUse:
    """How many bytes the pieces of a tenant take, and may take."""

    used_bytes: int
    limit_bytes: int
    """0: no limit."""
    is_default: bool
    """Whether the limit is the pool's, and not the tenant's own."""

    @property
    def is_exceeded(self) -> bool:
        """Return whether they take more than they may: the limit was lowered, or a miner brought pieces."""
        return 0 < self.limit_bytes < self.used_bytes

    def has_room(self, count: int) -> bool:
        """Return whether so many bytes more fit."""
        return not self.limit_bytes or self.used_bytes + count <= self.limit_bytes


def default_limit(tenant: str) -> int:
    """Return how many bytes a tenant without a quota of its own may use: see `settings.PIECE_QUOTA_BYTES`."""
    limit: int = settings.PIECE_QUOTA_BYTES
    if limit >= 0:
        return limit
    if tenant == POOL:
        return 0
    room = disk_space(settings.PIECES_DIR).total - settings.DISK_RESERVE_BYTES
    return max(room // TENANT_PART, 1)


STORAGE_USE: Final[Compiled[tuple[str, int | None, int | None]]] = Compiled(
    "piece_storage_of_tenant",
    lambda tenant: (
        Tenant.objects.filter(pk=tenant)
        .order_by()
        .values_list("name", "piece_quota__limit_bytes")
        .annotate(Sum("miners__storage__held_bytes"))
    ),
    tenant="bigint",
)


def storage_use(tenant_id: int) -> StorageUse:
    """Return how much of its quota a tenant uses, by the count of each of its miners."""
    [(name, own, used)] = STORAGE_USE.rows(tenant=tenant_id)
    return StorageUse(int(used or 0), default_limit(name) if own is None else own, own is None)
