"""Who may hand out data cap, and to whom: verifiers and verified clients.

Source: builtin-actors actors/verifreg/src/lib.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.exits import bad_argument, not_found
from poolsite.devnet.actors.ledger import VERIFREG_ROOT
from poolsite.devnet.actors.verified.allocations import size_min
from poolsite.devnet.actors.verified.datacap import datacap_change, datacap_of, holder_of
from poolsite.devnet.state.rows import VERIFIERS, DataCap
from poolsite.filecoin.actors.allocations import DATACAP_PER_BYTE
from poolsite.filecoin.actors.verifreg import REMOVE_VERIFIER_PARAMS, VERIFIER_PARAMS

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call


def add_verifier(call: Call) -> bytes:
    """Handle AddVerifier: the root gives data cap to hand out."""
    params = call.read(VERIFIER_PARAMS)
    least = size_min(call.network)
    if params.allowance < least:
        raise bad_argument(
            f"Allowance {params.allowance} below minimum deal size for add verifier {params.address}"
        )
    verifier = holder_of(call, params.address)
    call.require_caller((VERIFREG_ROOT,))
    if verifier == VERIFREG_ROOT:
        raise bad_argument("Rootkey cannot be added as verifier")
    if datacap_of(call.draft, verifier):
        raise bad_argument(f"verified client f0{verifier} cannot become a verifier")
    call.draft.put(VERIFIERS, verifier, DataCap(params.allowance))
    return b""


def remove_verifier(call: Call) -> bytes:
    """Handle RemoveVerifier."""
    verifier = holder_of(call, call.read(REMOVE_VERIFIER_PARAMS).address)
    call.require_caller((VERIFREG_ROOT,))
    if call.draft.get(VERIFIERS, verifier) is None:
        raise bad_argument(f"failed to remove verifier: address not found f0{verifier}")
    call.draft.delete(VERIFIERS, verifier)
    return b""


def add_verified_client(call: Call) -> bytes:
    """Handle AddVerifiedClient: a verifier hands data cap on."""
    params = call.read(VERIFIER_PARAMS)
    if params.allowance < size_min(call.network):
        raise bad_argument(
            f"allowance {params.allowance} below MinVerifiedDealSize for add verified client {params.address}"
        )
    client = holder_of(call, params.address)
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
    datacap_change(call.draft, client, params.allowance * DATACAP_PER_BYTE)
    return b""
