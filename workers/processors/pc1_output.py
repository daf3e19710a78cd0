"""What pc1 gives to pc2, in the JSON that crosses the FFI of the Go programs; loads no kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.processors import codec
from workers.processors.errors import BadInput
from workers.processors.seal_proofs import parameters_named
from workers.processors.tasks import Pc1Output, StoreConfigOutput


def output_value(output: Pc1Output) -> dict[str, Any]:
    """Return the value of that JSON.

    Source: rust-filecoin-proofs-api src/seal.rs SealPreCommitPhase1Output.
    """
    tag = parameters_named(output.registered_proof).label_tag
    return {
        "registered_proof": output.registered_proof,
        "labels": {tag: {"labels": [_config_json(config) for config in output.labels], "_h": None}},
        "config": _config_json(output.config),
        "comm_d": list(output.comm_d),
    }


def output_from_value(value: Any) -> Pc1Output:
    """Read the value of that JSON.  Raises BadInput."""
    try:
        ((_, tagged),) = value["labels"].items()
        flat = value | {"labels": tagged["labels"]}
    except (TypeError, KeyError, ValueError, AttributeError):
        raise BadInput("pc1out is not an output of pc1") from None
    return codec.decode(Pc1Output, flat)


def _config_json(config: StoreConfigOutput) -> Mapping[str, Any]:
    return {
        "path": config.path,
        "id": config.id,
        "size": config.size,
        "rows_to_discard": config.rows_to_discard,
    }
