from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.bincode import BadBincode, BincodeReader, u32_encode
from poolsite.filecoin.merkle import (
    MerkleProof,
    PathElement,
    TreeShape,
    merkle_prove,
    merkle_tree,
    tree_arities,
)
from poolsite.filecoin.merkle_codec import (
    BadProofJson,
    merkle_proof_encode,
    merkle_proof_from_json,
    merkle_proof_read,
    merkle_proof_to_json,
)
from poolsite.filecoin.sha254 import sha254_node

SHAPES = {"Single": (64, TreeShape()), "Sub": (16, TreeShape(sub=2)), "Top": (128, TreeShape(sub=8, top=2))}


def proof_of(variant):
    count, shape = SHAPES[variant]
    leaves = [bytes([at]) * 32 for at in range(count)]
    return merkle_prove(merkle_tree(leaves, arities=tree_arities(count, shape), node_hash=sha254_node), 13)


def read_whole(data):
    reader = BincodeReader(data)
    proof = merkle_proof_read(reader)
    reader.finish()
    return proof


@pytest.mark.parametrize("variant", SHAPES)
def test_a_proof_comes_back_from_its_bytes_and_its_json(variant):
    proof = proof_of(variant)
    value = json.loads(json.dumps(merkle_proof_to_json(proof)))

    assert list(value["data"]) == [variant]
    assert merkle_proof_from_json(value) == proof
    assert read_whole(merkle_proof_encode(proof)) == proof


NODE = st.binary(min_size=32, max_size=32)
ELEMENT = st.builds(PathElement, st.lists(NODE, max_size=7).map(tuple), st.integers(0, (1 << 64) - 1))
ROW = ELEMENT.map(lambda element: (element,))
PATH = st.lists(ELEMENT, max_size=3).map(tuple)
UPPER = st.one_of(st.just(((), ())), st.tuples(ROW, st.just(())), st.tuples(ROW, ROW))


@given(base=PATH, upper=UPPER, root=NODE, leaf=NODE)
def test_any_proof_comes_back_from_its_bytes_and_its_json(base, upper, root, leaf):
    sub, top = upper
    proof = MerkleProof(base, sub, top, root, leaf)

    assert read_whole(merkle_proof_encode(proof)) == proof
    assert merkle_proof_from_json(json.loads(json.dumps(merkle_proof_to_json(proof)))) == proof


@pytest.mark.parametrize("variant", SHAPES)
def test_every_truncated_prefix_is_refused(variant):
    data = merkle_proof_encode(proof_of(variant))

    for length in range(len(data)):
        with pytest.raises(BadBincode):
            read_whole(data[:length])


def test_an_unknown_variant_is_refused():
    with pytest.raises(BadBincode):
        read_whole(u32_encode(3) + bytes(200))


def test_an_upper_path_without_a_row_is_refused():
    empty = u32_encode(1) + bytes(8) + bytes(8) + bytes(64)

    with pytest.raises(BadBincode, match="upper path"):
        read_whole(empty)


MALFORMED = {
    "not an object": lambda value: [],
    "another field": lambda value: value | {"more": 1},
    "two variants": lambda value: {"data": value["data"] | {"Sub": {}}},
    "unknown variant": lambda value: {"data": {"Quad": value["data"]["Single"]}},
    "leaf too short": lambda value: _changed(value, "leaf", [0] * 31),
    "leaf of big numbers": lambda value: _changed(value, "leaf", [256] * 32),
    "leaf of booleans": lambda value: _changed(value, "leaf", [True] * 32),
    "leaf as text": lambda value: _changed(value, "leaf", "0" * 32),
    "path without list": lambda value: _changed(value, "path", {"path": 5}),
    "negative index": lambda value: _changed(value, "path", {"path": [{"hashes": [], "index": -1}]}),
    "index as text": lambda value: _changed(value, "path", {"path": [{"hashes": [], "index": "1"}]}),
}


def _changed(value, field, content):
    changed = copy.deepcopy(value)
    changed["data"]["Single"][field] = content
    return changed


@pytest.mark.parametrize("change", list(MALFORMED.values()), ids=list(MALFORMED))
def test_malformed_json_is_refused(change):
    with pytest.raises(BadProofJson):
        merkle_proof_from_json(change(merkle_proof_to_json(proof_of("Single"))))


def test_an_upper_path_of_two_rows_is_refused_in_json():
    value = merkle_proof_to_json(proof_of("Sub"))
    value["data"]["Sub"]["sub_proof"]["path"] *= 2

    with pytest.raises(BadProofJson):
        merkle_proof_from_json(value)
