"""Messages of the miner actor about its beneficiary: who gets what is withdrawn, and until when.

Without another one the owner is the beneficiary, without limits.  Another one has a quota and an expiration,
once either is reached nothing can be withdrawn until the owner changes the terms.

Source: go-state-types builtin/v18/miner/miner_types.go; builtin-actors
actors/miner/src/{types,beneficiary}.rs; FIP-0029.
"""

from __future__ import annotations

from dataclasses import dataclass

from poolsite.filecoin.address import Address
from poolsite.filecoin.codec import Int64, TokenAmount, cbor_tuple


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ChangeBeneficiaryParams:
    """Propose a beneficiary or new terms (sent by the owner), or approve them.

    Takes effect once the current beneficiary and the proposed one have approved; the current one's approval
    is not needed when its term has expired or its quota is used up.
    """

    new_beneficiary: Address
    """Who receives withdrawals; an approval must repeat the proposal's three values."""
    new_quota: TokenAmount
    """Total that may be withdrawn under the term, attoFIL; positive, or 0 where the owner is the
    beneficiary."""
    new_expiration: Int64
    """First epoch in which the term no longer counts; 0 where the owner is the beneficiary."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BeneficiaryTerm:
    """How much may be withdrawn to a beneficiary that is not the owner, and until when."""

    quota: TokenAmount
    """Total that may be withdrawn, attoFIL; 0 where the owner is the beneficiary."""
    used_quota: TokenAmount
    """Withdrawn so far, attoFIL; back to 0 when the beneficiary changes."""
    expiration: Int64
    """First epoch in which nothing can be withdrawn any more; 0 where the owner is the beneficiary."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ActiveBeneficiary:
    """The beneficiary that withdrawals go to now."""

    beneficiary: Address
    """f0 address; the owner's unless another was set."""
    term: BeneficiaryTerm
    """How much may be withdrawn to it, and until when."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PendingBeneficiaryChange:
    """A proposed change of beneficiary that lacks an approval."""

    new_beneficiary: Address
    """f0 address."""
    new_quota: TokenAmount
    """Total that may be withdrawn under the new term, attoFIL."""
    new_expiration: Int64
    """First epoch in which the new term no longer counts."""
    approved_by_beneficiary: bool
    """The current beneficiary approved, or its term had run out when the change was proposed."""
    approved_by_nominee: bool
    """The proposed beneficiary approved."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetBeneficiaryReturn:
    """The beneficiary and a proposed change of it."""

    active: ActiveBeneficiary
    """In force until a proposal has all approvals."""
    proposed: PendingBeneficiaryChange | None
    """Null without a proposal."""
