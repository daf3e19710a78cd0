"""Reading the advertisements by which indexers learn of miners' data, and what stands in their way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Sum, When

from apps.market.models import (
    AdChain,
    Advertisement,
    Deal,
    EntryChunk,
    IndexerAnswer,
    IndexerFetch,
    MinerDoor,
    MinerMarket,
)
from apps.market.reasons import (
    ADS_KEY_SHARED,
    ADS_NO_ADDRESS,
    ADS_NO_DOOR,
    ADS_NO_KEY,
    ADS_NOT_SERVED,
    ADS_UNSIGNED,
)
from apps.market.selectors.deals import console_address, doors_status
from apps.market.states import DealState
from apps.miners.models import Miner
from apps.miners.selectors.miners import miners_active
from apps.pieces.models import HashChunk, Piece
from apps.pieces.selectors import hash_chunks
from apps.pieces.states import IndexOutcome, PieceState

READERS_SHOWN = 10
"""Latest readers of a miner's advertisements."""


def peers_without_chain() -> list[MinerDoor]:
    """Return the doors of miners that serve their data and whose peer's key has no advertisements yet."""
    rows = MinerDoor.objects.filter(miner__in=miners_active(), miner__market__serves_data=True)
    rows = rows.filter(miner__market__takes_libp2p=True).exclude(peer_id="")
    chains = AdChain.objects.filter(peer_id=OuterRef("peer_id"))
    return list(rows.exclude(Exists(chains)).select_related("miner").order_by("miner_id"))


def chains_current() -> list[AdChain]:
    """Return the chains of the keys that active miners' doors have now."""
    rows = AdChain.objects.filter(miner__in=miners_active(), miner__door__peer_id=F("peer_id"))
    return list(rows.select_related("miner__market", "miner__tenant").order_by("pk"))


def chain_of_miner(miner: Miner) -> AdChain | None:
    """Return the chain of the key that a miner's door has now."""
    return AdChain.objects.filter(miner=miner, miner__door__peer_id=F("peer_id")).first()


def chain_of_peer(peer_id: str) -> AdChain | None:
    """Return a chain by its peer id, for anybody."""
    return AdChain.objects.filter(peer_id=peer_id).first()


def ad_body(chain: AdChain, cid: str) -> bytes | None:
    """Return a signed advertisement of a chain as it is served."""
    return _body(Advertisement.objects.filter(chain=chain, cid=cid).values_list("body", flat=True))


def chunk_body(chain: AdChain, cid: str) -> bytes | None:
    """Return the chunk of a piece's own multihashes as it is served."""
    rows = EntryChunk.objects.filter(advertisement__chain=chain, cid=cid)
    return _body(rows.values_list("body", flat=True))


def blocks_chunks(chain: AdChain, cid: str) -> list[HashChunk]:
    """Return the rows of a chunk of blocks' multihashes, if the chain has advertised a piece with it."""
    rows = hash_chunks(chain.miner_id, cid)
    ads = Advertisement.objects.filter(chain=chain, piece_cid__in={row.index.piece.piece_cid for row in rows})
    advertised = set(ads.exclude(blocks_entries="").values_list("piece_cid", flat=True))
    return [row for row in rows if row.index.piece.piece_cid in advertised]


def _body(rows: QuerySet[Any, Any]) -> bytes | None:
    found = rows.first()
    return None if found is None else bytes(found)


def _pieces_offered(chain: AdChain) -> QuerySet[Piece]:
    """Return the pieces that anybody may retrieve of a chain's miner, and whose clients want that known."""
    wanted = Deal.objects.filter(piece=OuterRef("pk"), state=DealState.ACTIVE, is_announced=True)
    rows = Piece.objects.filter(Exists(wanted), miner=chain.miner_id, state=PieceState.ACTIVE, has_data=True)
    return rows.filter(miner__market__serves_data=True)


def pieces_unadvertised(chain: AdChain) -> QuerySet[Piece]:
    """Return the pieces that a chain lacks, or whose blocks it lacks, each content once."""
    live = Advertisement.objects.filter(chain=chain, is_live=True, piece_cid=OuterRef("piece_cid"))
    live = live.filter(padded_size=OuterRef("padded_size"))
    is_indexed = Q(block_index__outcome=IndexOutcome.INDEXED) & ~Q(block_index__entries="")
    rows = _pieces_offered(chain).annotate(is_indexed=Case(When(is_indexed, then=1), default=0))
    lacking = ~Exists(live) | Q(is_indexed=1) & Exists(live.filter(blocks_entries=""))
    rows = rows.filter(lacking).select_related("block_index")
    order = ("piece_cid", "padded_size", "-is_indexed", "pk")
    return rows.order_by(*order).distinct("piece_cid", "padded_size")


def ads_gone(chain: AdChain) -> QuerySet[Advertisement]:
    """Return the advertisements of a chain whose piece, or whose blocks, cannot be retrieved any more."""
    there = _pieces_offered(chain).filter(
        piece_cid=OuterRef("piece_cid"), padded_size=OuterRef("padded_size")
    )
    indexed = there.filter(block_index__entries=OuterRef("blocks_entries"))
    withdrawn = ~Exists(there) | ~Q(blocks_entries="") & ~Exists(indexed)
    return Advertisement.objects.filter(withdrawn, chain=chain, is_live=True).order_by("number")


def ads_unsigned(chain: AdChain) -> QuerySet[Advertisement]:
    """Return the links of a chain that wait for the process with its key, in order."""
    return Advertisement.objects.filter(chain=chain, body=None).order_by("number")


def peers_unsigned(peer_ids: Collection[str]) -> list[str]:
    """Return those of some peers whose advertisements wait for their signature."""
    rows = Advertisement.objects.filter(body=None, chain__peer_id__in=peer_ids).order_by()
    return list(rows.values_list("chain__peer_id", flat=True).distinct())


@dataclass(frozen=True, slots=True)
class Discovery:
    """How a miner's data are made known to indexers."""

    chain: AdChain | None
    reason: str
    """Why nothing, or nothing new, is made known; empty where all is well."""
    waiting: int = 0
    """Advertisements that are not signed yet."""
    pieces: int = 0
    """Pieces that are advertised now, signed or not."""
    blocks: int = 0
    """Blocks of those."""
    missing: int = 0
    """Pieces that are still to be added or removed: each head does a part."""
    answers: Mapping[str, IndexerAnswer | None] = field(default_factory=dict)
    """By the indexers' URLs; None: it has not been told of anything."""
    fetches: Sequence[IndexerFetch] = ()
    """Fetches of the latest readers, newest first."""


def discovery_of(market: MinerMarket, *, now: datetime) -> Discovery:
    """Return how a miner's data are made known."""
    chain = chain_of_miner(market.miner)
    if chain is None:
        return Discovery(None, _discovery_fault(market, now=now), answers=dict.fromkeys(market.indexers))
    answers = {row.url: row for row in IndexerAnswer.objects.filter(chain=chain)}
    waiting = ads_unsigned(chain).count()
    live = Advertisement.objects.filter(chain=chain, is_live=True)
    sums = live.aggregate(pieces=Count("pk"), blocks=Sum("blocks"))
    return Discovery(
        chain,
        _discovery_fault(market, now=now, is_signing=waiting > 0),
        waiting=waiting,
        pieces=sums["pieces"],
        blocks=int(sums["blocks"] or 0),
        missing=pieces_unadvertised(chain).count() + ads_gone(chain).count(),
        answers={url: answers.get(url) for url in market.indexers},
        fetches=list(IndexerFetch.objects.filter(chain=chain).order_by("-fetched_at")[:READERS_SHOWN]),
    )


def _discovery_fault(market: MinerMarket, *, now: datetime, is_signing: bool = False) -> str:
    """Return what stands in the way of advertisements."""
    if not market.serves_data:
        return ADS_NOT_SERVED()
    if not console_address():
        return ADS_NO_ADDRESS()
    if not market.takes_libp2p:
        return ADS_NO_DOOR()
    status = doors_status([market], now=now)[market.miner_id]
    if status.report is None or not status.report.peer_id:
        return ADS_NO_KEY()
    others = AdChain.objects.filter(peer_id=status.report.peer_id).exclude(miner=market.miner)
    if others.exists():
        return ADS_KEY_SHARED()
    return ADS_UNSIGNED() if is_signing and status.reason else ""
