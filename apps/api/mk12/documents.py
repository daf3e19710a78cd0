"""What clients of market 1.2 send, and what they are answered, in CBOR.

Source: filecoin-project/boost storagemarket/types/{types,types_cbor_gen}.go,
storagemarket/types/legacytypes/network/types.go; deal_acceptance.go for the words of refusals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from apps.core.errors import BadValue
from apps.market.errors import DealRefused
from apps.market.rules import HEADERS_MAX, Place, Proposal
from apps.market.states import DealDoor, DealSource
from apps.pieces.data.sources import headers_check, url_check
from poolsite.filecoin import cbor
from poolsite.filecoin.actors.market import ClientDealProposal
from poolsite.filecoin.address import Address, address_format, address_from_bytes
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.cids import BadCid, cid_to_commd
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.deals import BadDeal, proposal_check
from poolsite.filecoin.fr32 import unpadded_bytes
from poolsite.filecoin.piece_cids import SizedPiece
from poolsite.filecoin.signature import BadSignature, Signature, signature_decode, signature_verify

PROPOSE: Final = ("/fil/storage/mk/1.2.1", "/fil/storage/mk/1.2.0")
STATUS: Final = "/fil/storage/status/1.2.0"
ASK: Final = "/fil/storage/ask/1.1.0"
TRANSPORTS: Final = "/fil/retrieval/transports/1.0.0"
HTTP: Final = "http"
UUID_BYTES: Final = 16
SIZE_MAX: Final = 1 << 62
"""Bytes of the largest piece that a row can hold, were there such sectors."""


@dataclass(frozen=True, slots=True)
class DealParams:
    """A proposal as it comes; its signature is not checked."""

    uuid: UUID
    is_offline: bool
    signed: ClientDealProposal
    transfer_type: str
    transfer_params: bytes
    transfer_size: int
    is_announced: bool
    removes_copy: bool
    digest: str


def _map(data: bytes, kinds: Mapping[str, type]) -> dict[str, Any]:
    """Read a map with at least these keys.  Raises BadCbor."""
    value, at = _value(data, 0)
    if at != len(data) or not isinstance(value, dict):
        raise BadCbor("the request is no map")
    return _checked(value, kinds)


def _checked(value: Any, kinds: Mapping[str, type]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadCbor("a field is no map")
    for name, kind in kinds.items():
        if type(value.get(name)) is not kind:
            raise BadCbor(f"{name} is missing, or of another type")
    return value


def _value(data: bytes, at: int, depth: int = 0) -> tuple[Any, int]:
    """Read a value whose maps may have their keys in any order, as Go's older encoders leave them."""
    major, number, end = cbor.head_read(data, at)
    if depth > cbor.MAX_DEPTH:
        raise BadCbor("nested too deeply")
    if major == cbor.MAP:
        found: dict[str, Any] = {}
        for _ in range(number):
            name, end = cbor.text_read(data, end)
            if name in found:
                raise BadCbor(f"{name[:40]!r} is there twice")
            found[name], end = _value(data, end, depth + 1)
        return found, end
    if major == cbor.ARRAY:  # read as what it is, where it is needed
        for _ in range(number):
            _, end = _value(data, end, depth + 1)
        return cbor.Encoded(data[at:end]), end
    return cbor.value_read(data, at, depth)


def params_read(data: bytes) -> DealParams:
    """Read DealParams; older clients leave out the last two keys.  Raises BadCbor."""
    row = _map(
        data,
        {"DealUUID": bytes, "IsOffline": bool, "ClientDealProposal": cbor.Encoded, "Transfer": dict},
    )
    transfer = _checked(row["Transfer"], {"Type": str, "Params": bytes, "Size": int})
    if len(row["DealUUID"]) != UUID_BYTES:
        raise BadCbor("DealUUID has not 16 bytes")
    return DealParams(
        uuid=UUID(bytes=row["DealUUID"]),
        is_offline=row["IsOffline"],
        signed=from_cbor(ClientDealProposal, bytes(row["ClientDealProposal"])),
        transfer_type=transfer["Type"],
        transfer_params=transfer["Params"],
        transfer_size=transfer["Size"],
        is_announced=row.get("SkipIPNIAnnounce") is not True,
        removes_copy=row.get("RemoveUnsealedCopy") is True,
        digest=hashlib.sha256(data).hexdigest(),
    )


def proposal_build(params: DealParams, *, client: Address) -> Proposal:
    """Return what a client asks for, whose key has this address.  Raises DealRefused."""
    terms = params.signed.proposal
    try:
        signature_verify(params.signed.client_signature, client, to_cbor(terms))
    except BadSignature as bad:
        raise DealRefused(f"deal signature verification failed: {bad}") from None
    try:
        comm_p = cid_to_commd(terms.piece_cid)
    except BadCid as bad:
        raise DealRefused(f"proposal PieceCID: {bad}") from None
    size = terms.piece_size
    if size.bit_count() != 1 or size > SIZE_MAX:
        raise DealRefused(f"proposal piece size is invalid: {size}")
    try:  # numbers that the actor never takes may not fit into a row either
        proposal_check(terms, now=0, least_collateral=0)
    except BadDeal as bad:
        raise DealRefused(f"invalid deal proposal: {bad}") from None
    if not 0 <= params.transfer_size <= unpadded_bytes(size):
        raise DealRefused(f"transfer size {params.transfer_size} does not fit into the piece of {size}")
    return Proposal(
        uuid=params.uuid,
        door=DealDoor.MK12,
        client=address_format(client),
        provider=address_format(terms.provider),
        piece=SizedPiece(comm_p, params.transfer_size),
        start_epoch=terms.start_epoch,
        duration=terms.end_epoch - terms.start_epoch,
        allocation=None,
        source=DealSource.OFFLINE if params.is_offline else DealSource.HTTP,
        signed=params.signed,
        places=() if params.is_offline else (_place(params),),
        is_indexed=True,
        is_announced=params.is_announced,
        removes_copy=params.removes_copy,
        digest=params.digest,
    )


def _place(params: DealParams) -> Place:
    """Return from where the data come.  Raises DealRefused."""
    if params.transfer_type != HTTP:
        raise DealRefused(f"unrecognized transfer type {params.transfer_type[:40]!r}")
    if not params.transfer_size:
        raise DealRefused("deal proposal has transfer size 0")
    try:
        row = json.loads(params.transfer_params)
        url, headers = row["URL"], row.get("Headers") or {}
        pairs = tuple((name, value) for name, value in headers.items())
        if not isinstance(url, str) or not all(isinstance(one, str) for pair in pairs for one in pair):
            raise DealRefused("failed to parse transfer params: URL and headers must be strings")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DealRefused(f"failed to parse transfer params: {type(error).__name__}") from None
    if len(pairs) > HEADERS_MAX:
        raise DealRefused(f"maximum {HEADERS_MAX} headers are supported per piece")
    try:
        url_check(url)
        headers_check(pairs)
    except BadValue as error:
        raise DealRefused(f"invalid url: {error.reason}") from None
    return Place(url, pairs)


def response_write(*, is_accepted: bool, message: str) -> bytes:
    """Return a DealResponse."""
    return cbor.encode({"Accepted": is_accepted, "Message": message})


def status_request_read(data: bytes) -> tuple[UUID, Signature]:
    """Read a DealStatusRequest.  Raises BadCbor."""
    row = _map(data, {"DealUUID": bytes, "Signature": bytes})
    if len(row["DealUUID"]) != UUID_BYTES:
        raise BadCbor("DealUUID has not 16 bytes")
    signature, _ = signature_decode(cbor.bytes_write(row["Signature"]), 0)
    return UUID(bytes=row["DealUUID"]), signature


def ask_request_read(data: bytes) -> Address:
    """Read an AskRequest.  Raises BadCbor, BadAddress."""
    return address_from_bytes(_map(data, {"Miner": bytes})["Miner"])


def transports_write(addresses: Mapping[str, list[bytes]]) -> bytes:
    """Return by which protocols, and where, data are retrieved."""
    rows = [{"Name": name, "Addresses": list(places)} for name, places in addresses.items()]
    return cbor.encode({"Protocols": rows})
