"""Stage snap_prove: the proof of an updated replica that goes on chain.

Our container of vanilla proofs or Groth16 proofs, as `snark_choice` says; the vanilla ones are checked first.

Source: rust-fil-proofs filecoin-proofs/src/api/update.rs generate_partition_proofs;
storage-proofs-update/src/vanilla.rs prove.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.filecoin.proof_container import update_container, update_fits_message
from poolsite.filecoin.scalars import SCALAR_MODULUS
from poolsite.filecoin.update.challenges import update_challenges
from poolsite.filecoin.update.vanilla import UpdateChallengeProof, VanillaUpdateProof
from poolsite.filecoin.update.verification import UpdatePublicInputs
from workers.kernels import poseidon
from workers.processors import inputs
from workers.processors.errors import BadProof, file_error
from workers.processors.parallel import Progress, no_progress
from workers.processors.seal_proofs import parameters_named
from workers.processors.sector_trees import TreeRLast
from workers.processors.self_check import data_paths_lead_to_roots, paths_lead_to_roots
from workers.processors.snap import Encoding, encoding_of, update_parameters_of
from workers.processors.snap_tasks import SnapProveOutput, SnapProveTask
from workers.processors.snark import update_snark
from workers.processors.snark_choice import takes_groth16
from workers.processors.trees import binary_proof, node_bytes
from workers.snark.files import update_spec
from workers.storage.mapped import tree_d_nodes
from workers.storage.sector import SectorFiles


def run(task: SnapProveTask, *, progress: Progress = no_progress) -> SnapProveOutput:
    """Return the proofs of all partitions.  Raises BadFile, BadInput, BadProof, TemporaryError."""
    parameters = parameters_named(task.registered_proof)
    commitments = {name: getattr(task, name) for name in ("comm_r_old", "comm_r_new", "comm_d_new")}
    inputs.digests_check(**commitments)
    old = SectorFiles(parameters, Path(task.sector_cache_path), Path(task.sector_path))
    new = SectorFiles(parameters, Path(task.new_cache_path), Path(task.new_replica_path))
    proofs = snap_prove(old, new, **commitments, progress=progress)
    update = update_parameters_of(parameters)
    is_needed = task.needs_groth16 or not update_fits_message(update.sector_bytes)
    if takes_groth16(update_spec(update), is_needed=is_needed):
        public = UpdatePublicInputs(**commitments)
        return SnapProveOutput(update_snark(update, proofs, public, progress=progress))
    return SnapProveOutput(update_container(SECTOR_SIZES.index(update.sector_bytes), proofs))


def snap_prove(
    old: SectorFiles,
    new: SectorFiles,
    *,
    comm_r_old: bytes,
    comm_r_new: bytes,
    comm_d_new: bytes,
    progress: Progress = no_progress,
) -> tuple[VanillaUpdateProof, ...]:
    """Open the challenged nodes of the old replica, the new data and the new replica."""
    update = update_parameters_of(old.parameters)
    try:
        comm_c, comm_r_last_old = old.roots_read()
        old_tree, new_tree, data = TreeRLast(old), TreeRLast(new), tree_d_nodes(new)
    except OSError as error:
        raise file_error(error) from None
    roots = (old_tree.root, new_tree.root)
    if (
        comm_r_last_old != old_tree.root
        or [poseidon.hash_values([comm_c, root]) for root in roots] != [comm_r_old, comm_r_new]
        or node_bytes(data[-1]) != comm_d_new
    ):
        raise BadProof("the files do not belong to comm_r_old, comm_r_new and comm_d_new")
    encoding = encoding_of(update, comm_d_new=comm_d_new, comm_r_old=comm_r_old)
    nodes, apex_total = update.nodes, update.partitions * update.apex_leaves
    apex_row = data[len(data) - 2 * apex_total + 1 :][:apex_total]
    proofs = []
    for partition in range(update.partitions):
        challenges = update_challenges(update, comm_r_new, partition=partition)
        opened = tuple(
            UpdateChallengeProof(
                old_tree.proof(challenge), binary_proof(data, nodes, challenge), new_tree.proof(challenge)
            )
            for challenge in challenges
        )
        _check(opened, challenges, encoding=encoding)
        apex = apex_row[partition * update.apex_leaves : (partition + 1) * update.apex_leaves]
        proofs.append(VanillaUpdateProof(comm_c, tuple(map(node_bytes, apex)), opened))
        progress(partition + 1, update.partitions)
    return tuple(proofs)


def _check(
    opened: Sequence[UpdateChallengeProof],
    challenges: Sequence[int],
    *,
    encoding: Encoding,
) -> None:
    """Raise BadProof if a path does not lead to its root or a node is not old replica + data * rho."""
    octonary = [proof.proof_r_old for proof in opened] + [proof.proof_r_new for proof in opened]
    if not all(paths_lead_to_roots(octonary)):
        raise BadProof("a path of tree-r-last does not lead to its root: a replica or tree is damaged")
    if not all(data_paths_lead_to_roots([proof.proof_d_new for proof in opened])):
        raise BadProof("a path of tree-d does not lead to its root: the file is damaged")
    radix_inverse = pow(1 << 256, -1, SCALAR_MODULUS)
    for proof, challenge in zip(opened, challenges, strict=True):
        row = encoding.factors[challenge >> encoding.shift].tobytes()
        rho = int.from_bytes(row, "little") * radix_inverse
        old, data, new = (
            int.from_bytes(path.leaf, "little")
            for path in (proof.proof_r_old, proof.proof_d_new, proof.proof_r_new)
        )
        if (old + data * rho - new) % SCALAR_MODULUS:
            raise BadProof("a node of the new replica is not old replica plus data times rho")
