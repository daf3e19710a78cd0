"""What ends a round before its block is submitted: errors and the outcomes that they mean."""

from __future__ import annotations

from typing import Final

from apps.blocks.errors import BaseChanged, SlashGuard
from apps.blocks.reasons import EPOCH_ENDED, FAULT_REFUSED
from apps.blocks.rounds.providers import ProofRefused, ProofTimeout
from apps.blocks.states import RoundState
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.core.errors import DomainError
from apps.core.reasons import Reason, refused
from apps.gateway.errors import SignerAway, SignerRefused

FAULT_TEXT: Final = "fault"
"""In a signer's refusal of a header beside which another one was signed."""


OUTCOMES: Final[tuple[tuple[type[Exception], RoundState], ...]] = (
    (SignerAway, RoundState.SIGNER_AWAY),
    (SignerRefused, RoundState.SIGNER_REFUSED),
    (ProofTimeout, RoundState.PROOF_TIMEOUT),
    (ProofRefused, RoundState.PROOF_REFUSED),
    (NodeUnavailable, RoundState.NODE_AWAY),
    (NodeRefused, RoundState.NODE_REFUSED),
    (SlashGuard, RoundState.SLASH_GUARD),
    (BaseChanged, RoundState.BASE_CHANGED),
    (TimeoutError, RoundState.LATE),
)


def outcome_of(error: Exception) -> tuple[RoundState, Reason | str]:
    """Return the outcome that an error means, and its words."""
    reason = error.reason if isinstance(error, DomainError) else ""
    if isinstance(error, SignerRefused) and FAULT_TEXT in reason:
        return RoundState.SLASH_GUARD, FAULT_REFUSED(reason=refused(error))
    found = next(state for kind, state in OUTCOMES if isinstance(error, kind))
    return found, refused(error) if isinstance(error, DomainError) else EPOCH_ENDED()


FAILURES: Final = tuple(kind for kind, _ in OUTCOMES)
