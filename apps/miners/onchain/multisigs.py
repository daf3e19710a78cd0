"""What the chain says about multisigs: signers, how many of them must approve, and what is proposed.

Source: lotus api/api_full.go MsigGetPending, StateReadState; go-state-types builtin/v18/multisig.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.chain.errors import NodeRefused
from apps.chain.node.tipsets import key_to_json
from poolsite.filecoin.actors.multisig import ProposalHashData, proposal_hash
from poolsite.filecoin.address import address_format, address_parse
from poolsite.filecoin.amounts import AttoFil

if TYPE_CHECKING:
    from apps.chain.node.client import ChainClient


@dataclass(frozen=True, slots=True)
class PendingProposal:
    """A pending transaction of a multisig, from MsigGetPending."""

    id: int
    """Number within the multisig; a reorganisation may give it to another proposal."""
    to: str
    """Receiver, in the form in which it was proposed."""
    value: int
    """attoFIL."""
    method: int
    params: bytes
    approved: tuple[str, ...]
    """f0 addresses of those who approve, the proposer first."""

    @property
    def proposer(self) -> str:
        """Return the f0 address that may cancel it."""
        return self.approved[0]

    @property
    def hash(self) -> bytes:
        """Return what names this very proposal, whatever number it has."""
        data = ProposalHashData(
            address_parse(self.proposer),
            address_parse(self.to),
            AttoFil(self.value),
            self.method,
            self.params,
        )
        return proposal_hash(data)


@dataclass(frozen=True, slots=True)
class MultisigFacts:
    """A multisig at one tipset."""

    address: str
    """f0 address."""
    signers: tuple[str, ...]
    """f0 address."""
    threshold: int
    """Approvals that a proposal needs, the proposer's included."""
    balance: int
    """attoFIL, what is locked included."""
    pending: tuple[PendingProposal, ...]
    """By number."""


def multisigs_read(client: ChainClient, addresses: Sequence[str], key: str) -> dict[str, MultisigFacts]:
    """Return the multisigs among some f0 addresses; what is another actor, or none, is left out.

    Raises NodeUnavailable.
    """
    tipset = key_to_json(key)
    states = client.call_many([("StateReadState", [address, tipset]) for address in addresses])
    found = {
        _address(address): state
        for address, state in zip(addresses, states, strict=True)
        if _is_multisig(state)
    }
    answers = client.call_many([("MsigGetPending", [address, tipset]) for address in found])
    return {
        address: _facts(address, state, answer)
        for (address, state), answer in zip(found.items(), answers, strict=True)
        if not isinstance(answer, NodeRefused)
    }


def _is_multisig(state: Any) -> bool:
    inner = {} if isinstance(state, NodeRefused) else (state or {}).get("State")
    return isinstance(inner, dict) and "NumApprovalsThreshold" in inner


def _facts(address: str, state: Any, pending: Any) -> MultisigFacts:
    inner = state["State"]
    return MultisigFacts(
        address=address,
        signers=tuple(map(_address, inner["Signers"] or ())),
        threshold=int(inner["NumApprovalsThreshold"]),
        balance=int(state["Balance"]),
        # One without a proposer cannot be named by a hash; today's actor deletes such ones.
        pending=tuple(
            sorted((_proposal(one) for one in pending or () if one["Approved"]), key=lambda one: one.id)
        ),
    )


def _proposal(entry: Any) -> PendingProposal:
    return PendingProposal(
        id=int(entry["ID"]),
        to=_address(entry["To"]),
        value=int(entry["Value"]),
        method=int(entry["Method"]),
        params=base64.b64decode(entry["Params"] or ""),
        approved=tuple(map(_address, entry["Approved"])),
    )


def _address(text: str) -> str:
    return address_format(address_parse(text))
