from __future__ import annotations

from dataclasses import replace

import pytest

from poolsite.filecoin.merkle import (
    BadMerkleProof,
    PathElement,
    TreeShape,
    binary_arities,
    merkle_proof_check,
    merkle_prove,
    merkle_tree,
    tree_arities,
)
from poolsite.filecoin.sha254 import sha254_node

CASES = {
    "binary": binary_arities(16),
    "8-0-0": tree_arities(64, TreeShape()),
    "8-2-0": tree_arities(16, TreeShape(sub=2)),
    "8-8-0": tree_arities(64, TreeShape(sub=8)),
    "8-8-2": tree_arities(128, TreeShape(sub=8, top=2)),
}


def leaves_of(arities):
    count = 1
    for part in arities:
        for arity in part:
            count *= arity
    return [bytes([at]) * 32 for at in range(count)]


@pytest.mark.parametrize("arities", list(CASES.values()), ids=list(CASES))
def test_every_leaf_of_a_tree_is_proven_at_its_place_only(arities):
    leaves = leaves_of(arities)
    tree = merkle_tree(leaves, arities=arities, node_hash=sha254_node)

    for index, leaf in enumerate(leaves):
        proof = merkle_prove(tree, index)
        assert proof.leaf == leaf
        merkle_proof_check(proof, index, arities=arities, root=tree.root, node_hash=sha254_node)
        with pytest.raises(BadMerkleProof):
            merkle_proof_check(proof, index ^ 1, arities=arities, root=tree.root, node_hash=sha254_node)
    assert tree.leaves == len(leaves)


def test_arities_follow_the_registered_sizes():
    assert tree_arities(64, TreeShape()) == ((8, 8), (), ())
    assert tree_arities(1 << 30, TreeShape(sub=8)) == ((8,) * 9, (8,), ())
    assert tree_arities(1 << 31, TreeShape(sub=8, top=2)) == ((8,) * 9, (8,), (2,))


def test_leaves_that_do_not_fill_the_shape_are_refused():
    with pytest.raises(ValueError, match="do not fill"):
        tree_arities(128, TreeShape())


def tampered_proofs(proof):
    first = proof.base[0]
    yield replace(proof, leaf=bytes(32))
    yield replace(proof, root=bytes(32))
    yield replace(proof, base=proof.base[1:])
    yield replace(proof, base=(*proof.base, first))
    yield replace(proof, base=(replace(first, hashes=first.hashes[1:]), *proof.base[1:]))
    yield replace(proof, base=(replace(first, hashes=(bytes(32), *first.hashes[1:])), *proof.base[1:]))
    yield replace(proof, base=(replace(first, index=first.index + 8), *proof.base[1:]))
    yield replace(proof, sub=())
    yield replace(proof, top=(PathElement((bytes(32),), 0), *proof.top))


def test_every_changed_part_of_a_proof_is_refused():
    arities = CASES["8-8-2"]
    tree = merkle_tree(leaves_of(arities), arities=arities, node_hash=sha254_node)

    for tampered in tampered_proofs(merkle_prove(tree, 77)):
        with pytest.raises(BadMerkleProof):
            merkle_proof_check(tampered, 77, arities=arities, root=tree.root, node_hash=sha254_node)
