"""Registered seal proofs by the names that the processor protocol uses."""

from __future__ import annotations

from poolsite.filecoin.porep.parameters import GENERATIONS, SECTOR_SIZES, SealParameters, seal_parameters
from workers.processors.errors import BadInput

SEAL_PROOFS: dict[str, SealParameters] = {
    parameters.name: parameters
    for parameters in (seal_parameters(number) for number in range(len(GENERATIONS) * len(SECTOR_SIZES)))
}
"""Parameters by the name that the protocol uses, such as StackedDrg2KiBV1_1."""


def parameters_named(name: str) -> SealParameters:
    """Return the parameters of a registered proof.  Raises BadInput."""
    try:
        return SEAL_PROOFS[name]
    except KeyError:
        raise BadInput(f"unknown registered proof {name!r}") from None
