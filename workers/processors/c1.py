"""Stage c1: the vanilla proofs of the challenged nodes, checked before they are given out.

Source: rust-fil-proofs filecoin-proofs/src/api/seal.rs seal_commit_phase1;
storage-proofs-porep/src/stacked/vanilla/proof.rs prove_layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from poolsite.filecoin.porep.c1 import Commit1Output, c1_to_json
from poolsite.filecoin.porep.challenges import ChallengeSource, porep_challenges, synthetic_indices
from poolsite.filecoin.porep.parameters import ChallengeRule
from poolsite.filecoin.porep.replica import repeated_parents, replica_id
from poolsite.filecoin.porep.vanilla import ColumnProof, LabelingProof, VanillaPoRepProof
from workers.kernels import poseidon
from workers.processors import inputs
from workers.processors.errors import BadInput, BadProof, file_error
from workers.processors.layer_source import layers_of
from workers.processors.parallel import Progress, no_progress
from workers.processors.parent_cache import DRG_PARENTS, parents_at
from workers.processors.pieces import comm_d_of
from workers.processors.seal_proofs import parameters_named
from workers.processors.sector_trees import TreeC, TreeRLast
from workers.processors.self_check import porep_proofs_check
from workers.processors.synthetic import SyntheticReader
from workers.processors.tasks import C1Output, C1Task
from workers.processors.trees import binary_proof, node_bytes
from workers.storage.files import write_file
from workers.storage.mapped import tree_d_nodes
from workers.storage.sector import SectorFiles

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters


def run(task: C1Task, *, progress: Progress = no_progress) -> C1Output:
    """Open the challenged nodes of a sealed sector.

    Raises BadInput for inputs that are not those of the sector, BadFile for missing or truncated
    files, BadProof if what the files hold does not verify.
    """
    parameters = parameters_named(task.registered_proof)
    inputs.digests_check(prover_id=task.prover_id, ticket=task.ticket, seed=task.seed)
    comm_d = task.pre_commit.comm_d
    if comm_d != comm_d_of(parameters, task.piece_infos):
        raise BadInput("pieces and comm_d do not match")
    replica = replica_id(
        task.prover_id, task.sector_id, ticket=task.ticket, comm_d=comm_d, porep_id=parameters.porep_id
    )
    source = ChallengeSource(replica, task.pre_commit.comm_r, task.seed)
    files = SectorFiles(parameters, Path(task.cache_path), Path(task.replica_path))
    partitions = porep_prove(files, source, comm_d=comm_d, progress=progress)
    output = Commit1Output(
        registered_proof=parameters.name,
        label_tag=parameters.label_tag,
        partitions=partitions,
        comm_r=source.comm_r,
        comm_d=comm_d,
        replica_id=replica,
        seed=task.seed,
        ticket=task.ticket,
    )
    text = c1_to_json(output).encode()
    digest = sha256(text).digest()
    if task.c1_path is None:
        return C1Output(text.decode(), None, digest)
    write_file(Path(task.c1_path), text)
    return C1Output(None, task.c1_path, digest)


def porep_prove(
    files: SectorFiles, source: ChallengeSource, *, comm_d: bytes, progress: Progress = no_progress
) -> tuple[tuple[VanillaPoRepProof, ...], ...]:
    """Return the checked vanilla proofs of all partitions, synthetic ones out of their file."""
    parameters = files.parameters
    is_synthetic = parameters.rule is ChallengeRule.SYNTHETIC and files.synthetic_proofs.exists()
    try:
        prover = SyntheticProver(files, source) if is_synthetic else NodeProver(files)
    except OSError as error:
        raise file_error(error) from None
    roots = (comm_d, *prover.roots)
    if poseidon.hash_values(list(prover.roots)) != source.comm_r:
        raise BadProof("comm_r is not the hash of comm_c and comm_r_last: the trees belong to another sector")
    partitions = []
    for partition in range(parameters.partitions):
        challenges = porep_challenges(parameters, source, partition=partition)
        proofs = prover.prove_partition(challenges, partition)
        porep_proofs_check(proofs, replica_id=source.replica_id, roots=roots)
        partitions.append(proofs)
        progress(partition + 1, parameters.partitions)
    return tuple(partitions)


class SyntheticProver:
    """Picks the proofs that a seed asks for out of the file of synthetic proofs."""

    def __init__(self, files: SectorFiles, source: ChallengeSource) -> None:
        self.reader = SyntheticReader(files)
        self.source = source

    @property
    def roots(self) -> tuple[bytes, bytes]:
        """Return comm_c and comm_r_last."""
        return self.reader.roots[1:]

    def prove_partition(self, challenges: Sequence[int], partition: int) -> tuple[VanillaPoRepProof, ...]:
        """Return the proofs of one partition.  Raises BadProof if the file has other challenges."""
        indices = synthetic_indices(self.reader.files.parameters, self.source, partition=partition)
        proofs = tuple(map(self.reader.prove, indices))
        if tuple(proof.c_x.index for proof in proofs) != tuple(challenges):
            raise BadProof("the file of synthetic proofs belongs to another sector")
        return proofs


class NodeProver:
    """Opens nodes of one sealed sector."""

    def __init__(self, files: SectorFiles) -> None:
        self.parameters: SealParameters = files.parameters
        self.tree_d = tree_d_nodes(files)
        self.tree_c = TreeC(files)
        self.tree_r_last = TreeRLast(files)
        self.layers = layers_of(files)

    @property
    def roots(self) -> tuple[bytes, bytes]:
        """Return comm_c and comm_r_last."""
        return self.tree_c.root, self.tree_r_last.root

    def prove_partition(self, challenges: Sequence[int], _partition: int) -> tuple[VanillaPoRepProof, ...]:
        """Return the proofs of one partition."""
        return tuple(map(self.prove, challenges))

    def prove(self, challenge: int) -> VanillaPoRepProof:
        """Return the vanilla proof of one node."""
        parents = parents_at(self.parameters, challenge)
        labelings = tuple(
            self._labeling(challenge, parents, layer=layer) for layer in range(1, self.parameters.layers + 1)
        )
        return VanillaPoRepProof(
            comm_d_proof=binary_proof(self.tree_d, self.parameters.nodes, challenge),
            comm_r_last_proof=self.tree_r_last.proof(challenge),
            c_x=self._column(challenge),
            drg_parents=tuple(map(self._column, parents[:DRG_PARENTS])),
            exp_parents=tuple(map(self._column, parents[DRG_PARENTS:])),
            labeling_proofs=labelings,
            encoding_proof=labelings[-1],
        )

    def _column(self, node: int) -> ColumnProof:
        rows = tuple(node_bytes(layer[node]) for layer in self.layers)
        return ColumnProof(node, rows, self.tree_c.proof(node))

    def _labeling(self, node: int, parents: Sequence[int], *, layer: int) -> LabelingProof:
        labels = [node_bytes(self.layers[layer - 1][parent]) for parent in parents[:DRG_PARENTS]]
        if layer > 1:
            labels += [node_bytes(self.layers[layer - 2][parent]) for parent in parents[DRG_PARENTS:]]
        return LabelingProof(repeated_parents(labels), layer, node)
