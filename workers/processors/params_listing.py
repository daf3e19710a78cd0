"""What a host has of a circuit's Groth16 parameters; loads no kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin.groth16.keys import parameter_folder
from poolsite.filecoin.groth16.powers import POWERS_NAME, powers_lists
from poolsite.filecoin.groth16.published import PUBLISHED, file_digest
from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from workers.snark.files import (
    CircuitKind,
    converted_folder,
    is_converted,
    is_here,
    measured_seconds,
    parameters_origin,
    powers_path,
    powers_toxic_path,
    spec_for,
    toxic_path,
)

if TYPE_CHECKING:
    import argparse

    from workers.snark.files import CircuitSpec

TOXIC_WARNING: Final = (
    "TOXIC parameters: they are generated from a known seed, and anyone who knows it can forge proofs. "
    "Only for tests and private chains; public chains reject proofs made with them."
)


def parameters_list(wanted: argparse.Namespace) -> Any:
    """List the circuits of a sector size."""
    specs = [spec_named(kind, wanted.size) for kind in CircuitKind]
    return {
        "folder": str(parameter_folder()),
        "converted": str(converted_folder()),
        "circuits": [described(spec) for spec in specs],
        "aggregates": powers_described(),
    }


def described(spec: CircuitSpec) -> dict[str, Any]:
    """Return what is known of a circuit's parameters on this host."""
    path = parameter_folder() / spec.parameters_name
    return {
        "circuit": str(spec.kind),
        "sector_bytes": spec.sector_bytes,
        "id": spec.id,
        "parameters": str(path),
        "bytes": spec.file_bytes,
        "is_here": is_here(spec),
        "has_verifying_key": (parameter_folder() / spec.verifying_key_name).exists(),
        "is_converted": is_converted(spec),
        "is_toxic": toxic_path(spec).exists(),
        "origin": str(parameters_origin(spec)),
        "proof_seconds": measured_seconds(spec),
    }


def spec_named(circuit: str, size: int) -> CircuitSpec:
    """Return a circuit of a sector size.  Raises ValueError."""
    if size not in SECTOR_SIZES:
        raise ValueError(f"no circuit is registered for sectors of {size} bytes")
    return spec_for(CircuitKind(circuit), size)


def powers_described() -> dict[str, Any]:
    """Return what is known of the set-up of aggregates on this host."""
    path = powers_path()
    known = {"powers": str(path), "is_here": path.exists()}
    if not path.exists():
        return known
    proofs = min(length for _, length in powers_lists(path)) // 2
    is_published = file_digest(path) == PUBLISHED[POWERS_NAME]
    is_toxic = powers_toxic_path().exists()
    return known | {"proofs_most": proofs, "is_toxic": is_toxic, "is_published": is_published}
