"""Reading which allocations of verified data are for the pool's miners.

The chain has no index by miner: a node lists the allocations of all clients, which takes long on the main
network, or, where it does not, those of single clients, of whom the pool knows some.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import transaction

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.reasons import refused
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.pieces.models import Piece
from apps.sectors.models import Allocation, AllocationsRead
from apps.sectors.onchain.allocations import (
    AllocationFacts,
    all_allocations_read,
    allocations_of_clients_read,
)
from apps.wallets.models import Wallet

log = structlog.get_logger(__name__)

EVERY: Final = timedelta(minutes=10)
"""Least time between two reads."""
SHARE: Final = 100
"""A read that took long is made again only after so many times as long."""
ALL_AGAIN: Final = timedelta(days=1)
"""After that nodes that did not list all allocations are asked for them once more."""
CLIENTS_MAX: Final = 1_000
"""Clients whose allocations are read one by one, those known latest."""


def allocations_follow(*, client: ChainClient, head: Head, now: datetime) -> bool:
    """Read the allocations for the pool's miners if that is due; returns whether it was."""
    read = AllocationsRead.objects.first() or AllocationsRead(pk=1, due_at=now, all_due_at=now)
    if read.due_at > now:
        return False
    started = time.monotonic()
    read.due_at = now + EVERY  # a kill or a node that hangs: not again at the next head
    read.save()
    miners = {one.actor_id: one.pk for one in Miner.objects.filter(state=MinerState.ACTIVE) if one.actor_id}
    try:
        facts, clients = _read(client, read, miners, key=head.key, now=now) if miners else ([], None)
    except (NodeRefused, NodeUnavailable) as error:
        log.info("allocations_not_read", reason=error.reason[:300])
        AllocationsRead.objects.filter(pk=read.pk).update(error=refused(error))
        return True
    read.is_of_all, read.clients = clients is None, len(clients or ())
    read.read_at, read.height, read.error = now, head.height, ""
    read.due_at = now + max(EVERY, SHARE * timedelta(seconds=time.monotonic() - started))
    _write(facts, miners=miners, clients=clients, read=read, now=now)
    return True


def _read(
    client: ChainClient, read: AllocationsRead, miners: Mapping[int, int], *, key: str, now: datetime
) -> tuple[list[AllocationFacts], list[int] | None]:
    """Return the allocations, and by which clients; None: by all.  Raises NodeRefused, NodeUnavailable."""
    if read.all_due_at <= now:
        try:
            return all_allocations_read(client, providers=miners, key=key), None
        except (NodeRefused, NodeUnavailable) as error:  # hosted nodes lack it, or a list is too large for us
            log.info("all_allocations_not_read", reason=error.reason[:300])
            read.all_due_at = now + ALL_AGAIN
    clients = _clients_known()
    return allocations_of_clients_read(client, clients, providers=miners, key=key), clients


def _clients_known() -> list[int]:
    """Return clients that may have allocations for the pool's miners: of these, of pieces, our addresses."""
    known: list[int | None] = []
    known += Allocation.objects.order_by().values_list("client", flat=True).distinct()[:CLIENTS_MAX]
    pieces = Piece.objects.exclude(client=None).order_by()
    known += pieces.values_list("client", flat=True).distinct()[:CLIENTS_MAX]
    wallets = Wallet.objects.exclude(actor_id=None).order_by("-pk")
    known += wallets.values_list("actor_id", flat=True)[:CLIENTS_MAX]
    return [one for one in dict.fromkeys(known) if one is not None][:CLIENTS_MAX]


@transaction.atomic
def _write(
    facts: Collection[AllocationFacts],
    *,
    miners: Mapping[int, int],
    clients: Collection[int] | None,
    read: AllocationsRead,
    now: datetime,
) -> None:
    """Write what was read, and delete what is no more; rows of clients who were not read stay."""
    rows = Allocation.objects.all() if clients is None else Allocation.objects.filter(client__in=clients)
    known = {row.number: row for row in rows}
    new = {one.number: one for one in facts}
    same = {number for number, row in known.items() if number in new and _is_same(row, new[number], miners)}
    Allocation.objects.filter(number__in=(known.keys() | new.keys()) - same).delete()
    Allocation.objects.bulk_create(
        [
            Allocation(
                miner_id=miners[one.provider],
                number=one.number,
                client=one.client,
                piece_cid=one.piece_cid,
                size=one.size,
                term_min=one.term_min,
                term_max=one.term_max,
                expiration=one.expiration,
                seen_at=now,
            )
            for one in new.values()
            if one.number not in same
        ],
        batch_size=1_000,
    )
    read.save()


def _is_same(row: Allocation, one: AllocationFacts, miners: Mapping[int, int]) -> bool:
    """Return whether a row says what the chain does: after a reorganisation an id may be another's."""
    terms = (one.client, one.piece_cid, one.size, one.term_min, one.term_max, one.expiration)
    return miners[one.provider] == row.miner_id and terms == (
        row.client,
        row.piece_cid,
        row.size,
        row.term_min,
        row.term_max,
        row.expiration,
    )
