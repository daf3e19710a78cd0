"""PublishStorageDeals: proposals that clients signed become deals; those that cannot be kept are dropped.

Source: builtin-actors actors/market/src/lib.rs publish_storage_deals, validate_deal.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import (
    ILLEGAL_STATE,
    OK,
    ActorError,
    bad_argument,
    forbidden,
    not_found,
)
from poolsite.devnet.actors.economy import economy
from poolsite.devnet.actors.ledger import KIND_MINER, actor_get, resolve, resolve_existing
from poolsite.devnet.actors.market.deals import MarketEditor
from poolsite.devnet.actors.market.escrow import escrow_covers
from poolsite.devnet.actors.nested import nested_call, nested_send
from poolsite.devnet.actors.power import claim_total
from poolsite.devnet.actors.verified.allocations import EXPIRATION_MAX
from poolsite.devnet.actors.verified.claims import TERM_MAX
from poolsite.devnet.actors.verified.datacap import datacap_of
from poolsite.devnet.state.miner_rows import MINERS, Miner
from poolsite.filecoin.actors.account import AuthenticateMessageParams
from poolsite.filecoin.actors.account import Method as AccountMethod
from poolsite.filecoin.actors.allocations import (
    DATACAP_PER_BYTE,
    AllocationRequest,
    AllocationRequests,
    AllocationsResponse,
)
from poolsite.filecoin.actors.datacap import Method as TokenMethod
from poolsite.filecoin.actors.datacap import TransferFromParams, TransferFromReturn
from poolsite.filecoin.actors.market import (
    ClientDealProposal,
    DealProposal,
    PublishStorageDealsParams,
    PublishStorageDealsReturn,
)
from poolsite.filecoin.address import DATACAP_ACTOR, VERIFREG_ACTOR, id_address
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.deals import (
    TERM_BUFFER,
    BadDeal,
    client_lockup,
    collateral_least,
    deal_cid,
    deal_duration,
    proposal_check,
)
from poolsite.filecoin.gas_model import FAIL_STATE, publish_gas

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.address import Address

TRUE: bytes = b"\xf5"
"""What an account answers to a signature of its own."""


def publish_storage_deals(call: Call) -> bytes:
    """Handle PublishStorageDeals."""
    deals: tuple[ClientDealProposal, ...] = call.read(PublishStorageDealsParams).deals
    if not deals:
        raise bad_argument("Empty deals parameter")
    provider = _provider(call, deals[0].proposal.provider)
    call.charge_to(FAIL_STATE)
    batch = Batch(call, provider, deals[0].proposal.provider)
    valid_indexes = [at for at, deal in enumerate(deals) if batch.accept(deal)]
    allocations = batch.allocate()
    if not valid_indexes:
        raise bad_argument("All deal proposals invalid")
    editor = MarketEditor(call.draft)
    numbers = tuple(
        editor.enter(proposal, allocation=allocations.get(at)) for at, proposal in enumerate(batch.accepted)
    )
    call.charge_to(publish_gas(len(deals)))
    return to_cbor(PublishStorageDealsReturn(numbers, bitfield_of(valid_indexes)))


def _provider(call: Call, address: Address) -> int:
    """Return the miner for which the caller speaks.  Raises ActorError 16, 17, 18."""
    provider = resolve(call.draft, address)
    if provider is None:
        raise not_found(f"failed to resolve provider address {address}")
    actor = actor_get(call.draft, provider)
    if actor is None:
        raise not_found(f"no code ID for address {provider}")
    if actor.kind != KIND_MINER:
        raise bad_argument("deal provider is not a storage miner actor")
    miner: Miner = call.draft.get(MINERS, provider)
    if call.caller not in (*miner.control, miner.worker, miner.owner):
        raise forbidden(f"caller f0{call.caller} is not worker or control address of provider {provider}")
    return provider


@dataclass
class Batch:
    """The proposals of one message, checked one after the other."""

    call: Call
    provider: int
    provider_named: Address
    """The provider as the first proposal names it."""
    accepted: list[DealProposal] = field(default_factory=list)
    """What was accepted, the parties by actor number."""
    locked: dict[int, int] = field(default_factory=dict)
    """attoFIL that the accepted proposals lock, by party."""
    datacap: dict[int, int] = field(default_factory=dict)
    """Units of the token that the accepted proposals need, by client."""

    def accept(self, deal: ClientDealProposal) -> bool:
        """Accept a proposal if all that it needs is there."""
        proposal = deal.proposal
        if not _is_signed(self.call, deal) or not self._is_valid(proposal):
            return False
        if proposal.provider not in (id_address(self.provider), self.provider_named):
            return False
        client = resolve_existing(self.call.draft, proposal.client)
        if client is None:
            return False
        resolved = replace(proposal, provider=id_address(self.provider), client=id_address(client))
        needs = {client: client_lockup(resolved)}
        needs[self.provider] = needs.get(self.provider, 0) + resolved.provider_collateral
        totals = {party: self.locked.get(party, 0) + amount for party, amount in needs.items()}
        if not all(escrow_covers(self.call.draft, party, amount) for party, amount in totals.items()):
            return False
        cid = deal_cid(resolved)
        if MarketEditor(self.call.draft).is_pending(cid) or cid in map(deal_cid, self.accepted):
            return False
        if resolved.verified_deal:
            units = self.datacap.get(client, 0) + resolved.piece_size * DATACAP_PER_BYTE
            if datacap_of(self.call.draft, client) < units:
                return False
            self.datacap[client] = units
        self.locked |= totals
        self.accepted.append(resolved)
        return True

    def _is_valid(self, proposal: DealProposal) -> bool:
        try:
            proposal_check(
                proposal, now=self.call.epoch, least_collateral=_least(self.call, proposal.piece_size)
            )
        except BadDeal:
            return False
        return True

    def allocate(self) -> dict[int, int]:
        """Spend the clients' data cap on the verified deals; return allocations by index among the accepted.

        Raises ActorError if the registry refuses.
        """
        allocations: dict[int, int] = {}
        for client, units in sorted(self.datacap.items()):
            indexes = [
                at
                for at, proposal in enumerate(self.accepted)
                if proposal.verified_deal and proposal.client.actor_id == client
            ]
            requests = tuple(_allocation(self.accepted[at], self.call.epoch) for at in indexes)
            response = _datacap_transfer(self.call, client, AllocationRequests(requests, ()), units=units)
            allocations |= dict(zip(indexes, response.new_allocations, strict=True))
        return allocations


def _datacap_transfer(
    call: Call, client: int, requests: AllocationRequests, *, units: int
) -> AllocationsResponse:
    """Return a client's data cap to the registry, as the operator that the client got with it.

    Raises ActorError 20 if the token or the registry refuses.
    """
    params = TransferFromParams(id_address(client), VERIFREG_ACTOR, units, to_cbor(requests))
    try:
        returned = nested_send(
            call,
            to=DATACAP_ACTOR,
            method=TokenMethod.TRANSFER_FROM_EXPORTED,
            params=to_cbor(params),
        )
    except ActorError as error:
        text = f"failed to transfer datacap from client {client}: {error.text}"
        raise ActorError(ILLEGAL_STATE, text) from None
    response: AllocationsResponse = from_cbor(
        AllocationsResponse, from_cbor(TransferFromReturn, returned).recipient_data
    )
    return response


def _is_signed(call: Call, deal: ClientDealProposal) -> bool:
    """Check by the client's actor that the signature is its own."""
    client = resolve_existing(call.draft, deal.proposal.client)
    if client is None:
        return False
    params = AuthenticateMessageParams(deal.client_signature.data, to_cbor(deal.proposal))
    code, returned = nested_call(
        call,
        to=id_address(client),
        value=0,
        method=AccountMethod.AUTHENTICATE_MESSAGE,
        params=to_cbor(params),
    )
    return code == OK and returned == TRUE


def _least(call: Call, size: int) -> int:
    """Return the least collateral of the provider."""
    network, money = call.network, economy(call.machine)
    power = claim_total(
        call.draft,
        call.machine.profile,
        minimum=network.consensus_miner_min_power,
        minimum_miners=network.consensus_miner_min_miners,
    )
    return collateral_least(size, raw_power=power.raw, baseline=money.baseline, circulating=money.circulating)


def _allocation(proposal: DealProposal, now: int) -> AllocationRequest:
    """Return the allocation of data cap for a deal."""
    term = deal_duration(proposal)
    return AllocationRequest(
        provider=proposal.provider.actor_id,
        data=proposal.piece_cid,
        size=proposal.piece_size,
        term_min=term,
        term_max=min(term + TERM_BUFFER, TERM_MAX),
        expiration=min(proposal.start_epoch, now + EXPIRATION_MAX),
    )
