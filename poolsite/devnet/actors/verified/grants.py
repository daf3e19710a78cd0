"""Who may hand out data cap, and to whom: verifiers and verified clients.

Source: builtin-actors actors/verifreg/src/lib.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import bad_argument, not_found
from poolsite.devnet.actors.ledger import VERIFREG, VERIFREG_ROOT
from poolsite.devnet.actors.nested import nested_send
from poolsite.devnet.actors.verified.allocations import size_min
from poolsite.devnet.actors.verified.datacap import datacap_of
from poolsite.devnet.state.verified_rows import REMOVALS, VERIFIERS, Count, DataCap
from poolsite.filecoin.actors.account import AuthenticateMessageParams
from poolsite.filecoin.actors.account import Method as AccountMethod
from poolsite.filecoin.actors.allocations import DATACAP_PER_BYTE
from poolsite.filecoin.actors.datacap import DestroyParams, MintParams
from poolsite.filecoin.actors.datacap import Method as TokenMethod
from poolsite.filecoin.actors.verifreg import (
    RemoveDataCapParams,
    RemoveDataCapRequest,
    RemoveDataCapReturn,
    RemoveVerifierParams,
    VerifierParams,
    removal_signed,
)
from poolsite.filecoin.address import DATACAP_ACTOR, MARKET_ACTOR, id_address
from poolsite.filecoin.codec import to_cbor

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call


def add_verifier(call: Call) -> bytes:
    """Handle AddVerifier: the root gives data cap to hand out."""
    params = call.read(VerifierParams)
    least = size_min(call.network)
    if params.allowance < least:
        raise bad_argument(
            f"Allowance {params.allowance} below minimum deal size for add verifier {params.address}"
        )
    verifier = call.id_of(params.address)
    call.require_caller((VERIFREG_ROOT,))
    if verifier == VERIFREG_ROOT:
        raise bad_argument("Rootkey cannot be added as verifier")
    if datacap_of(call.draft, verifier):
        raise bad_argument(f"verified client f0{verifier} cannot become a verifier")
    call.draft.put(VERIFIERS, verifier, DataCap(params.allowance))
    return b""


def remove_verifier(call: Call) -> bytes:
    """Handle RemoveVerifier."""
    verifier = call.id_of(call.read(RemoveVerifierParams).address)
    call.require_caller((VERIFREG_ROOT,))
    if call.draft.get(VERIFIERS, verifier) is None:
        raise bad_argument(f"failed to remove verifier: address not found f0{verifier}")
    call.draft.delete(VERIFIERS, verifier)
    return b""


def add_verified_client(call: Call) -> bytes:
    """Handle AddVerifiedClient: a verifier hands data cap on."""
    params = call.read(VerifierParams)
    if params.allowance < size_min(call.network):
        raise bad_argument(
            f"allowance {params.allowance} below MinVerifiedDealSize for add verified client {params.address}"
        )
    client = call.id_of(params.address)
    if client == VERIFREG_ROOT:
        raise bad_argument("root cannot be added as a verified client")
    verifier: DataCap | None = call.draft.get(VERIFIERS, call.caller)
    if verifier is None:
        raise not_found(f"caller f0{call.caller} is not a verifier")
    if call.draft.get(VERIFIERS, client) is not None:
        raise bad_argument(f"verifier f0{client} cannot be added as a verified client")
    if verifier.amount < params.allowance:
        raise bad_argument(f"Add more DataCap {params.allowance} for client than allocated {verifier.amount}")
    call.draft.put(VERIFIERS, call.caller, DataCap(verifier.amount - params.allowance))
    mint_params = MintParams(id_address(client), params.allowance * DATACAP_PER_BYTE, (MARKET_ACTOR,))
    nested_send(
        call,
        to=DATACAP_ACTOR,
        method=TokenMethod.MINT_EXPORTED,
        params=to_cbor(mint_params),
        failing=f"failed to mint {params.allowance} data cap to client f0{client}",
    )
    return b""


def remove_data_cap(call: Call) -> bytes:
    """Handle RemoveVerifiedClientDataCap: the root takes what two verifiers signed for.

    Raises ActorError 16, 17, 18.
    """
    params: RemoveDataCapParams = call.read(RemoveDataCapParams)
    client = call.id_of(params.verified_client_to_remove)
    requests = (params.verifier_request1, params.verifier_request2)
    verifiers = [call.id_of(request.verifier) for request in requests]
    if verifiers[0] == verifiers[1]:
        raise bad_argument("need two different verifiers to send remove datacap request")
    call.require_caller((VERIFREG_ROOT,))
    if params.verified_client_to_remove == id_address(VERIFREG):
        raise bad_argument("cannot remove data cap from verified registry itself")
    for verifier in verifiers:
        if call.draft.get(VERIFIERS, verifier) is None:
            raise not_found(f"f0{verifier} is not a verifier")
    amount = params.data_cap_amount_to_remove
    for verifier, request in zip(verifiers, requests, strict=True):
        proposal_id = _proposal_use(call, verifier, client)
        signed = removal_signed(id_address(client), amount, proposal_id=proposal_id)
        _signature_check(call, request, signed)
    removed = min(datacap_of(call.draft, client) // DATACAP_PER_BYTE, amount)
    nested_send(
        call,
        to=DATACAP_ACTOR,
        method=TokenMethod.DESTROY_EXPORTED,
        params=to_cbor(DestroyParams(id_address(client), removed * DATACAP_PER_BYTE)),
        failing=f"failed to destroy {removed} from allowance for f0{client}",
    )
    return to_cbor(RemoveDataCapReturn(id_address(client), removed))


def _proposal_use(call: Call, verifier: int, client: int) -> int:
    """Return the number of a verifier's next request to take from a client, which then is used."""
    row: Count | None = call.draft.get(REMOVALS, (verifier, client))
    number = 0 if row is None else row.number
    call.draft.put(REMOVALS, (verifier, client), Count(number + 1))
    return number


def _signature_check(call: Call, request: RemoveDataCapRequest, signed: bytes) -> None:
    """Check by the verifier's account that it signed.  Raises ActorError with the account's code."""
    check = AuthenticateMessageParams(request.verifier_signature.data, signed)
    nested_send(
        call,
        to=request.verifier,
        method=AccountMethod.AUTHENTICATE_MESSAGE,
        params=to_cbor(check),
        failing="proposal authentication failed",
    )
