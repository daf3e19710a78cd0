"""The answers of one miner's door: each request is read, decided by the desk, and answered."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.db import Error as DatabaseError

from apps.api.mk12.documents import (
    HTTP,
    ask_request_read,
    params_read,
    proposal_build,
    response_write,
    status_request_read,
    transports_write,
)
from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient, page_client
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.reasons import code_of
from apps.market.errors import RETRY, DealRefused
from apps.market.reasons import TERM_OVER
from apps.market.selectors.client_tokens import reason_told
from apps.market.selectors.deals import deal_by_uuid, deal_message_cid, market_of, sealing_state_of
from apps.market.services.proposals import proposal_decide
from apps.market.states import DealSource, DealState
from apps.miners.selectors.miners import miner_get
from apps.users.rules.principals import SYSTEM
from apps.wallets.services.sign import bytes_sign
from poolsite.filecoin import cbor
from poolsite.filecoin.actors.market import ClientDealProposal
from poolsite.filecoin.address import ID, Address, address_parse, address_to_bytes
from poolsite.filecoin.cids import Cid, cid_of_cbor, cid_parse
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.kinds import AMOUNT
from poolsite.filecoin.signature import BadSignature, signature_encode, signature_verify
from poolsite.wire.pipeline.sealing_states import SectorState
from poolsite.wire.pipeline.snapping import SnapState

if TYPE_CHECKING:
    from apps.market.models import Deal, MinerMarket
    from apps.miners.models import Miner

log = structlog.get_logger(__name__)

ASK_TYPE: Final = "storageask"
"""How venus-wallet names what is signed."""
ASK_EPOCHS: Final = 20_160
"""An ask is good for a week of mainnet, and signed anew after half of that."""
ASK_PAUSE_S: Final = 30.0
"""After a signer that was away, so that strangers who ask hold up no proposals."""
STATUS_WORDS: Final = {
    DealState.ACCEPTED: "Accepted",
    DealState.TRANSFERRING: "Accepted",
    DealState.UNPUBLISHED: "Transferred",
    DealState.PUBLISHING: "Published",
    DealState.VERIFIED: "PublishConfirmed",
    DealState.SEALING: "AddedPiece",
    DealState.ACTIVE: "Complete",
    DealState.ENDED: "Complete",
    DealState.FAILED: "Complete",
}
"""Source: filecoin-project/boost storagemarket/types/dealcheckpoints/checkpoints.go."""
SEALING_WORDS: Final = {
    DealState.VERIFIED: "WaitDeals",
    DealState.ACTIVE: "Proving",
    DealState.ENDED: "Removed",
}
"""Sealing states of deals that are not being sealed.  Source: lotus storage/pipeline/sector_state.go."""
SECTOR_WORDS: Final[dict[str, str]] = {
    SectorState.ALLOCATED: "AddPiece",
    SectorState.PIECE_ADDED: "Packing",
    SectorState.TREE_D_BUILT: "GetTicket",
    SectorState.TICKET_ASSIGNED: "PreCommit1",
    SectorState.PC1_DONE: "PreCommit2",
    SectorState.PC2_DONE: "PreCommit2",
    SectorState.PERSISTED: "SubmitPreCommitBatch",
    SectorState.PRECOMMIT_SENT: "PreCommitBatchWait",
    SectorState.PRECOMMIT_LANDED: "WaitSeed",
    SectorState.SEED_ASSIGNED: "Committing",
    SectorState.C1_DONE: "Committing",
    SectorState.C2_DONE: "SubmitCommitAggregate",
    SectorState.COMMIT_SENT: "CommitAggregateWait",
    SectorState.COMMIT_LANDED: "FinalizeSector",
    SectorState.PROVING: "Proving",
    SnapState.PIECES_ASSIGNED: "UpdateReplica",
    SnapState.SNAP_ENCODED: "ProveReplicaUpdate",
    SnapState.SNAP_PROVED: "FinalizeReplicaUpdate",
    SnapState.SNAP_STORED: "SubmitReplicaUpdate",
    SnapState.UPDATE_SENT: "ReplicaUpdateWait",
    SnapState.UPDATE_LANDED: "UpdateActivating",
    SnapState.UPDATE_FINAL: "ReleaseSectorKey",
    SnapState.SNAPPED: "Proving",
}
"""From what has been done for a sector to what lotus calls the sector then.  Source: as above."""


@dataclass(slots=True)
class SignedAsk:
    """An ask with its signature, until its terms change or it is old."""

    terms: tuple[int, ...]
    height: int
    answer: bytes


class Door:
    """One miner's answers; called in threads."""

    def __init__(self, miner: str, *, http_addresses: tuple[bytes, ...] = ()) -> None:
        self.address = miner
        self._http = http_addresses
        self._ask: SignedAsk | None = None
        self._ask_from = 0.0
        """Until then (monotonic) no signer is asked: it was away, or refused."""

    def miner(self) -> Miner:
        """Return the miner, as it is now.  Raises MinerUnknown."""
        return miner_get(SYSTEM, self.address)

    def propose(self, request: bytes) -> bytes:
        """Return a DealResponse.  Raises BadCbor for what is no proposal."""
        params = params_read(request)
        try:
            client = page_client()
            self._provider_check(params.signed)
            key = key_address(params.signed.proposal.client, client=client)
            proposal_decide(proposal_build(params, client=key), client=client, now=clock.now())
        except DealRefused as refusal:
            return response_write(is_accepted=False, message=refusal.reason)
        except (DomainError, DatabaseError) as error:
            log.warning("proposal_not_decided", deal=str(params.uuid), reason=str(error)[:200])
            return response_write(is_accepted=False, message=RETRY)
        return response_write(is_accepted=True, message="")

    def _provider_check(self, signed: ClientDealProposal) -> None:
        """Refuse a deal with another miner.  Raises DealRefused."""
        provider = str(signed.proposal.provider)
        if provider != self.address and provider != str(self.miner().robust or ""):
            raise DealRefused(
                f"incorrect provider for deal; deal provider: {provider}, our provider: {self.address}"
            )

    def status(self, request: bytes) -> bytes:
        """Return a DealStatusResponse, to whom has the client's key.  Raises BadCbor."""
        uuid, signature = status_request_read(request)
        deal = deal_by_uuid(uuid)  # a refused one is none: its reason is for the miner's people
        blank: dict[str, Any] = {
            "DealUUID": uuid.bytes,
            "Error": "",
            "DealStatus": None,
            "IsOffline": False,
            "TransferSize": 0,
            "NBytesReceived": 0,
        }
        is_known = deal is not None and deal.proposal is not None and deal.state != DealState.REFUSED
        if deal is None or not is_known or deal.miner.address != self.address:
            return cbor.encode(blank | {"Error": f"no storage deal found with deal UUID {uuid}"})
        try:
            signature_verify(signature, address_parse(deal.client), uuid.bytes)
        except BadSignature:
            return cbor.encode(blank | {"Error": "signature verification failed"})
        return cbor.encode(blank | _status_of(deal))

    def ask(self, request: bytes) -> bytes:
        """Return an AskResponse: the miner's ask, signed by its worker, or null.  Raises BadCbor."""
        named, miner = str(ask_request_read(request)), self.miner()
        market, head = market_of(miner), head_current()
        if named not in (miner.address, str(miner.robust or "")) or not market.is_open or head is None:
            return cbor.encode({"Ask": None})
        terms = terms_of(market, miner)
        known = self._ask
        if known is None or known.terms != terms or head.height >= known.height + ASK_EPOCHS // 2:
            if time.monotonic() < self._ask_from:
                return cbor.encode({"Ask": None})
            try:
                answer = ask_sign(miner, terms=terms, height=head.height)
            except DomainError as error:
                self._ask_from = time.monotonic() + ASK_PAUSE_S
                log.warning("ask_not_signed", miner=self.address, reason=error.reason)
                return cbor.encode({"Ask": None})
            known = self._ask = SignedAsk(terms, head.height, answer)
        return known.answer

    def transports(self) -> bytes:
        """Return by which protocols data are retrieved."""
        return transports_write({HTTP: list(self._http)} if self._http else {})


def key_address(address: Address, *, client: ChainClient) -> Address:
    """Return the key of a client that names itself by its number.  Raises NodeUnavailable, DealRefused."""
    if address.protocol != ID:
        return address
    try:
        return address_parse(client.state_account_key(str(address)))
    except NodeRefused as refusal:
        raise DealRefused(f"deal signature verification failed: {refusal.reason}") from None


def terms_of(market: MinerMarket, miner: Miner) -> tuple[int, ...]:
    """Return price, price of verified data, and sizes."""
    most = min(market.most_size, miner.sector_size)
    return int(market.price), int(market.verified_price), market.least_size, most


def ask_sign(miner: Miner, *, terms: tuple[int, ...], height: int) -> bytes:
    """Return an AskResponse that the worker has signed.

    Raises SignerAway, SignerRefused, SenderNotGranted.
    """
    price, verified_price, least, most = terms
    ask = cbor.encode(
        {
            "Price": cbor.Encoded(AMOUNT.encode(price)),
            "VerifiedPrice": cbor.Encoded(AMOUNT.encode(verified_price)),
            "MinPieceSize": least,
            "MaxPieceSize": most,
            "Miner": address_to_bytes(address_parse(miner.address or "")),
            "Timestamp": height,
            "Expiry": height + ASK_EPOCHS,
            "SeqNo": height,
        }
    )
    signature = bytes_sign(
        address=address_parse(miner.worker),
        to_sign=ask,
        meta_type=ASK_TYPE,
        extra=b"",
        tenant_id=miner.tenant_id,
        asked_by=f"deals of {miner}",
    )
    signed = {"Ask": cbor.Encoded(ask), "Signature": cbor.Encoded(signature_encode(signature))}
    return cbor.encode({"Ask": signed})


def _sealing_word(deal: Deal) -> str:
    """Return how far the sector of a deal is, in lotus' words; empty where there is none."""
    if code_of(deal.reason) == TERM_OVER.code:  # its sector lives on
        return SEALING_WORDS[DealState.ACTIVE]
    if deal.state != DealState.SEALING:
        return SEALING_WORDS.get(DealState(deal.state), "")
    return SECTOR_WORDS.get(sealing_state_of(deal) or "", "")


def _status_of(deal: Deal) -> dict[str, Any]:
    """Return how far a deal is, in boost's words."""
    signed = from_cbor(ClientDealProposal, bytes(deal.proposal or b""))
    message: Cid | None = None
    if cid := deal_message_cid(deal):
        message = cid_parse(cid)
    status = {
        "Error": str(reason_told(deal)) if deal.state == DealState.FAILED else "",
        "Status": STATUS_WORDS.get(DealState(deal.state), ""),
        "SealingStatus": _sealing_word(deal),
        "Proposal": cbor.Encoded(to_cbor(signed.proposal)),
        "SignedProposalCid": cid_of_cbor(bytes(deal.proposal or b"")),
        "PublishCid": message,
        "ChainDealID": deal.chain_deal or 0,
    }
    return {
        "DealStatus": status,
        "IsOffline": deal.source == DealSource.OFFLINE,
        "TransferSize": deal.raw_size if deal.is_sized else 0,
        "NBytesReceived": 0 if deal.piece is None else deal.piece.received,
    }
