"""The JSON that c1 puts out and c2 takes in, as it crosses the FFI or (untagged) inside filecoin-proofs.

`vanilla_proofs` is a list of partitions, each a list of proofs by challenge; across the FFI it is wrapped in
an object whose one member is the V1 proof of the size, whatever the seal proof, and `registered_proof` says
which that is.  32 bytes are lists of 32 numbers.

Source: filecoin-project/rust-filecoin-proofs-api src/seal.rs SealCommitPhase1Output; filecoin-project/
rust-fil-proofs filecoin-proofs/src/types/mod.rs SealCommitPhase1Output.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from poolsite.filecoin.merkle_codec import (
    BadProofJson,
    json_fields,
    json_integer,
    json_list,
    json_node,
    merkle_proof_from_json,
    merkle_proof_to_json,
)
from poolsite.filecoin.porep.vanilla import ColumnProof, LabelingProof, VanillaPoRepProof

COMMITMENTS = ("comm_r", "comm_d", "replica_id", "seed", "ticket")
"""Fields after the proofs, each 32 byte values."""


@dataclass(frozen=True, slots=True)
class Commit1Output:
    """Output of c1."""

    registered_proof: str
    """Name of the seal proof; empty in the untagged form."""
    label_tag: str
    """Name of the V1 proof of the size, under which the proofs are filed; empty in the untagged form."""
    partitions: tuple[tuple[VanillaPoRepProof, ...], ...]
    """Proofs by partition and challenge."""
    comm_r: bytes
    """Commitment to the replica."""
    comm_d: bytes
    """Commitment to the data."""
    replica_id: bytes
    """Id of the replica."""
    seed: bytes
    """Interactive randomness."""
    ticket: bytes
    """Sealing randomness."""


def c1_to_json(output: Commit1Output) -> str:
    """Return the JSON text, byte for byte as serde_json writes it (no spaces)."""
    proofs: Any = [[porep_proof_to_json(proof) for proof in partition] for partition in output.partitions]
    fields: dict[str, Any] = {"vanilla_proofs": proofs}
    if output.registered_proof:
        fields = {"registered_proof": output.registered_proof, "vanilla_proofs": {output.label_tag: proofs}}
    fields |= {name: list(getattr(output, name)) for name in COMMITMENTS}
    return json.dumps(fields, separators=(",", ":"))


def c1_from_json(text: str | bytes) -> Commit1Output:
    """Read either form.  Raises BadProofJson."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadProofJson(f"c1 output is not JSON: {error}") from None
    registered_proof = label_tag = ""
    if isinstance(value, dict) and "registered_proof" in value:
        fields = json_fields(value, "registered_proof", "vanilla_proofs", *COMMITMENTS)
        tagged = json_fields(fields["vanilla_proofs"])
        if len(tagged) != 1 or not isinstance(fields["registered_proof"], str):
            raise BadProofJson("c1 output names no registered proof")
        registered_proof = fields["registered_proof"]
        ((label_tag, proofs),) = tagged.items()
    else:
        fields = json_fields(value, "vanilla_proofs", *COMMITMENTS)
        proofs = fields["vanilla_proofs"]
    partitions = tuple(
        tuple(map(porep_proof_from_json, json_list(partition))) for partition in json_list(proofs)
    )
    commitments = {name: json_node(fields[name]) for name in COMMITMENTS}
    return Commit1Output(registered_proof, label_tag, partitions, **commitments)


def porep_proof_to_json(proof: VanillaPoRepProof) -> dict[str, Any]:
    """Return the serde JSON object of one challenge's proof."""
    return {
        "comm_d_proofs": merkle_proof_to_json(proof.comm_d_proof),
        "comm_r_last_proof": merkle_proof_to_json(proof.comm_r_last_proof),
        "replica_column_proofs": {
            "c_x": _column_to_json(proof.c_x),
            "drg_parents": [_column_to_json(column) for column in proof.drg_parents],
            "exp_parents": [_column_to_json(column) for column in proof.exp_parents],
        },
        "labeling_proofs": [_labeling_to_json(labeling) for labeling in proof.labeling_proofs],
        "encoding_proof": _labeling_to_json(proof.encoding_proof),
    }


def porep_proof_from_json(value: object) -> VanillaPoRepProof:
    """Read the object that `porep_proof_to_json` makes.  Raises BadProofJson."""
    fields = json_fields(
        value,
        "comm_d_proofs",
        "comm_r_last_proof",
        "replica_column_proofs",
        "labeling_proofs",
        "encoding_proof",
    )
    columns = json_fields(fields["replica_column_proofs"], "c_x", "drg_parents", "exp_parents")
    return VanillaPoRepProof(
        comm_d_proof=merkle_proof_from_json(fields["comm_d_proofs"]),
        comm_r_last_proof=merkle_proof_from_json(fields["comm_r_last_proof"]),
        c_x=_column_from_json(columns["c_x"]),
        drg_parents=tuple(map(_column_from_json, json_list(columns["drg_parents"]))),
        exp_parents=tuple(map(_column_from_json, json_list(columns["exp_parents"]))),
        labeling_proofs=tuple(map(_labeling_from_json, json_list(fields["labeling_proofs"]))),
        encoding_proof=_labeling_from_json(fields["encoding_proof"]),
    )


def _nodes(nodes: Sequence[bytes]) -> list[list[int]]:
    """Return nodes as serde writes arrays: lists of 32 numbers."""
    return [list(node) for node in nodes]


def _column_to_json(proof: ColumnProof) -> dict[str, Any]:
    """Return a column with its path; `_h` is the null that serde makes of Rust's PhantomData."""
    column = {"index": proof.index, "rows": _nodes(proof.rows), "_h": None}
    return {"column": column, "inclusion_proof": merkle_proof_to_json(proof.inclusion)}


def _column_from_json(value: object) -> ColumnProof:
    """Read a column with its path.  Raises BadProofJson."""
    fields = json_fields(value, "column", "inclusion_proof")
    column = json_fields(fields["column"], "index", "rows", "_h")
    if column["_h"] is not None:
        raise BadProofJson("a column's _h is not null")
    return ColumnProof(
        json_integer(column["index"], bits=32),
        tuple(map(json_node, json_list(column["rows"]))),
        merkle_proof_from_json(fields["inclusion_proof"]),
    )


def _labeling_to_json(proof: LabelingProof) -> dict[str, Any]:
    """Return a labeling proof, its fields in the order of the Rust struct."""
    return {"parents": _nodes(proof.parents), "layer_index": proof.layer_index, "node": proof.node}


def _labeling_from_json(value: object) -> LabelingProof:
    """Read a labeling proof.  Raises BadProofJson."""
    fields = json_fields(value, "parents", "layer_index", "node")
    return LabelingProof(
        tuple(map(json_node, json_list(fields["parents"]))),
        json_integer(fields["layer_index"], bits=32),
        json_integer(fields["node"], bits=64),
    )
