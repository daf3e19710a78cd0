"""Which form of proof this pool makes for a network: nothing is pledged or sent where it makes none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.chain.errors import NetworkUnknown
from apps.chain.selectors import network_current
from apps.sectors.errors import ProofFormMissing
from poolsite.filecoin.policy import ProofForm

if TYPE_CHECKING:
    from poolsite.filecoin.policy import Network

FORMS_MADE: Final = frozenset({ProofForm.VANILLA})
"""What the pool's provers make today."""


def proof_form_for(network: Network) -> ProofForm:
    """Give the form of proof that the pool makes for a network.  Raises ProofFormMissing."""
    if network.proof_form not in FORMS_MADE:
        raise ProofFormMissing(network.name, network.proof_form)
    return network.proof_form


def can_prove(network: Network) -> bool:
    """Tell whether the pool makes the proofs that a network takes."""
    return network.proof_form in FORMS_MADE


def can_prove_here() -> bool:
    """Tell whether the pool makes the proofs of its own network, as far as that is known."""
    network = _network_here()
    return network is None or can_prove(network)


def proof_form_here_require() -> None:
    """Refuse work on the pool's own network that ends in a proof.  Raises ProofFormMissing."""
    network = _network_here()
    if network is not None:
        proof_form_for(network)


def _network_here() -> Network | None:
    try:
        return network_current()
    except NetworkUnknown:
        return None
