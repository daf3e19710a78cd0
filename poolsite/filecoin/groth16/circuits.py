"""Names of the circuits and of the files that hold their parameters and verifying keys.

Source: filecoin-project/rust-fil-proofs storage-proofs-core/src/parameter_cache.rs, and identifier() of the
PublicParams of each circuit.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from poolsite.filecoin.merkle import BASE_ARITY, TreeShape
from poolsite.filecoin.porep.graph import DRG_PARENTS, EXPANDER_PARENTS
from poolsite.filecoin.post.parameters import PoStKind

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from poolsite.filecoin.post.parameters import PoStParameters
    from poolsite.filecoin.update.parameters import UpdateParameters

PARAMETER_VERSION = 28
"""Version of the parameters that the whole network uses."""


def verifying_key_name(circuit_id: str) -> str:
    """Return the file name of a circuit's verifying key."""
    return f"v{PARAMETER_VERSION}-{circuit_id}.vk"


def parameters_name(circuit_id: str) -> str:
    """Return the file name of a circuit's parameters."""
    return f"v{PARAMETER_VERSION}-{circuit_id}.params"


def tree_name(shape: TreeShape) -> str:
    """Return the name of a tree type in circuit ids."""
    return f"merkletree-poseidon_hasher-{BASE_ARITY}-{shape.sub}-{shape.top}"


def graph_identifier(nodes: int) -> str:
    """Return the text that stands for the graph in ids of circuits and of parent caches."""
    base = f"drgraph::BucketGraph{{size: {nodes}; degree: {DRG_PARENTS}; hasher: poseidon_hasher}}"
    return f"stacked_graph::StackedGraph{{expansion_degree: {EXPANDER_PARENTS} base_graph: {base} }}"


def porep_circuit_id(parameters: SealParameters) -> str:
    """Return the id of a PoRep circuit; the generations of one size share it."""
    tree = tree_name(parameters.shape)
    challenges = f"LayerChallenges {{ layers: {parameters.layers}, max_count: {parameters.challenges} }}"
    identifier = (
        f"layered_drgporep::PublicParams{{ graph: {graph_identifier(parameters.nodes)}, "
        f"challenges: {challenges}, tree: {tree} }}"
    )
    return f"stacked-proof-of-replication-{tree}-sha256_hasher-{_digest(identifier)}"


def post_circuit_id(parameters: PoStParameters) -> str:
    """Return the id of a PoSt circuit; in WinningPoSt each challenge counts as a sector with just one."""
    counts = (parameters.challenges, parameters.partition_sectors)
    challenges, sectors = reversed(counts) if parameters.kind is PoStKind.WINNING else counts
    identifier = (
        f"FallbackPoSt::PublicParams{{sector_size: {parameters.sector_bytes}, "
        f"challenge_count: {challenges}, sector_count: {sectors}}}"
    )
    return f"proof-of-spacetime-fallback-{tree_name(parameters.shape)}-{_digest(identifier)}"


def update_circuit_id(parameters: UpdateParameters) -> str:
    """Return the id of a SnapUp circuit."""
    identifier = f"empty_sector_update::PublicParams{{ sector_nodes: {parameters.nodes} }}"
    return f"empty-sector-update-{tree_name(parameters.shape)}-{_digest(identifier)}"


def _digest(identifier: str) -> str:
    """Return the SHA-256 of an identifier, in hex."""
    return sha256(identifier.encode()).hexdigest()
