"""The container of aggregated proofs as an aggregator writes it; the pool sends none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.filecoin.proof_container import Container, ContainerKind, container_encode

if TYPE_CHECKING:
    from collections.abc import Sequence


def aggregate_container(seal_proof: int, proofs: Sequence[bytes]) -> bytes:
    """Write the PoRep containers of several sectors as one, in the order of the sectors."""
    return container_encode(Container(ContainerKind.AGGREGATE, seal_proof, (tuple(proofs),)))
