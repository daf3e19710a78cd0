"""Advertisements to indexers (IPNI): made with a head, signed where the peer's key lies, then announced.

A piece is advertised once it can be retrieved and its client wants that, and removed once it cannot.  The
console makes unsigned links, each with the next number of its chain; the process with the key signs them in
that order.  Only what is signed is served, so that a kill anywhere leaves one chain.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.db import transaction
from django.db.models import F, Max

from apps.chain.node.isolation import for_each_isolated
from apps.core.live import Change, publish
from apps.core.reasons import Reason, reason_of
from apps.market.models import AdChain, Advertisement, EntryChunk, IndexerAnswer, IndexerFetch
from apps.market.rules import chain_path
from apps.market.selectors.deals import console_address
from apps.market.selectors.discovery import (
    ads_gone,
    ads_unsigned,
    blocks_chunks,
    chains_current,
    chunk_body,
    peers_without_chain,
    pieces_unadvertised,
)
from apps.market.states import AdKind
from apps.pieces.data.destinations import DeliveryRefused, Target, bytes_put
from apps.pieces.data.sources import SourceAway
from apps.pieces.models import Piece
from apps.pieces.services.indexes import hash_chunk_load
from poolsite.filecoin import cbor
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.multiaddr import peer_id_parse
from poolsite.libp2p import ipni
from poolsite.libp2p.identity import Identity
from poolsite.libp2p.ipni import (
    GATEWAY_HTTP,
    NO_ENTRIES,
    PIECE_HTTP,
    Block,
    advertisement_sign,
    announcement,
    chunk_make,
    context_of,
    head_sign,
    metadata_of,
    multihash_of,
)

log = structlog.get_logger(__name__)

A_HEAD: Final = 100
"""Pieces of a chain that one head adds or removes."""
A_TURN: Final = 100
"""Advertisements that are signed in one transaction."""
FETCHES_MAX: Final = 50
"""Readers of a chain whose last fetch is kept, the latest ones."""
ANSWER_S: Final = 10.0
"""Time for an indexer to take an announcement, and again to answer it."""
SENDING_S: Final = 20.0
"""No announcement is begun later in the turn of a head."""
AT_ONCE: Final = 16
"""Indexers that are told at a time."""
NOT_ANNOUNCED: Final = "advertisements_not_announced"
RETRY_FIRST: Final = timedelta(seconds=30)
RETRY_MOST: Final = timedelta(hours=1)
"""Between two announcements to an indexer that does not take them."""


class ChunkUnread(Exception):
    """A chunk that is advertised cannot be read from the disk now."""


def advertisements_advance(*, now: datetime) -> None:
    """Bring each chain up to what its miner gives out, and tell indexers of new heads."""
    for peer in peers_without_chain():
        AdChain.objects.get_or_create(peer_id=peer.peer_id, defaults={"miner": peer.miner})
    chains = chains_current()
    for_each_isolated(chains, chain_advance, event="advertisements_not_made")
    heads_send(chains, now=now)


def chain_advance(chain: AdChain) -> None:
    """Bring one chain up to date, a part of it with each head; without a public address nothing is added."""
    address = console_address()
    for added in ads_gone(chain)[:A_HEAD]:
        advertisement_remove(chain, added=added, address=address or chain.addresses[0])
    if address and chain.addresses not in ([], [address]):
        advertisement_add(chain, kind=AdKind.ADDRESSES, address=address)
    for piece in pieces_unadvertised(chain)[:A_HEAD] if address else ():
        piece_publish(chain, piece=piece, address=address)


def piece_publish(chain: AdChain, *, piece: Piece, address: str) -> None:
    """Make the advertisement of a piece, by its piece CIDs and, if it is a CAR, by its blocks.

    The chunk of the piece CIDs leads on to those of the blocks, which are served from the index.
    """
    names = [multihash_of(one) for one in (piece.piece_cid, piece.piece_cid_v2) if one]
    blocks_entries = "" if piece.index is None else piece.index.entries
    advertisement_add(
        chain,
        kind=AdKind.ADD,
        address=address,
        piece=piece,
        chunk=chunk_make(names, cid_parse(blocks_entries) if blocks_entries else None),
        metadata=metadata_of(PIECE_HTTP, *([GATEWAY_HTTP] if blocks_entries else [])),
    )


@transaction.atomic
def advertisement_add(
    chain: AdChain,
    *,
    kind: AdKind,
    address: str,
    piece: Piece | None = None,
    chunk: Block | None = None,
    metadata: bytes = b"",
) -> None:
    """Make the next link of a chain, unsigned; a piece that is advertised already, with its blocks, is left.

    One that was advertised without them is once more: to indexers that is the same one with more entries.
    """
    locked = AdChain.objects.select_for_update(no_key=True).get(pk=chain.pk)
    named = {} if piece is None else {"piece_cid": piece.piece_cid, "padded_size": piece.padded_size}
    index = None if piece is None else piece.index
    blocks_entries = "" if index is None else index.entries
    if piece is not None:
        live = Advertisement.objects.filter(chain=locked, is_live=True, **named)
        if live.exclude(blocks_entries="").exists() or (not blocks_entries and live.exists()):
            return
        live.update(is_live=False)
    row = _link(locked, kind=kind, address=address, **named)
    row.metadata, row.is_live = metadata, piece is not None
    row.entries = str(chunk.cid) if chunk else ""
    row.blocks_entries, row.blocks = blocks_entries, index.blocks if index and blocks_entries else 0
    row.save()
    if chunk is not None:
        EntryChunk.objects.create(advertisement=row, cid=str(chunk.cid), body=chunk.body)
    chain.addresses = locked.addresses


@transaction.atomic
def advertisement_remove(chain: AdChain, *, added: Advertisement, address: str) -> None:
    """Make the removal of a piece, unsigned, unless there is one."""
    locked = AdChain.objects.select_for_update(no_key=True).get(pk=chain.pk)
    if Advertisement.objects.filter(pk=added.pk, is_live=True).update(is_live=False):
        names = {"piece_cid": added.piece_cid, "padded_size": added.padded_size}
        _link(locked, kind=AdKind.REMOVE, address=address, **names).save()
        chain.addresses = locked.addresses


def _link(locked: AdChain, *, kind: AdKind, address: str, **named: object) -> Advertisement:
    """Return the next link of a locked chain; it names the addresses, as each does."""
    last = Advertisement.objects.filter(chain=locked).aggregate(last=Max("number"))["last"] or 0
    if locked.addresses != [address]:
        locked.addresses = [address]
        locked.save(update_fields=["addresses"])
    return Advertisement(chain=locked, number=last + 1, kind=kind, addresses=[address], **named)


@transaction.atomic
def advertisements_sign(identity: Identity) -> int:
    """Sign the next links of a peer's chain, and its head; returns how many.

    Of several processes with the key one waits for the other: a link is signed once, on top of the last.
    """
    chain = AdChain.objects.select_for_update(no_key=True).filter(peer_id=identity.text).first()
    rows = [] if chain is None else list(ads_unsigned(chain)[:A_TURN])
    if chain is None or not rows:
        return 0
    for row in rows:
        block = advertisement_sign(_node(chain, row), identity)
        row.cid, row.body = str(block.cid), block.body
        row.save(update_fields=["cid", "body"])
        chain.head, chain.length = row.cid, row.number
        if row.kind == AdKind.REMOVE:  # an indexer that reads on passes over what a later link removes
            _chunks_drop(chain, row)
    chain.head_body = head_sign(cid_parse(chain.head), identity)
    chain.save(update_fields=["head", "length", "head_body"])
    publish(Change("deal", str(chain.miner.uuid), chain.miner.tenant_id))
    return len(rows)


def _node(chain: AdChain, row: Advertisement) -> ipni.Advertisement:
    """Return a link as it is signed, on top of the chain's head."""
    if row.number != chain.length + 1:
        raise RuntimeError(f"advertisement {row.number} does not follow {chain.length} of {chain}")
    return ipni.Advertisement(
        previous=cid_parse(chain.head) if chain.head else None,
        provider=chain.peer_id,
        addresses=tuple(row.addresses),
        context=context_of(row.padded_size, row.piece_cid) if row.piece_cid else b"",
        entries=cid_parse(row.entries) if row.entries else NO_ENTRIES,
        metadata=bytes(row.metadata),
        is_removal=row.kind == AdKind.REMOVE,
    )


def _chunks_drop(chain: AdChain, removal: Advertisement) -> None:
    """Delete the own multihashes of a piece that a signed removal takes back."""
    before = Advertisement.objects.filter(
        chain=chain, piece_cid=removal.piece_cid, padded_size=removal.padded_size, number__lt=removal.number
    )
    EntryChunk.objects.filter(advertisement__in=before).delete()


def chunk_read(chain: AdChain, *, cid: str) -> tuple[bytes, int] | None:
    """Return a chunk of multihashes of a chain, with their number; None if it has none of this CID.

    Raises ChunkUnread if it has one that cannot be read now.
    """
    own = chunk_body(chain, cid)
    if own is not None:
        return own, len(cbor.decode(own)["Entries"])
    chunks = blocks_chunks(chain, cid)
    for chunk in chunks:
        body = hash_chunk_load(chunk)
        if body is not None:
            return body, chunk.count
    if chunks:
        raise ChunkUnread(cid)
    return None


def heads_send(chains: Sequence[AdChain], *, now: datetime) -> None:
    """Send heads to their miners' indexers that did not take them, unless they are to be asked later.

    All indexers at once: one that does not answer holds up nobody else, nor the next head.  What is not begun
    in time is sent with a later one.
    """
    due: dict[str, list[AdChain]] = {}
    answers = {(row.chain_id, row.url): row for row in IndexerAnswer.objects.filter(chain__in=chains)}

    def due_note(chain: AdChain) -> None:
        chain.refresh_from_db(fields=["head", "addresses"])
        for url in chain.miner.market.indexers if chain.head else ():
            row = answers.get((chain.pk, url))
            if row is None or ((row.head != chain.head or row.reason) and next_try(row) <= now):
                due.setdefault(url, []).append(chain)

    for_each_isolated(chains, due_note, event=NOT_ANNOUNCED)
    if not due:
        return
    until = time.monotonic() + SENDING_S
    with ThreadPoolExecutor(min(len(due), AT_ONCE)) as threads:
        sent = list(threads.map(lambda url: _heads_send_to(url, due[url], until=until), due))
    for url, outcomes in zip(due, sent, strict=True):
        for chain, reason in outcomes:
            row = answers.get((chain.pk, url))
            failures = (0 if row is None else row.attempts) + 1
            values = {"head": chain.head, "told_at": now, "reason": reason}
            values["attempts"] = failures if reason else 0
            IndexerAnswer.objects.update_or_create(chain=chain, url=url, defaults=values)


def _heads_send_to(url: str, chains: list[AdChain], *, until: float) -> list[tuple[AdChain, Reason | str]]:
    """Send the heads of chains to one indexer, one after the other; returns why each was not taken.

    Runs in a thread without a database.
    """
    outcomes = []

    def send(chain: AdChain) -> None:
        if time.monotonic() < until:
            outcomes.append((chain, _announce(chain, url=url)))

    for_each_isolated(chains, send, event=NOT_ANNOUNCED)
    return outcomes


def next_try(row: IndexerAnswer) -> datetime:
    """Return from when on an indexer is told of a head: later with each failure in a row."""
    wait = min(RETRY_FIRST * (1 << min(row.attempts, 10)) / 2, RETRY_MOST)
    return row.told_at + wait if row.attempts else row.told_at


def _announce(chain: AdChain, *, url: str) -> Reason | str:
    """Send an announcement; returns why it was not taken."""
    body = announcement(
        cid_parse(chain.head),
        server=chain.addresses[0],
        path=chain_path(chain.peer_id),
        peer_id=peer_id_parse(chain.peer_id),
    )
    try:
        bytes_put(Target(url), iter([body]), size=len(body), token="", slow_s=ANSWER_S)
    except (SourceAway, DeliveryRefused, OSError) as error:
        return reason_of(error)
    return ""


@transaction.atomic
def fetch_note(
    chain: AdChain, *, address: str, agent: str, now: datetime, cid: str = "", hashes: int = 0
) -> None:
    """Note what was fetched of a chain: an advertisement, or so many multihashes; neither: its head."""
    named: dict[str, Any] = {"chain": chain, "address": address[:64], "agent": agent[:100]}
    values: dict[str, Any] = {"fetched_at": now, **({"cid": cid} if cid else {})}
    if IndexerFetch.objects.filter(**named).update(hashes=F("hashes") + hashes, **values):
        return
    values["hashes"] = hashes
    IndexerFetch.objects.bulk_create([IndexerFetch(**named, **values)], ignore_conflicts=True)
    _fetches_tidy(chain)


def _fetches_tidy(chain: AdChain) -> None:
    """Keep the last fetches of the latest readers only: anybody can come under any name, at any time."""
    rows = IndexerFetch.objects.filter(chain=chain).order_by("-fetched_at")
    last = rows.values_list("fetched_at", flat=True)[FETCHES_MAX : FETCHES_MAX + 1]
    for at in last:
        rows.filter(fetched_at__lte=at).delete()
