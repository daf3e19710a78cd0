"""The built-in miner's sector of 2 KiB, sealed beforehand, and the proofs that are made of it.

`sector.json` beside this module holds the sealed sector; `make.py` made it.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from poolsite.filecoin.merkle import MerkleTree, merkle_tree, tree_arities
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.porep.replica import replica_commitment
from poolsite.filecoin.porep.sealing import nodes_of
from poolsite.filecoin.poseidon import poseidon_node
from poolsite.filecoin.post.challenges import post_randomness
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.post.proving import post_prove
from poolsite.filecoin.proof_container import window_post_container, winning_post_container
from poolsite.filecoin.sector import seal_proof

FILE: Final = Path(__file__).with_name("sector.json")


@dataclass(frozen=True, slots=True)
class PresealedSector:
    """A sealed sector with the tree over its replica."""

    miner: int
    number: int
    seal_proof: int
    comm_c: bytes
    tree_r_last: MerkleTree

    @property
    def comm_r(self) -> bytes:
        """Commitment to the replica."""
        return replica_commitment(self.comm_c, self.tree_r_last.root)

    @property
    def post_proof(self) -> int:
        """WindowPoSt type of miners of such sectors."""
        return int(seal_proof(self.seal_proof).window_post_proof)

    @property
    def winning_proof(self) -> int:
        """WinningPoSt type of such sectors."""
        return int(seal_proof(self.seal_proof).winning_post_proof)

    def window_post(self, randomness: bytes) -> bytes:
        """Return the proof bytes of a WindowPoSt over this sector alone."""
        number = self.post_proof
        proof = post_prove(
            self.tree_r_last,
            self.comm_c,
            parameters=post_parameters(number),
            randomness=post_randomness(randomness),
            sector_number=self.number,
        )
        return window_post_container(number, [proof])

    def winning_post(self, randomness: bytes) -> bytes:
        """Return the proof bytes of a WinningPoSt."""
        number = self.winning_proof
        proof = post_prove(
            self.tree_r_last,
            self.comm_c,
            parameters=post_parameters(number),
            randomness=post_randomness(randomness),
            sector_number=self.number,
        )
        return winning_post_container(number, proof)


@functools.cache
def presealed_sector() -> PresealedSector:
    """Read the shipped sector."""
    data = json.loads(FILE.read_text())
    parameters = seal_parameters(data["seal_proof"])
    tree = merkle_tree(
        nodes_of(bytes.fromhex(data["replica"])),
        arities=tree_arities(parameters.nodes, parameters.shape),
        node_hash=poseidon_node,
    )
    return PresealedSector(
        miner=data["miner"],
        number=data["number"],
        seal_proof=data["seal_proof"],
        comm_c=bytes.fromhex(data["comm_c"]),
        tree_r_last=tree,
    )
