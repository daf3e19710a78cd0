"""Rows of pieces; their bytes lie in files of the same name: apps/pieces/data/files.py."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models

from apps.core.fields import CidField
from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonTextField, WithReasons
from apps.miners.models import Miner
from apps.pieces.states import (
    DELIVERY_TRANSITIONS,
    TRANSITIONS,
    UNCOMMITTED,
    DeliveryState,
    IndexOutcome,
    PiecePurpose,
    PieceState,
)
from apps.users.models import Tenant
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.fr32 import unpadded_bytes
from poolsite.filecoin.piece_cids import SizedPiece, sized_cid

CLIENT_ACTOR: Final = "client "
"""How the actor of what a deal's client sends begins; its address follows."""


class Piece(WithReasons, Named, Timestamped):
    """Data of a client for a miner's sectors.

    The same bytes under several allocations or deals are as many pieces: the chain wants a place for each.
    """

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.PROTECT, related_name="pieces")
    state = models.CharField(max_length=16, choices=PieceState.choices, default=PieceState.UPLOADING)
    state_since = models.DateTimeField()
    piece_cid = CidField(blank=True, default="")
    """Computed here; empty before."""
    announced_cid = CidField(blank=True, default="")
    """What the caller said that it is."""
    padded_size = models.BigIntegerField(default=0)
    """Of its place in a sector, a power of two; before RECEIVED as announced, 0 if it was not."""
    file_name = models.CharField(max_length=255, blank=True, default="", db_default="")
    """As its sender wrote it, or the end of its URL; empty: none was given."""
    payload_size = models.BigIntegerField(null=True)
    """Raw bytes; None while their number is not known."""
    received = models.BigIntegerField(default=0)
    """Raw bytes that are on the disk for certain."""
    rate = models.BigIntegerField(null=True)
    """Raw bytes a second of the download under way, since it was last begun; None: none is."""
    is_resumable = models.BooleanField(default=False)
    source_url = models.TextField(blank=True)
    """Whole, with what may be a key, until the piece is READY or FAILED: then as `url_shown` writes it."""
    source_headers = models.TextField(blank=True, default="", db_default="")
    """Encrypted JSON of what is sent to that URL besides, in pairs; empty from READY or FAILED on."""
    source_tag = models.TextField(blank=True, default="")
    """Strong ETag of what came of a download; empty: it begins from the start after an interruption."""
    has_data = models.BooleanField(default=True)
    """Whether the raw bytes are kept here; else the sector is unsealed for them."""
    copy_read_at = models.DateTimeField(null=True)
    """When the raw bytes were last read that were unsealed for somebody who retrieves them; None: they are
    kept for another reason."""
    has_leftover = models.BooleanField(default=False)
    """Whether bytes that are kept no more may still lie here: they go with the next head."""
    removal_asked_at = models.DateTimeField(null=True)
    """When somebody removed it: nobody sees it any more, and a head takes away what a kill has left of it."""

    client = models.BigIntegerField(null=True)
    """Actor id of the client whose allocation it claims."""
    allocation = models.BigIntegerField(null=True)
    """Of the verified registry."""
    deal = models.BigIntegerField(null=True)
    """Of the built-in market, which is notified when the piece is activated."""
    held_for = models.UUIDField(null=True)
    """Client's deal that must be published before it goes into a sector."""
    start_epoch = models.BigIntegerField(null=True)
    """Until when it must be active, as its client said."""
    terms_epoch = models.BigIntegerField(null=True)
    """Until when the chain takes it under its allocation or deal; None: without either, or not read yet."""
    term_min = models.BigIntegerField(null=True)
    """Epochs that its sector must live from its activation on, at least: for its allocation or, without one,
    for its client."""
    term_max = models.BigIntegerField(null=True)
    """The same, at most."""
    end_epoch = models.BigIntegerField(null=True)
    """To which its sector must live at least, for its deal."""
    terms_missing_since = models.BigIntegerField(null=True)
    """Since which epoch the chain lacks its allocation or deal; `error` says so meanwhile."""
    purpose = models.CharField(max_length=8, choices=PiecePurpose.choices, default=PiecePurpose.ANY)

    sector_number = models.BigIntegerField(null=True)
    offset = models.BigIntegerField(null=True)
    """Padded bytes from the sector's beginning."""
    actor = models.CharField(max_length=200, blank=True)
    """Who sent it or had it downloaded, as the audit log names them; of a deal's data the client."""
    error = ReasonTextField(blank=True)
    error_coded = CodedField()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["miner", "piece_cid", "client", "allocation", "deal"],
                nulls_distinct=False,
                name="one_piece_per_kept_cid",
                condition=~models.Q(state__in=[str(state) for state in UNCOMMITTED]),
            )
        ]
        indexes = [
            models.Index(fields=["piece_cid"], name="pieces_by_cid", condition=~models.Q(piece_cid="")),
            models.Index(fields=["miner", "sector_number"], name="pieces_of_a_sector"),
            models.Index(
                fields=["held_for"],
                name="pieces_held_for",
                condition=models.Q(held_for__isnull=False),
            ),
            models.Index(fields=["deal"], name="pieces_by_deal", condition=models.Q(deal__isnull=False)),
            models.Index(
                fields=["allocation"],
                name="pieces_by_allocation",
                condition=models.Q(allocation__isnull=False),
            ),
            models.Index(
                fields=["state"], name="pieces_under_way", condition=~models.Q(state__in=["ACTIVE", "FAILED"])
            ),
            models.Index(fields=["state_since"], name="pieces_by_change"),
            models.Index(fields=["id"], name="pieces_with_leftovers", condition=models.Q(has_leftover=True)),
            models.Index(
                fields=["copy_read_at"],
                name="pieces_copies_lent",
                condition=models.Q(copy_read_at__isnull=False),
            ),
            models.Index(fields=["miner"], name="pieces_failed", condition=models.Q(state="FAILED")),
        ]

    def __str__(self) -> str:
        return self.piece_cid or f"upload {self.uuid}"

    @property
    def last_epoch(self) -> int | None:
        """Until when it must be active, by its client's word and its terms."""
        return min((one for one in (self.start_epoch, self.terms_epoch) if one is not None), default=None)

    @property
    def has_unread_terms(self) -> bool:
        """Return whether it has an allocation or a deal whose terms were not read yet."""
        is_allocated = self.allocation is not None and self.client is not None
        return (is_allocated and self.term_max is None) or (self.deal is not None and self.end_epoch is None)

    @property
    def room(self) -> int:
        """The most raw bytes that it may have."""
        return unpadded_bytes(self.padded_size or self.miner.sector_size)

    @property
    def most_bytes(self) -> int:
        """The raw bytes that it has or, while their number is not known, may have: what a quota counts."""
        return self.room if self.payload_size is None else self.payload_size

    @property
    def piece_cid_v2(self) -> str:
        """The commitment with the number of raw bytes.

        Empty before there is one, and in a larger place than the bytes need: the root of theirs is not known.
        """
        if not self.piece_cid or self.payload_size is None:
            return ""
        piece = SizedPiece(cid_parse(self.piece_cid).digest, self.payload_size)
        return str(sized_cid(piece)) if piece.padded_size == self.padded_size else ""

    @property
    def index(self) -> BlockIndex | None:
        """Return what it holds as a CAR; None until that was looked at."""
        return getattr(self, "block_index", None)

    @property
    def is_readable(self) -> bool:
        """Return whether its raw bytes are kept and are what they should be."""
        return self.has_data and bool(self.piece_cid)

    @property
    def terms(self) -> tuple[int | None, ...]:
        """Under what it is to be activated."""
        return (self.client, self.allocation, self.deal)


class PieceDelivery(WithReasons, Named, Timestamped):
    """Bytes of a piece that a market wants to have; an equal request again is the same one."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = DELIVERY_TRANSITIONS

    piece = models.ForeignKey(Piece, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=16, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    digest = models.CharField(max_length=64, unique=True)
    """Of what was asked and where to."""
    first = models.BigIntegerField()
    """Unpadded bytes from the piece's beginning."""
    num_bytes = models.BigIntegerField()
    """Zeros follow where the raw bytes end."""
    target = models.TextField()
    """Encrypted: where the bytes go, which may hold a key."""
    shown = models.CharField(max_length=300)
    """The same without what may be a key."""
    actor = models.CharField(max_length=200)
    attempts = models.IntegerField(default=0)
    not_before = models.DateTimeField(null=True)
    """It is tried again from then on."""
    until = models.DateTimeField()
    """Fails then, unless it is requested again."""
    told_at = models.DateTimeField(null=True)
    """When the market first got the result."""
    error = ReasonTextField(blank=True)
    error_coded = CodedField()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["id"], name="deliveries_due", condition=models.Q(state="WAITING"))]

    def __str__(self) -> str:
        return f"{self.num_bytes} bytes of {self.piece} to {self.shown}"


class BlockIndex(WithReasons, models.Model):
    """The index of a piece's blocks: the file beside its bytes that lists them, and its outcome."""

    piece = models.OneToOneField(
        Piece, on_delete=models.CASCADE, primary_key=True, related_name="block_index"
    )
    outcome = models.CharField(
        max_length=8, choices=IndexOutcome.choices, default=IndexOutcome.NONE, blank=True
    )
    is_due = models.BooleanField(default=False)
    """Whether it is to be made anew: somebody asked, or it could not be made."""
    blocks = models.BigIntegerField(default=0)
    entries = CidField(blank=True, default="", db_default="")
    """First chunk of their multihashes, as indexers fetch them; empty: there are none, or not listed yet."""
    left_out = models.BigIntegerField(default=0)
    """Blocks that nobody gets: too large, or with a hash that cannot be verified."""
    tried_at = models.DateTimeField(null=True)
    made_at = models.DateTimeField(null=True)
    """Names the file's version; None: there is no file."""
    volume = models.UUIDField(null=True)
    """Name of the volume that has its blocks, too; None: a lookup asks this index itself."""
    sampled_at = models.DateTimeField(null=True)
    """When some of its blocks were compared with the piece."""
    reason = ReasonTextField(blank=True)
    """Why there is no index, or what the comparison found."""
    reason_coded = CodedField()

    class Meta:
        indexes = [
            models.Index(
                fields=["piece"],
                name="block_indexes_single",
                condition=models.Q(volume=None, outcome="INDEXED"),
            )
        ]

    def __str__(self) -> str:
        return f"blocks of {self.piece_id}"


class BlockVolume(models.Model):
    """A file of the blocks of many indexes, each with its piece: a lookup asks it instead of them."""

    name = models.UUIDField(primary_key=True)
    blocks = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.blocks} blocks in {self.name}"


class HashChunk(models.Model):
    """A chunk of the multihashes of an index' blocks, as indexers (IPNI) fetch it; they lie in its file."""

    index = models.ForeignKey(BlockIndex, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    """From 0 on; it links to the chunk before it."""
    cid = CidField()
    """CID of the chunk: it is served only while the file gives these bytes."""
    at = models.BigIntegerField()
    """First byte of its multihashes in the file."""
    size = models.PositiveIntegerField()
    """Bytes of them."""
    count = models.PositiveIntegerField()
    """Number of them."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["index", "number"], name="one_row_per_hash_chunk")]
        indexes = [models.Index(fields=["cid"], name="hash_chunks_by_cid")]

    def __str__(self) -> str:
        return f"chunk {self.number} of {self.index_id}"


class PieceQuota(models.Model):
    """How many bytes a tenant's pieces may take; without a row, what `settings.PIECE_QUOTA_BYTES` says."""

    tenant = models.OneToOneField(
        Tenant, on_delete=models.CASCADE, primary_key=True, related_name="piece_quota"
    )
    limit_bytes = models.BigIntegerField()
    """Raw bytes; 0 sets no limit."""

    def __str__(self) -> str:
        return f"{self.tenant}: {self.limit_bytes} bytes"


class MinerStorage(models.Model):
    """How many bytes a miner's pieces take, counted by a trigger of the database with every change of one.

    By miner and not by tenant: a miner's pieces go with it to another tenant.
    """

    miner = models.OneToOneField(Miner, on_delete=models.CASCADE, primary_key=True, related_name="storage")
    held_bytes = models.BigIntegerField()
    """`Piece.most_bytes` of all whose bytes are kept here or are to come."""

    def __str__(self) -> str:
        return f"{self.miner}: {self.held_bytes} bytes"
