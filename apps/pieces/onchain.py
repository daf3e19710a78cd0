"""What the chain says of the terms of a piece: its allocation in the registry, its deal in the market."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.chain.node.tipsets import key_to_json
from apps.core.marked_texts import gettext
from apps.pieces.errors import TermsMissing
from apps.pieces.models import Piece
from poolsite.filecoin.address import BadAddress, address_parse


class NodeCaller(Protocol):
    """Answers single calls: a client of the pool's nodes, or answers that were read before."""

    def call(self, method: str, /, *params: Any) -> Any:
        """Return the answer of `Filecoin.<method>`.  Raises NodeRefused."""


class TermsAnswers:
    """What the chain says of the allocations and deals of many pieces, asked in few requests."""

    def __init__(self, client: ChainClient, pieces: Iterable[Piece], *, key: str) -> None:
        calls = [call for piece in pieces for call in _calls(piece, key=key)]
        answers = client.call_many([(method, params) for method, *params in calls])
        self._answers = {repr(call): answer for call, answer in zip(calls, answers, strict=True)}

    def call(self, *call: Any) -> Any:
        """Return the answer to one of these calls.  Raises NodeRefused."""
        answer = self._answers[repr(call)]
        if isinstance(answer, NodeRefused):
            raise answer
        return answer


def terms_refusal(client: NodeCaller, piece: Piece, *, height: int, key: str) -> str:
    """Return why the chain would not take a piece under its terms; empty if it would.

    Source: damocles damocles-manager/modules/impl/commitmgr/check.go checkPieces; builtin-actors
    actors/verifreg/src/lib.rs claim_allocations.
    """
    try:
        return terms_look_up(client, piece, height=height, key=key)[0]
    except (NodeRefused, TermsMissing) as refusal:
        return refusal.reason


def terms_look_up(client: NodeCaller, piece: Piece, *, height: int, key: str) -> tuple[str, dict[str, int]]:
    """Return why a piece's terms are good no more; else an empty text, and its terms as columns of its row.

    Raises NodeRefused, TermsMissing.
    """
    if piece.start_epoch is not None and piece.start_epoch <= height:
        reason = gettext("it had to be active by epoch {start_epoch}, which has passed")
        return reason.format(start_epoch=piece.start_epoch), {}
    parts = []
    if piece.allocation is not None and piece.client is not None:
        reason, row = _allocation_look_up(client, piece, height=height, key=key)
        if reason:
            return reason, {}
        parts.append(_allocation_terms(row))
    if piece.deal is not None:
        reason, row = _deal_look_up(client, piece, height=height, key=key)
        if reason:
            return reason, {}
        parts.append(_deal_terms(row))
    return "", _joined(parts)


def terms_read(client: NodeCaller, piece: Piece, *, key: str) -> dict[str, int]:
    """Return a piece's terms as columns of its row; those that the chain does not know are left out.

    Raises NodeRefused.
    """
    parts = []
    if piece.allocation is not None and piece.client is not None:
        row = client.call(*_allocation_call(piece, key=key))
        if row is not None:
            parts.append(_allocation_terms(row))
    if piece.deal is not None:
        row = client.call(*_deal_call(piece, key=key))["Proposal"]
        parts.append(_deal_terms(row))
    return _joined(parts)


def expired_allocation_read(client: NodeCaller, piece: Piece, *, height: int, key: str) -> str:
    """Return the name of a piece's allocation if it can never be claimed any more; else an empty text.

    One that the chain lacks was removed after its end, or has been claimed, or a reorganisation took it: it
    counts as expired by the end that was read before.  Raises NodeRefused.
    Source: builtin-actors actors/verifreg/src/lib.rs can_claim_alloc, remove_expired_allocations.
    """
    row = client.call(*_allocation_call(piece, key=key))
    if row is not None:
        is_over = int(row["Expiration"]) <= height
    else:  # of a deal's piece the end may be the deal's
        is_over = piece.deal is None and piece.terms_epoch is not None and piece.terms_epoch <= height
    return _allocation_name(piece) if is_over else ""


def _allocation_name(piece: Piece) -> str:
    return gettext("allocation {allocation} of f0{client}").format(
        allocation=piece.allocation, client=piece.client
    )


def _calls(piece: Piece, *, key: str) -> list[tuple[Any, ...]]:
    """Return the calls, method and parameters, that tell a piece's terms."""
    is_allocated = piece.allocation is not None and piece.client is not None
    allocation = [_allocation_call(piece, key=key)] if is_allocated else []
    return allocation if piece.deal is None else [*allocation, _deal_call(piece, key=key)]


def _allocation_call(piece: Piece, *, key: str) -> tuple[Any, ...]:
    return ("StateGetAllocation", f"f0{piece.client}", piece.allocation, key_to_json(key))


def _deal_call(piece: Piece, *, key: str) -> tuple[Any, ...]:
    return ("StateMarketStorageDeal", piece.deal, key_to_json(key))


def _allocation_terms(row: dict[str, Any]) -> dict[str, int]:
    return {
        "term_min": int(row["TermMin"]),
        "term_max": int(row["TermMax"]),
        "terms_epoch": int(row["Expiration"]),
    }


def _deal_terms(row: dict[str, Any]) -> dict[str, int]:
    return {"end_epoch": int(row["EndEpoch"]), "terms_epoch": int(row["StartEpoch"])}


def _joined(parts: list[dict[str, int]]) -> dict[str, int]:
    """Join the terms of an allocation and a deal: the piece is to be active before the first of them ends."""
    terms = {name: value for part in parts for name, value in part.items()}
    return terms | ({"terms_epoch": min(part["terms_epoch"] for part in parts)} if parts else {})


def _allocation_look_up(client: NodeCaller, piece: Piece, *, height: int, key: str) -> tuple[str, Any]:
    name = _allocation_name(piece)
    try:
        row = client.call(*_allocation_call(piece, key=key))
    except NodeRefused as refusal:
        raise NodeRefused(refusal.rpc_code, f"{name}: {refusal.reason}") from None
    if row is None:
        raise TermsMissing(gettext("{name} does not exist").format(name=name))
    if int(row["Provider"]) != piece.miner.actor_id:
        return gettext("{name} is for f0{provider}").format(name=name, provider=row["Provider"]), row
    if int(row["Expiration"]) <= height:
        reason = gettext("{name} expired at epoch {expiration}")
        return reason.format(name=name, expiration=row["Expiration"]), row
    return _other_data(name, piece, cid=row["Data"], size=row["Size"]), row


def _deal_look_up(client: NodeCaller, piece: Piece, *, height: int, key: str) -> tuple[str, Any]:
    name = gettext("deal {deal}").format(deal=piece.deal)
    try:
        row = client.call(*_deal_call(piece, key=key))["Proposal"]
        provider = address_parse(row["Provider"]).actor_id
    except NodeRefused as refusal:
        if f"deal {piece.deal} not found" in refusal.reason:  # lotus chain/stmgr/actors.go GetStorageDeal
            raise TermsMissing(gettext("{name} does not exist").format(name=name)) from None
        raise NodeRefused(refusal.rpc_code, f"{name}: {refusal.reason}") from None
    except BadAddress:
        provider = None
    if provider != piece.miner.actor_id:
        return gettext("{name} is for {provider}").format(name=name, provider=row["Provider"]), row
    if int(row["StartEpoch"]) <= height:
        reason = gettext("{name} had to be active by epoch {start_epoch}")
        return reason.format(name=name, start_epoch=row["StartEpoch"]), row
    return _other_data(name, piece, cid=row["PieceCID"], size=row["PieceSize"]), row


def _other_data(name: str, piece: Piece, *, cid: Any, size: Any) -> str:
    if cid["/"] != piece.piece_cid or int(size) != piece.padded_size:
        return gettext("{name} is for {cid} of {size} bytes").format(name=name, cid=cid["/"], size=size)
    return ""
