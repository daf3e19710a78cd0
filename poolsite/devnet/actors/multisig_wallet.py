"""A multisig's state as its calls find it: whose wallet, who may sign, how many must."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import bad_argument, forbidden, illegal_state
from poolsite.devnet.state.rows import MULTISIGS, Multisig

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call

MAX_SIGNERS: Final = 256


def threshold_check(threshold: int, signers: int) -> None:
    """Raise ActorError unless so many approvals of so many signers are possible."""
    if threshold > signers:
        raise bad_argument("must not require more approvals than signers")
    if threshold < 1:
        raise bad_argument("must require at least one approval")


def wallet_of(call: Call) -> Multisig:
    """Return the wallet that is called.  Raises ActorError."""
    wallet: Multisig | None = call.draft.get(MULTISIGS, call.receiver)
    if wallet is None:
        raise illegal_state("no such multisig")
    return wallet


def wallet_for_signer(call: Call) -> Multisig:
    """Return the wallet that is called, if one of its signers calls.  Raises ActorError."""
    wallet = wallet_of(call)
    if call.caller not in wallet.signers:
        raise forbidden(f"f0{call.caller} is not a signer")
    return wallet


def calling_wallet(call: Call) -> Multisig:
    """Return the wallet that is called, if it calls itself, through a proposal.  Raises ActorError."""
    call.require_caller((call.receiver,))
    return wallet_of(call)
