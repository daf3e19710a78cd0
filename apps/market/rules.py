"""What follows from a proposal, the miner's rules and the chain's facts: why it is refused.

In the order, and in the words, of Curio market/mk20/mk20.go sanitizeDDODeal.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.market.errors import DealBusy, DealRefused, RefusalKind
from apps.market.models import MinerMarket
from apps.market.onchain import AllocationTerms, Balances
from apps.market.reasons import COLLATERAL_SHORT
from apps.market.states import ClientsRule
from poolsite.filecoin.actors.market import ClientDealProposal
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.deals import BadDeal, client_lockup, deal_cid, proposal_check
from poolsite.filecoin.fr32 import unpadded_bytes
from poolsite.filecoin.piece_cids import SizedPiece
from poolsite.filecoin.sizes import GIB

SEAL_LOOKBACK: Final = 900
"""Epochs.  Source: lotus chain/actors/policy SealRandomnessLookback (ChainFinality)."""
CONFIRM_EPOCHS: Final = 10
"""So much later the number of a published deal is taken to stay.

Source: boost node/config PublishDealsConfidence, 2 * MessageConfidence.
"""
PUBLISH_EPOCHS: Final = CONFIRM_EPOCHS + 2
"""From the epoch in which a publish message lands to that at which its data go into a sector."""
HEADERS_MAX: Final = 10
"""HTTP headers of a URL."""
ULID_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID: Final = re.compile(f"[0-7][{ULID_LETTERS}]{{25}}")


@dataclass(frozen=True, slots=True)
class Place:
    """A URL of the client's, with the headers that it wants to be sent there."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A client's proposal to a miner, from any door; its signature has been checked."""

    uuid: UUID
    door: str
    client: str
    provider: str
    piece: SizedPiece
    """Of what is published the place may be larger than its tree; 0 raw bytes: the client does not say."""
    start_epoch: int | None
    duration: int
    allocation: int | None
    source: str
    signed: ClientDealProposal | None = None
    """What is published; None of deals that the market actor does not hold."""
    places: tuple[Place, ...] = ()
    is_indexed: bool = False
    is_announced: bool = False
    removes_copy: bool = False
    """Whether the client wants no unsealed copy kept of what is in a sector."""
    digest: str = ""

    @property
    def piece_cid(self) -> str:
        """The commitment as the chain has it."""
        return str(self.piece.cid if self.signed is None else self.signed.proposal.piece_cid)

    @property
    def cid(self) -> str:
        """Return the CID of what is published, whatever address names a party; empty if nothing is.

        The market actor compares proposals by their parties' actors.
        """
        if self.signed is None:
            return ""
        terms = replace(
            self.signed.proposal, client=address_parse(self.client), provider=address_parse(self.provider)
        )
        return str(deal_cid(terms))

    @property
    def is_free(self) -> bool:
        """Return whether it costs its client neither money nor data cap."""
        if self.signed is None:
            return self.allocation is None
        return not self.signed.proposal.verified_deal and client_lockup(self.signed.proposal) == 0

    @property
    def padded_size(self) -> int:
        """Bytes of its place in a sector."""
        return self.piece.padded_size if self.signed is None else self.signed.proposal.piece_size

    @property
    def raw_size(self) -> int:
        """Raw bytes, or the most that there may be where the client does not say."""
        return self.piece.payload_size or unpadded_bytes(self.padded_size)

    @property
    def is_verified(self) -> bool:
        """Return whether it is paid by data cap: it names an allocation, or publishing makes one."""
        if self.signed is None:
            return self.allocation is not None
        return self.signed.proposal.verified_deal


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts of the chain and the farm against which a proposal is checked."""

    height: int
    first_epoch: int | None
    """The first at which data that come now can be active; None: not known."""
    least_duration: int
    longest_term: int
    """Epochs that a sector can be extended at most."""
    allocation: AllocationTerms | None
    pool_miners: Collection[int]
    """Actor ids of the pool's miners."""
    life_refusal: str
    """Why no new sector lives as long as asked; empty if one does."""


def market_check(proposal: Proposal, *, market: MinerMarket) -> None:
    """Refuse what the miner takes in no case.  Raises DealRefused."""
    if not market.is_open:
        raise DealRefused("provider is disabled", kind=RefusalKind.BAD_PRODUCT)
    if proposal.source not in market.sources:
        raise DealRefused(
            f"data source {proposal.source} is not enabled", kind=RefusalKind.UNSUPPORTED_SOURCE
        )


def size_check(proposal: Proposal, *, market: MinerMarket, sector_size: int) -> None:
    """Refuse a piece that is too large or too small.  Raises DealRefused."""
    size = proposal.padded_size
    if size > sector_size:
        raise DealRefused("Deal size is larger than the miner's sector size")
    if size > market.most_size:
        raise DealRefused(
            f"piece size {size} is larger than the maximum of {market.most_size}", kind=RefusalKind.REJECTED
        )
    if size < market.least_size:
        raise DealRefused(
            f"piece size {size} is smaller than the minimum of {market.least_size}", kind=RefusalKind.REJECTED
        )


def is_client_accepted(client: str, *, market: MinerMarket) -> bool:
    """Return whether a miner makes deals with a client."""
    if market.clients_rule == ClientsRule.ANYBODY:
        return True
    return (client in market.clients) == (market.clients_rule == ClientsRule.ONLY)


def client_check(client: str, *, market: MinerMarket) -> None:
    """Refuse a client with whom the miner makes no deals.  Raises DealRefused."""
    if not is_client_accepted(client, market=market):
        raise DealRefused(
            "Client is not allowed to make deal with this provider", kind=RefusalKind.UNAUTHORIZED
        )


def start_check(proposal: Proposal, *, market: MinerMarket, facts: Facts) -> None:
    """Refuse a start that has passed, that this farm cannot meet, or that is too far away.

    Raises DealRefused.
    """
    start = proposal.start_epoch
    if start is None:
        return
    if start < facts.height:
        raise DealRefused("Start epoch is less than the current chain height")
    first = max(facts.first_epoch or 0, facts.height) + market.start_wait
    if start < first:
        raise DealRefused(
            "Start epoch is less than the current chain height plus the expected PoRep seal duration: "
            f"it must be {first} or later"
        )
    if market.start_within and start > facts.height + market.start_within:
        raise DealRefused(
            f"Start epoch is more than {market.start_within} epochs after the current chain height",
            kind=RefusalKind.REJECTED,
        )


def allocation_check(proposal: Proposal, *, provider: int, facts: Facts) -> None:
    """Refuse an allocation that is not for these data at this miner.  Raises DealRefused."""
    found = facts.allocation
    if found is None:
        raise DealRefused("Verified piece must have a valid allocation ID")
    if found.provider not in facts.pool_miners:
        raise DealRefused("Allocation provider does not belong to the list of miners of this pool")
    if found.provider != provider:
        raise DealRefused("Allocation provider is not the provider of the deal")
    if found.piece_cid != proposal.piece_cid:
        raise DealRefused("Allocation data CID does not match the piece CID")
    if found.size != proposal.piece.padded_size:
        raise DealRefused("Allocation size does not match the piece size")
    _term_check(proposal, found, facts)


def _term_check(proposal: Proposal, found: AllocationTerms, facts: Facts) -> None:
    """Refuse a duration or a start that does not fit the allocation."""
    if found.term_min > facts.longest_term - SEAL_LOOKBACK:
        raise DealRefused("Allocation term min is greater than the maximum sector expiration extension")
    if found.term_min > proposal.duration:
        raise DealRefused("Allocation term min is greater than deal duration")
    if found.term_max < proposal.duration:
        raise DealRefused("Allocation term max is less than deal duration")
    if proposal.start_epoch is not None and found.expiration < proposal.start_epoch:
        raise DealRefused("Allocation expiration is less than deal start epoch")
    if found.expiration <= max(facts.height, facts.first_epoch or 0):
        raise DealRefused("Allocation expiration is less than the expected PoRep seal duration from now")


def terms_check(proposal: Proposal, *, market: MinerMarket, facts: Facts) -> None:
    """Refuse a duration that no sector keeps, and what pays less than is asked for.  Raises DealRefused."""
    is_verified = proposal.is_verified
    if not is_verified and proposal.duration < facts.least_duration:
        raise DealRefused(f"duration must be at least {facts.least_duration}", kind=RefusalKind.TOO_SHORT)
    if facts.life_refusal:
        raise DealRefused(facts.life_refusal)
    if market.is_verified_only and not is_verified:
        raise DealRefused("provider only accepts verified deals", kind=RefusalKind.REJECTED)
    least_price = _fee(market.verified_price if is_verified else market.price, proposal.padded_size)
    # Without the market actor nothing is paid on chain.
    offered = 0 if proposal.signed is None else proposal.signed.proposal.storage_price_per_epoch
    if offered < least_price:
        raise DealRefused(
            f"storage price per epoch less than asking price: {offered} < {least_price}",
            kind=RefusalKind.REJECTED,
        )


COLLATERAL_FACTOR: Final = 2
"""Most times the chain's least collateral that a miner locks for a deal.

Clients offer 1.2 times; a stranger could otherwise have all of a miner's money locked, and burnt.
Source: lotus markets/storageadapter/provider.go defaultMaxProviderCollateralMultiplier.
"""
COLLATERAL_ALWAYS: Final = 10**15
"""attoFIL that may be locked where the least is next to nothing: small pieces, young networks."""


def published_check(proposal: Proposal, *, balances: Balances) -> None:
    """Refuse what the market actor would not publish.  Raises DealRefused, DealBusy.

    Source: boost storagemarket/deal_acceptance.go.
    """
    if proposal.signed is None:
        return
    terms = proposal.signed.proposal
    try:
        proposal_check(terms, now=balances.height, least_collateral=balances.least_collateral)
    except BadDeal as bad:
        raise DealRefused(f"invalid deal proposal: {bad}") from None
    most = max(COLLATERAL_FACTOR * balances.least_collateral, COLLATERAL_ALWAYS)
    if terms.provider_collateral > most:
        raise DealRefused(
            f"proposed provider collateral above maximum: {terms.provider_collateral} > {most}",
            kind=RefusalKind.REJECTED,
        )
    if not balances.is_client_known:
        raise DealRefused("client address is not on chain", kind=RefusalKind.REJECTED)
    if balances.client_free < client_lockup(terms):
        raise DealRefused(
            f"clientMarketBalance.Available too small: {balances.client_free} < {client_lockup(terms)}",
            kind=RefusalKind.REJECTED,
        )
    if balances.data_cap is not None and balances.data_cap < terms.piece_size:
        raise DealRefused(
            "verified deal DataCap too small for proposed piece size", kind=RefusalKind.REJECTED
        )
    if balances.miner_free < terms.provider_collateral:
        raise DealBusy(
            COLLATERAL_SHORT(
                collateral=fil_format(terms.provider_collateral), free=fil_format(balances.miner_free)
            )
        )


def _fee(price: int, size: int) -> int:
    """Return attoFIL per epoch for so many padded bytes.  Source: boost storagemarket/deal_acceptance.go."""
    return price * size // GIB


def ulid_decode(text: str) -> UUID:
    """Return the 128 bits of a ULID, as market 2.0 names its deals.  Raises ValueError."""
    name = text.upper()
    if not ULID.fullmatch(name):
        raise ValueError(f"{text[:40]} is no ULID")
    number = 0
    for letter in name:
        number = number * 32 + ULID_LETTERS.index(letter)
    return UUID(int=number)


def ulid_encode(key: UUID) -> str:
    """Return the ULID of 128 bits."""
    return "".join(ULID_LETTERS[key.int >> shift & 31] for shift in range(125, -1, -5))


def headers_read(lines: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Read HTTP headers as people write them, `Name: value`; empty lines are none.  Raises BadValue."""
    found = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon:
            raise BadValue(gettext("a header is written as Name: value"), field="headers")
        found.append((name.strip(), value.strip()))
    if len(found) > HEADERS_MAX:
        raise BadValue(gettext("at most {most} headers").format(most=HEADERS_MAX), field="headers")
    return tuple(found)


def chain_path(peer_id: str) -> str:
    """Return the path of a peer's advertisements, before `/ipni/v1/ad/…`: Curio has the same."""
    return f"/ipni-provider/{peer_id}"
