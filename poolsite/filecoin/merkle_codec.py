"""Inclusion proofs as bytes (bincode) and as JSON, in the field order of rust-fil-proofs.

A proof is a variant's number (u32: 0 Single, 1 Sub, 2 Top), then its fields; a path is a vector of rows, a
row a vector of the other children and the own position (u64):

    Single      root, leaf, path
    Sub         base path, sub path, root, leaf
    Top         base path, sub path, top path, root, leaf

Source: filecoin-project/rust-fil-proofs storage-proofs-core/src/merkle/proof.rs (serde derive).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poolsite.filecoin.bincode import BadBincode, BincodeReader, u32_encode, u64_encode, vector_encode
from poolsite.filecoin.merkle import MerkleProof, PathElement
from poolsite.filecoin.scalars import NODE_BYTES

VARIANTS = ("Single", "Sub", "Top")
"""Names of the enum's variants; the number is the count of rows above the base trees."""

PATH_FIELDS = (("path",), ("base_proof", "sub_proof"), ("base_proof", "sub_proof", "top_proof"))
"""Names of the paths in each variant."""

ELEMENT_BYTES = 16
"""Shortest encoding of a path element: a count and an index."""


class BadProofJson(ValueError):
    """JSON that is not a proof as rust-fil-proofs writes it."""


def merkle_proof_encode(proof: MerkleProof) -> bytes:
    """Write `proof`: the variant's number, then root, leaf, path (Single) or the paths, root, leaf."""
    paths = _paths(proof)
    encoded = b"".join(vector_encode(map(_element_encode, path)) for path in paths)
    if len(paths) == 1:
        return u32_encode(0) + proof.root + proof.leaf + encoded
    return u32_encode(len(paths) - 1) + encoded + proof.root + proof.leaf


def merkle_proof_read(reader: BincodeReader) -> MerkleProof:
    """Read what `merkle_proof_encode` wrote.  Raises BadBincode."""
    variant = reader.u32()
    if variant == 0:
        root, leaf = reader.node(), reader.node()
        return MerkleProof(_path_read(reader), (), (), root, leaf)
    if variant >= len(VARIANTS):
        raise BadBincode(f"inclusion proof of variant {variant}")
    base, sub = _path_read(reader), _upper_path_read(reader)
    top = _upper_path_read(reader) if VARIANTS[variant] == "Top" else ()
    return MerkleProof(base, sub, top, reader.node(), reader.node())


def merkle_proof_to_json(proof: MerkleProof) -> dict[str, Any]:
    """Return the serde JSON object of `proof`."""
    paths = [{"path": [_element_to_json(element) for element in path]} for path in _paths(proof)]
    named = dict(zip(PATH_FIELDS[len(paths) - 1], paths, strict=True))
    ends = {"root": list(proof.root), "leaf": list(proof.leaf)}
    fields = ends | named if len(paths) == 1 else named | ends
    return {"data": {VARIANTS[len(paths) - 1]: fields}}


def merkle_proof_from_json(value: object) -> MerkleProof:
    """Read the object that `merkle_proof_to_json` makes.  Raises BadProofJson."""
    data = json_fields(json_fields(value, "data")["data"])
    if len(data) != 1 or next(iter(data)) not in VARIANTS:
        raise BadProofJson(f"inclusion proof of variants {sorted(data)}")
    ((variant, body),) = data.items()
    names = PATH_FIELDS[VARIANTS.index(variant)]
    fields = json_fields(body, *names, "root", "leaf")
    base, *upper = (_path_from_json(fields[name]) for name in names)
    if any(len(path) != 1 for path in upper):
        raise BadProofJson(f"{variant} proof with more or less than one row in an upper path")
    sub, top = (*upper, (), ())[:2]
    return MerkleProof(base, sub, top, json_node(fields["root"]), json_node(fields["leaf"]))


def json_fields(value: object, *names: str) -> Mapping[str, Any]:
    """Return `value` as an object; with names it must have exactly these fields.  Raises BadProofJson."""
    if not isinstance(value, dict) or (names and set(value) != set(names)):
        raise BadProofJson(f"expected an object with {', '.join(names) or 'fields'}")
    return value


def json_list(value: object) -> list[Any]:
    """Return `value` as a list.  Raises BadProofJson."""
    if not isinstance(value, list):
        raise BadProofJson(f"expected a list, got {type(value).__name__}")
    return value


def json_integer(value: object, *, bits: int) -> int:
    """Return `value` as an unsigned integer of `bits` bits.  Raises BadProofJson."""
    if type(value) is not int or not 0 <= value < 1 << bits:
        raise BadProofJson(f"expected an unsigned integer of {bits} bits")
    return value


def json_node(value: object) -> bytes:
    """Return a list of 32 byte values as bytes.  Raises BadProofJson."""
    items = json_list(value)
    if len(items) != NODE_BYTES or any(type(item) is not int or not 0 <= item < 256 for item in items):
        raise BadProofJson(f"expected {NODE_BYTES} byte values")
    return bytes(items)


def _paths(proof: MerkleProof) -> tuple[tuple[PathElement, ...], ...]:
    """Return the paths that a proof has, from the base up: one (Single), two (Sub) or three (Top)."""
    return (proof.base, *(path for path in (proof.sub, proof.top) if path))


def _element_encode(element: PathElement) -> bytes:
    """Return one row of a path: a vector of the other children, then the own position (u64)."""
    return vector_encode(element.hashes) + u64_encode(element.index)


def _path_read(reader: BincodeReader) -> tuple[PathElement, ...]:
    """Read a path: its rows from the leaf upwards.  Raises BadBincode."""
    return reader.vector(_element_read, item_bytes=ELEMENT_BYTES)


def _element_read(reader: BincodeReader) -> PathElement:
    """Read one row of a path, as `_element_encode` wrote it.  Raises BadBincode."""
    return PathElement(reader.nodes(), reader.u64())


def _upper_path_read(reader: BincodeReader) -> tuple[PathElement, ...]:
    """Return the one row of a sub or top tree.  Raises BadBincode."""
    path = _path_read(reader)
    if len(path) != 1:  # an empty one would read back as another variant
        raise BadBincode(f"{len(path)} rows in an upper path")
    return path


def _element_to_json(element: PathElement) -> dict[str, Any]:
    """Return one row of a path, each node as a list of its bytes."""
    return {"hashes": [list(node) for node in element.hashes], "index": element.index}


def _path_from_json(value: object) -> tuple[PathElement, ...]:
    """Read a path.  Raises BadProofJson."""
    elements = (
        json_fields(item, "hashes", "index") for item in json_list(json_fields(value, "path")["path"])
    )
    return tuple(
        PathElement(tuple(map(json_node, json_list(item["hashes"]))), json_integer(item["index"], bits=64))
        for item in elements
    )
