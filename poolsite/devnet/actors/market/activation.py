"""Deals come into sectors and go with them: what miners tell the market.

Source: builtin-actors actors/market/src/lib.rs sector_content_changed, on_miner_sectors_terminate,
validate_deal_can_activate; FIP-0076.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import ActorError, bad_argument, forbidden, illegal_state
from poolsite.devnet.actors.frames import pay
from poolsite.devnet.actors.ledger import BURNT, MARKET, transfer
from poolsite.devnet.actors.market.deals import MarketEditor
from poolsite.devnet.actors.miner.pieces import commitment_of
from poolsite.devnet.actors.miner.state_editor import numbers_of
from poolsite.devnet.state.deal_rows import SectorDeals, sector_deals_of
from poolsite.filecoin.actors.batch import BatchReturn, FailCode
from poolsite.filecoin.actors.market_deals import (
    ActivatedDeal,
    BatchActivateDealsParams,
    BatchActivateDealsReturn,
    OnMinerSectorsTerminateParams,
    SectorContentChangedParams,
    SectorContentChangedReturn,
    SectorDealActivation,
)
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cbor import BadCbor, uint_read
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.deals import DEAL_EXPIRED, deal_cid
from poolsite.filecoin.sector import BadProofType, seal_proof

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.tables import Draft
    from poolsite.filecoin.actors.market import DealProposal
    from poolsite.filecoin.actors.market_deals import PieceChange, SectorChanges
    from poolsite.filecoin.actors.market_deals import SectorDeals as SectorDealsParams
    from poolsite.filecoin.cids import Cid


NO_ALLOCATION: Final = 0
"""Stands for the allocation of a deal without data cap."""


def sector_content_changed(call: Call) -> bytes:
    """Handle SectorContentChanged: each piece that names a deal of its own activates it."""
    call.require_miner()
    sectors: tuple[SectorChanges, ...] = call.read(SectorContentChangedParams).sectors
    editor = MarketEditor(call.draft)
    verdicts = tuple(
        tuple(_accept(call, editor, sector, piece=piece) for piece in sector.added) for sector in sectors
    )
    return to_cbor(SectorContentChangedReturn(verdicts))


def _accept(call: Call, editor: MarketEditor, sector: SectorChanges, *, piece: PieceChange) -> bool:
    """Activate the deal that a piece names; False if it names none that can be."""
    try:
        number, end = uint_read(piece.payload, 0)
        if end != len(piece.payload):
            return False
        proposal = editor.proposal_or_fail(number)
        deal_check(proposal, provider=call.caller, sector_end=sector.minimum_commitment_epoch, now=call.epoch)
    except BadCbor:
        return False
    except ActorError:
        return False
    if editor.progress(number) is not None or not editor.is_pending(deal_cid(proposal)):
        return False
    if (piece.data, piece.size) != (proposal.piece_cid, proposal.piece_size):
        return False
    editor.activate(number, provider=call.caller, sector=sector.sector, epoch=call.epoch)
    return True


def batch_activate_deals(call: Call) -> bytes:
    """Handle BatchActivateDeals: a sector's deals begin all or none.  Raises ActorError 18."""
    call.require_miner()
    params: BatchActivateDealsParams = call.read(BatchActivateDealsParams)
    editor, activated = MarketEditor(call.draft), set[int]()
    failures, activations = [], []
    for at, sector in enumerate(params.sectors):
        try:
            deals = _activatable(call, editor, sector, activated=activated)
        except ActorError as error:
            failures.append(FailCode(at, error.code))
            continue
        activations.append(_begin(call, editor, sector, deals=deals, compute_cid=params.compute_cid))
        activated.update(sector.deal_ids)
    results = BatchReturn(len(activations), tuple(failures))
    return to_cbor(BatchActivateDealsReturn(results, tuple(activations)))


def _activatable(
    call: Call, editor: MarketEditor, sector: SectorDealsParams, *, activated: set[int]
) -> list[DealProposal]:
    """Return the deals of a sector, all of which can begin in it.  Raises ActorError 16, 17, 18, 20, 32."""
    if len(set(sector.deal_ids)) != len(sector.deal_ids):
        raise bad_argument("failed to activate sector, duplicate deal")
    deals = []
    for number in sector.deal_ids:
        if number in activated:
            raise bad_argument(f"failed to activate sector, duplicated deal {number}")
        proposal = editor.proposal_or_fail(number)
        deal_check(proposal, provider=call.caller, sector_end=sector.sector_expiry, now=call.epoch)
        if editor.progress(number) is not None:
            raise bad_argument(f"deal {number} already activated")
        if not editor.is_pending(deal_cid(proposal)):
            raise illegal_state(f"deal {deal_cid(proposal)} is not in pending set")
        deals.append(proposal)
    return deals


def _begin(
    call: Call,
    editor: MarketEditor,
    sector: SectorDealsParams,
    *,
    deals: list[DealProposal],
    compute_cid: bool,
) -> SectorDealActivation:
    """Activate a sector's deals.  Raises ActorError 16 for a proof that no sector has."""
    activated = []
    for number, proposal in zip(sector.deal_ids, deals, strict=True):
        row = editor.deal(number)
        allocation = (row.allocation if row else None) or NO_ALLOCATION
        activated.append(
            ActivatedDeal(proposal.client.actor_id, allocation, proposal.piece_cid, proposal.piece_size)
        )
        editor.activate(number, provider=call.caller, sector=sector.sector_number, epoch=call.epoch)
    cid = deals_commitment(deals, sector.sector_type) if compute_cid and deals else None
    return SectorDealActivation(tuple(activated), cid)


def deals_commitment(deals: Sequence[DealProposal], seal_proof_type: int) -> Cid:
    """CommD of a sector that holds these deals.  Raises ActorError 16."""
    try:
        size = seal_proof(seal_proof_type).sector_size
    except BadProofType as error:
        raise bad_argument(f"sector size unknown: {error}") from None
    return commd_cid(commitment_of([(deal.piece_cid, deal.piece_size) for deal in deals], size))


def deal_check(proposal: DealProposal, *, provider: int, sector_end: int, now: int) -> None:
    """Refuse a deal that cannot begin in a sector.  Raises ActorError 16, 18, 32."""
    if proposal.provider != id_address(provider):
        raise forbidden(f"proposal has provider {proposal.provider}, must be f0{provider}")
    if now > proposal.start_epoch:
        text = f"proposal start epoch {proposal.start_epoch} has already elapsed at {now}"
        raise ActorError(DEAL_EXPIRED, text)
    if proposal.end_epoch > sector_end:
        raise bad_argument(f"proposal expiration {proposal.end_epoch} exceeds sector expiration {sector_end}")


def on_miner_sectors_terminate(call: Call) -> bytes:
    """Handle OnMinerSectorsTerminate."""
    call.require_miner()
    params = call.read(OnMinerSectorsTerminateParams)
    lost = _collateral_lost(call.draft, call.caller, numbers_of(params.sectors), epoch=params.epoch)
    pay(call.machine, MARKET, BURNT, lost)
    return b""


def sectors_deals_end(draft: Draft, provider: int, sectors: Iterable[int], *, epoch: int) -> None:
    """End the deals of sectors that were terminated: clients are refunded, the provider's collateral burns.

    Deals that are over already stay until somebody settles them.  Raises ActorError 16, 20.
    """
    transfer(draft, MARKET, BURNT, _collateral_lost(draft, provider, sectors, epoch=epoch))


def _collateral_lost(draft: Draft, provider: int, sectors: Iterable[int], *, epoch: int) -> int:
    """End the deals of sectors; gives what their provider loses."""
    editor, lost = MarketEditor(draft), 0
    table = sector_deals_of(provider)
    for sector in sectors:
        row: SectorDeals | None = draft.get(table, sector)
        draft.delete(table, sector)
        for number in row.deals if row else ():
            lost += _deal_end(editor, number, provider=provider, epoch=epoch)
    return lost


def _deal_end(editor: MarketEditor, number: int, *, provider: int, epoch: int) -> int:
    proposal = editor.proposal(number)
    if proposal is None or proposal.end_epoch <= epoch:
        return 0
    if proposal.provider != id_address(provider):
        raise illegal_state(f"caller f0{provider} is not the provider {proposal.provider} of deal {number}")
    progress = editor.progress(number)
    if progress is None:
        raise bad_argument(f"no state for deal {number}")
    return editor.terminate(number, proposal, progress, epoch=epoch)
