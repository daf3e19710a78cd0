"""Proposals of clients: checked in the providers' order, accepted with room for their data, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.db import IntegrityError, transaction

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core.disk import DiskFull
from apps.core.errors import NotReachable
from apps.core.live import Change, publish
from apps.core.locks import transaction_lock
from apps.core.reasons import Reason
from apps.core.reasons import refused as reason_refused
from apps.core.transitions import advance
from apps.market.errors import DealBusy, DealRefused
from apps.market.models import Deal, MinerMarket
from apps.market.onchain import AllocationTerms, Balances, allocation_read, proposal_balances_read
from apps.market.reasons import BYTES_WAIT, CLIENT_WAITS, DEALS_WAIT, FREE_WAIT, QUOTA_FULL
from apps.market.rules import (
    PUBLISH_EPOCHS,
    Facts,
    Proposal,
    allocation_check,
    client_check,
    market_check,
    published_check,
    size_check,
    start_check,
    terms_check,
    ulid_encode,
)
from apps.market.selectors.deals import (
    Use,
    coming_bytes,
    deal_by_uuid,
    deal_identical,
    deal_of_allocation,
    market_of,
    miner_ids_of_pool,
    miner_of_provider,
    use_read,
)
from apps.market.services.deal_filter import proposal_filter
from apps.market.services.transfers import UPLOAD_WAIT
from apps.market.services.trimming import deals_tidy
from apps.market.states import ClientsRule, DealSource, DealState
from apps.miners.models import Miner
from apps.pieces.data.files import room_require
from apps.pieces.models import Piece
from apps.pieces.selectors import storage_use
from apps.sectors.rules.lifetimes import lifetime_refusal
from apps.sectors.selectors.first_epochs import first_deal_epoch
from apps.users.rules.encryption import text_encrypt
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.deals import client_lockup

log = structlog.get_logger(__name__)

BEGIN_WAIT: Final = timedelta(hours=6)
"""Until then the first bytes of an upload must have come."""
IMPORT_WAIT: Final = timedelta(days=60)
"""The same of data that come on disks."""
WAITS: Final = {
    DealSource.HTTP: UPLOAD_WAIT,
    DealSource.PUT: BEGIN_WAIT,
    DealSource.OFFLINE: IMPORT_WAIT,
}
"""For so long an accepted deal is kept without data."""


ACCEPT_LOCK: Final = 0x4D59
"""Lock class of accepting: money of a client, and room on the disk, are promised to all tenants' miners."""


def proposal_decide(proposal: Proposal, *, client: ChainClient, now: datetime) -> Deal:
    """Return the deal that a proposal made; the same proposal again is the same deal.

    A refusal by the miner's rules leaves a row that says why, and nothing else.  Raises DealRefused,
    NotReachable, NodeUnavailable, NodeRefused.
    """
    known = deal_by_uuid(proposal.uuid)
    if known is not None and known.state != DealState.REFUSED:
        return _repeated(known, proposal)
    miner = miner_of_provider(proposal.provider)
    if miner is None:
        raise DealRefused("Provider not available in this pool")
    if known is not None and (known.client, known.miner_id) != (proposal.client, miner.pk):
        raise DealRefused("deal with this identifier already exists")
    market = market_of(miner)
    try:
        market_check(proposal, market=market)
        size_check(proposal, market=market, sector_size=miner.sector_size)
        client_check(proposal.client, market=market)
        head = head_current()
        if head is None:
            raise NotReachable("the chain's head is not known yet")
        allocation = _checked(proposal, miner, market, head, client)
        balances = _balances(proposal, miner, head, client)
        if market.filter_target:  # it is asked about what all other rules allow
            _use_check(proposal, miner, market, balances)
        unfiltered = proposal_filter(proposal, miner=miner, market=market)
        return _accept(
            proposal,
            miner,
            market,
            allocation=allocation,
            balances=balances,
            known=known,
            now=now,
            reason=unfiltered,
        )
    except DealRefused as refusal:
        if market.is_open:
            _refusal_note(proposal, miner, refusal, known=known, now=now)
        raise


def _repeated(known: Deal, proposal: Proposal) -> Deal:
    """Return the deal that a proposal repeats.  Raises DealRefused for another one of the same name."""
    if known.digest != proposal.digest or known.client != proposal.client:
        raise DealRefused("deal with this identifier already exists")
    if known.state in (DealState.FAILED, DealState.ENDED):
        raise DealRefused(f"deal with this identifier is over: {known.reason or known.state.lower()}")
    return known


def _checked(
    proposal: Proposal, miner: Miner, market: MinerMarket, head: Head, client: ChainClient
) -> AllocationTerms | None:
    """Refuse what the chain and this farm's speed do not allow; return the allocation."""
    allocation = (
        None
        if proposal.allocation is None
        else allocation_read(client, owner=proposal.client, number=proposal.allocation)
    )
    network = network_current()
    size = coming_bytes(miner) + proposal.padded_size
    first = first_deal_epoch(miner, height=head.height, network=network, waiting_bytes=size)
    facts = Facts(
        height=head.height,
        first_epoch=first + (PUBLISH_EPOCHS if proposal.signed else 0),
        least_duration=network.min_sector_expiration,
        longest_term=network.max_sector_expiration_extension,
        allocation=allocation,
        pool_miners=() if allocation is None else miner_ids_of_pool(),
        life_refusal=lifetime_refusal(
            [_piece_like(proposal, allocation)], height=head.height, network=network
        ),
    )
    start_check(proposal, market=market, facts=facts)
    if proposal.allocation is not None:
        allocation_check(proposal, provider=miner.actor_id or 0, facts=facts)
    terms_check(proposal, market=market, facts=facts)
    return allocation


def _balances(proposal: Proposal, miner: Miner, head: Head, client: ChainClient) -> Balances | None:
    """Return what both sides have at the market actor; None for a deal that it does not hold.

    What accepted deals will lock is not taken off yet.
    """
    if proposal.signed is None:
        return None
    terms = proposal.signed.proposal
    return proposal_balances_read(
        client,
        client=proposal.client,
        miner=miner.address or "",
        size=terms.piece_size,
        is_verified=terms.verified_deal,
        head=head,
    )


def _piece_like(proposal: Proposal, allocation: AllocationTerms | None) -> Piece:
    """Return an unwritten piece with the terms of a proposal."""
    if allocation is None:
        end = None if proposal.signed is None else proposal.signed.proposal.end_epoch
        return Piece(start_epoch=proposal.start_epoch, term_min=proposal.duration, end_epoch=end)
    return Piece(
        start_epoch=proposal.start_epoch,
        term_min=allocation.term_min,
        term_max=allocation.term_max,
        terms_epoch=allocation.expiration,
    )


def _accept(
    proposal: Proposal,
    miner: Miner,
    market: MinerMarket,
    *,
    allocation: AllocationTerms | None,
    balances: Balances | None,
    known: Deal | None,
    now: datetime,
    reason: Reason | str,
) -> Deal:
    """Write the deal, with what is to be said of it, if there is room for its data.  Raises DealBusy."""
    wait = WAITS[DealSource(proposal.source)]
    values = _columns(proposal) | {
        "client_id": None if allocation is None else allocation.client,
        "places": text_encrypt(json.dumps([[one.url, one.headers] for one in proposal.places])),
        "data_until": now + wait,
        "reason": reason,
        "state_since": now,
    }
    try:
        with transaction.atomic():
            transaction_lock(ACCEPT_LOCK, [""])
            _use_check(proposal, miner, market, balances)
            if known is None:
                deal = Deal.objects.create(
                    uuid=proposal.uuid, miner=miner, state=DealState.ACCEPTED, **values
                )
            else:
                deal = known
                advance(deal, "ACCEPT", **values, updated_at=now)
            publish(Change("deal", str(deal.uuid), miner.tenant_id))
    except IntegrityError:  # the same proposal came twice at once
        again = deal_by_uuid(proposal.uuid)
        if again is None:
            raise
        return _repeated(again, proposal)
    log.info("deal_accepted", deal=str(deal.uuid), miner=str(miner), client=proposal.client)
    return deal


def _use_check(proposal: Proposal, miner: Miner, market: MinerMarket, balances: Balances | None) -> None:
    """Refuse what there is no room or money for beside other deals.  Raises DealRefused, DealBusy."""
    use = use_read(miner, client=proposal.client)
    _room_check(proposal, miner, market, use=use)
    _money_check(proposal, balances, use=use)


def _room_check(proposal: Proposal, miner: Miner, market: MinerMarket, *, use: Use) -> None:
    """Refuse what the miner has no room for now.  Raises DealBusy."""
    size = proposal.raw_size
    try:
        room_require(use.pool_promised_bytes + size)
    except DiskFull as full:
        raise DealBusy(reason_refused(full)) from None
    if use.client_deals >= market.client_deals:
        raise DealBusy(CLIENT_WAITS(count=use.client_deals))
    if use.deals >= market.waiting_deals:
        raise DealBusy(DEALS_WAIT(count=use.deals))
    is_stranger = market.clients_rule != ClientsRule.ONLY
    if proposal.is_free and is_stranger and use.free_deals >= max(market.waiting_deals // 2, 1):
        raise DealBusy(FREE_WAIT(count=use.free_deals))
    if market.waiting_bytes and use.raw_bytes + size > market.waiting_bytes:
        raise DealBusy(BYTES_WAIT(size=use.raw_bytes))
    if not storage_use(miner.tenant_id).has_room(use.promised_bytes + size):
        raise DealBusy(QUOTA_FULL())


def _money_check(proposal: Proposal, balances: Balances | None, *, use: Use) -> None:
    """Refuse what would not be published, or repeats another deal.  Raises DealRefused, DealBusy."""
    if proposal.allocation is not None:
        other = deal_of_allocation(proposal.client, proposal.allocation)
        if other is not None and other.uuid != proposal.uuid:  # it may be sent twice at once
            raise DealRefused(
                f"Allocation {proposal.allocation} is already used by deal {ulid_encode(other.uuid)}"
            )
    if proposal.signed is None or balances is None:
        return
    same = deal_identical(proposal.cid)
    if same is not None and same.uuid != proposal.uuid:
        raise DealRefused(f"deal proposal is identical to deal {same.uuid}")
    cap = balances.data_cap
    left = replace(
        balances,
        data_cap=None if cap is None else cap - use.client_cap_reserved,
        client_free=balances.client_free - use.client_reserved,
        miner_free=balances.miner_free - use.miner_reserved,
    )
    published_check(proposal, balances=left)


def _refusal_note(
    proposal: Proposal, miner: Miner, refusal: DealRefused, *, known: Deal | None, now: datetime
) -> None:
    """Write down why a proposal was refused; the oldest ones of a miner make room."""
    cause = refusal.cause if isinstance(refusal, DealBusy) else reason_refused(refusal)
    values = _columns(proposal) | {"reason": cause, "state_since": now}
    with transaction.atomic():
        if known is not None:
            advance(known, "REFUSE", **values, updated_at=now)
        else:
            Deal.objects.bulk_create(
                [Deal(uuid=proposal.uuid, miner=miner, state=DealState.REFUSED, **values)],
                ignore_conflicts=True,
            )
            deals_tidy(miner, state=DealState.REFUSED)
        publish(Change("deal", str(proposal.uuid), miner.tenant_id))


def _columns(proposal: Proposal) -> dict[str, Any]:
    signed = proposal.signed
    published = (
        {}
        if signed is None
        else {
            "proposal": to_cbor(signed),
            "proposal_cid": proposal.cid,
            "price": signed.proposal.storage_price_per_epoch,
            "collateral": signed.proposal.provider_collateral,
            "lockup": client_lockup(signed.proposal),
        }
    )
    return {
        **published,
        "is_verified": proposal.is_verified,
        "door": proposal.door,
        "digest": proposal.digest,
        "client": proposal.client,
        "piece_cid": proposal.piece_cid,
        "padded_size": proposal.padded_size,
        "raw_size": proposal.raw_size,
        "is_sized": bool(proposal.piece.payload_size),
        "allocation": proposal.allocation,
        "start_epoch": proposal.start_epoch,
        "duration": proposal.duration,
        "is_indexed": proposal.is_indexed,
        "is_announced": proposal.is_announced,
        "removes_copy": proposal.removes_copy,
        "source": proposal.source,
    }
