"""Groth16 proofs out of vanilla proofs: what the stages hand in where a network takes no container.

Every proof is checked with the circuit's verifying key and the chain's public inputs before it is given out.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from poolsite.filecoin.groth16.public_inputs import (
    porep_public_inputs,
    post_public_inputs,
    update_public_inputs,
)
from poolsite.filecoin.groth16.verification import (
    BadGroth16Proof,
    VerifyingKey,
    partitions_verify,
    verifying_key_decode,
)
from poolsite.filecoin.merkle import MerkleProof, PathElement, tree_arities
from poolsite.filecoin.poseidon import poseidon_node
from poolsite.filecoin.post.challenges import sector_challenges
from poolsite.filecoin.post.parameters import PoStKind
from poolsite.filecoin.post.vanilla import VanillaPoStProof
from poolsite.filecoin.post.verification import ProvenSector
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.private_files import private_write
from workers.processors.errors import BadInput, BadProof, TemporaryError, file_error
from workers.processors.parallel import no_progress, thread_count
from workers.snark.card import card_work
from workers.snark.catalog import conversion_forget, key_open, parameters_open
from workers.snark.circuits.porep import porep_values
from workers.snark.circuits.post import post_slot_values
from workers.snark.circuits.update import update_values
from workers.snark.files import (
    ParametersMissing,
    measured_path,
    porep_spec,
    post_spec,
    update_spec,
)
from workers.snark.parameters import BadParameters
from workers.snark.prover import groth16_prove
from workers.snark.witness import BadWitness

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from poolsite.filecoin.porep.vanilla import VanillaPoRepProof
    from poolsite.filecoin.porep.verification import PoRepPublicInputs
    from poolsite.filecoin.post.parameters import PoStParameters
    from poolsite.filecoin.update.parameters import UpdateParameters
    from poolsite.filecoin.update.vanilla import VanillaUpdateProof
    from poolsite.filecoin.update.verification import UpdatePublicInputs
    from workers.processors.parallel import Progress
    from workers.snark.files import CircuitSpec
    from workers.snark.prover import ProvingKey

STEPS = 1_000
"""Steps of progress in each partition's proof."""
WAIT_S = 60.0
"""A task that waits for another's keys says so often that it goes on."""
MEASURED_PASSES = 3
"""Proofs of which a measurement takes the quickest."""

_loading = threading.Lock()


def post_snark(
    parameters: PoStParameters,
    proofs: Sequence[VanillaPoStProof],
    *,
    randomness: bytes,
    progress: Progress = no_progress,
) -> bytes:
    """Return the proofs of all partitions of a PoSt; `proofs` ascending by sector, `randomness` a scalar.

    Raises BadInput where parameters are missing or wrong, BadProof, TemporaryError.
    """
    size = parameters.partition_sectors
    chunks = [proofs[at : at + size] for at in range(0, len(proofs), size)]
    filled = [[*chunk, *[chunk[-1]] * (size - len(chunk))] for chunk in chunks]
    assignments = [post_assignment(parameters, chunk) for chunk in filled]
    sectors = [ProvenSector(proof.sector_number, proof.comm_r) for proof in proofs]
    inputs = post_public_inputs(parameters, randomness, sectors=sectors)
    return _partitions_prove(post_spec(parameters), assignments, inputs, progress=progress)


def porep_snark(
    parameters: SealParameters,
    partitions: Sequence[Sequence[VanillaPoRepProof]],
    inputs: PoRepPublicInputs,
    *,
    progress: Progress = no_progress,
) -> bytes:
    """Return the proofs of all partitions of a sector's PoRep.  Raises as `post_snark`."""
    names = {"replica_id": inputs.replica_id, "comm_d": inputs.comm_d, "comm_r": inputs.comm_r}
    assignments = [porep_values(proofs, **names) for proofs in partitions]
    public = porep_public_inputs(parameters, inputs)
    return _partitions_prove(porep_spec(parameters), assignments, public, progress=progress)


def update_snark(
    parameters: UpdateParameters,
    partitions: Sequence[VanillaUpdateProof],
    inputs: UpdatePublicInputs,
    *,
    progress: Progress = no_progress,
) -> bytes:
    """Return the proofs of all partitions of a replica update.  Raises as `post_snark`."""
    commitments = (inputs.comm_r_old, inputs.comm_d_new, inputs.comm_r_new)
    assignments = [
        update_values(proof, parameters=parameters, partition=number, commitments=commitments)
        for number, proof in enumerate(partitions)
    ]
    public = update_public_inputs(parameters, inputs)
    return _partitions_prove(update_spec(parameters), assignments, public, progress=progress)


def post_measure(parameters: PoStParameters) -> None:
    """Prove one partition of sectors full of zeros, and note what the quickest pass took.

    The first pass loads or compiles the kernels.  By its clock a process of low priority takes any time, so
    of clock and CPU time of all threads the lesser counts.
    """
    passes = []
    for _ in range(1 + MEASURED_PASSES):
        started, computed = time.monotonic(), time.process_time()
        post_snark(parameters, [uniform_sector(parameters)], randomness=bytes(NODE_BYTES))
        passes.append((time.monotonic() - started, time.process_time() - computed))
    took, computed = min(passes[1:])
    _measure_note(post_spec(parameters), min(took, computed), computed)


def post_assignment(parameters: PoStParameters, proofs: Sequence[VanillaPoStProof]) -> Iterator[int]:
    """Yield what is given for these sectors, slot after slot."""
    for proof in proofs:
        nodes = (proof.comm_r_last, proof.comm_c, proof.comm_r)
        commitments = [int.from_bytes(node, "little") for node in nodes]
        paths = proof.inclusion_proofs
        slots = [[path] for path in paths] if parameters.kind is PoStKind.WINNING else [paths]
        for slot in slots:
            yield from post_slot_values(*commitments, proofs=slot)


def _partitions_prove(
    spec: CircuitSpec,
    assignments: Sequence[Iterable[int]],
    inputs: Sequence[Sequence[int]],
    *,
    progress: Progress,
) -> bytes:
    key, verifying = _keys_of(spec, progress)
    started, computed, proofs = time.monotonic(), time.process_time(), []
    for number, values in enumerate(assignments):

        def report(done: int, total: int, number: int = number) -> None:
            progress(number * STEPS + STEPS * done // total, STEPS * len(assignments))

        try:
            proof, _ = groth16_prove(key, values, threads=thread_count(), progress=report)
        except BadWitness as error:
            raise BadProof(f"partition {number}: {error}") from None
        proofs.append(proof)
    joined = b"".join(proofs)
    try:
        partitions_verify(verifying, joined, inputs=inputs)
    except BadGroth16Proof as error:
        if card_work().distrust():
            raise TemporaryError(
                f"{error}: made with the card's results; the CPU makes the next one"
            ) from None
        _forget(spec)
        raise TemporaryError(
            f"{error}: the converted parameters are damaged and will be converted again for the next proof"
        ) from None
    _measure_note(
        spec,
        (time.monotonic() - started) / len(assignments),
        (time.process_time() - computed) / len(assignments),
    )
    return joined


def _measure_note(spec: CircuitSpec, took: float, computed: float) -> None:
    with contextlib.suppress(OSError):  # a full disk must not cost the proof
        private_write(measured_path(spec), f"{took:.3f} {computed:.3f}\n")


def _keys_of(spec: CircuitSpec, progress: Progress = no_progress) -> tuple[ProvingKey, VerifyingKey]:
    """Return a circuit's keys; progress stands at its beginning while parameters are converted."""
    while not _loading.acquire(timeout=WAIT_S):  # two tasks at once would load the same points twice
        progress(0, 1)
    try:
        held = _keys_held(spec)
        if not held:
            held.append(_keys_load(spec, lambda *_: progress(0, 1)))
        return held[0]
    finally:
        _loading.release()


@lru_cache(maxsize=4)
def _keys_held(_spec: CircuitSpec) -> list[tuple[ProvingKey, VerifyingKey]]:
    """Return where a circuit's keys are kept once loaded; `progress` is not: it may hold a task's proofs."""
    return []


def _keys_load(spec: CircuitSpec, progress: Progress) -> tuple[ProvingKey, VerifyingKey]:
    try:
        key = key_open(spec, threads=thread_count(), progress=progress)
        return key, verifying_key_decode(parameters_open(spec).verifying_key())
    except (ParametersMissing, BadParameters) as error:
        raise BadInput(str(error)) from None
    except OSError as error:
        raise file_error(error) from None


def _forget(spec: CircuitSpec) -> None:
    with _loading:
        _keys_held.cache_clear()
        conversion_forget(spec)


def uniform_sector(parameters: PoStParameters, *, number: int = 0) -> VanillaPoStProof:
    """Return the proof of a sector whose nodes are all its number, so that rows of its tree have one node."""
    leaf = node = number.to_bytes(NODE_BYTES, "little")
    rows = []
    for part in tree_arities(parameters.nodes, parameters.shape):
        part_rows = []
        for arity in part:
            part_rows.append((arity, node))
            node = poseidon_node((node,) * arity)
        rows.append(part_rows)
    comm_c = bytes(NODE_BYTES)
    challenges = sector_challenges(parameters, bytes(NODE_BYTES), sector_number=number, position=0)
    paths = tuple(_uniform_path(rows, challenge, root=node, leaf=leaf) for challenge in challenges)
    return VanillaPoStProof(number, poseidon_node((comm_c, node)), paths, comm_c, node)


def _uniform_path(
    rows: Sequence[Sequence[tuple[int, bytes]]], challenge: int, *, root: bytes, leaf: bytes
) -> MerkleProof:
    parts, position = [], challenge
    for part in rows:
        elements = []
        for arity, node in part:
            position, own = divmod(position, arity)
            elements.append(PathElement((node,) * (arity - 1), own))
        parts.append(tuple(elements))
    base, sub, top = parts
    return MerkleProof(base, sub, top, root, leaf)
