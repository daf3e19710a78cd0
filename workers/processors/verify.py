"""`python -m workers verify`: recompute a sealed sector's files and compare, or check Groth16 proofs."""

from __future__ import annotations

import argparse
import base64
import json
import secrets
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from poolsite.filecoin.groth16.aggregate import BadAggregate
from poolsite.filecoin.groth16.aggregate_challenges import porep_include
from poolsite.filecoin.groth16.aggregate_verification import aggregate_verify
from poolsite.filecoin.groth16.circuits import porep_circuit_id, post_circuit_id, update_circuit_id
from poolsite.filecoin.groth16.keys import VerifyingKeys, parameter_folder
from poolsite.filecoin.groth16.powers import POWERS_NAME, BadPowers, aggregate_key_read
from poolsite.filecoin.groth16.public_inputs import (
    porep_public_inputs,
    post_public_inputs,
    update_public_inputs,
)
from poolsite.filecoin.groth16.verification import BadGroth16Proof, partitions_verify
from poolsite.filecoin.merkle import BASE_ARITY
from poolsite.filecoin.porep.challenges import ChallengeSource
from poolsite.filecoin.porep.parameters import ChallengeRule, seal_parameters
from poolsite.filecoin.porep.verification import PoRepPublicInputs
from poolsite.filecoin.post.challenges import post_randomness
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.post.verification import ProvenSector
from poolsite.filecoin.proof_inputs import update_inputs_of
from workers.kernels import field, poseidon
from workers.processors.c1 import porep_prove
from workers.processors.errors import BadFile, BadProof, ProcessorError
from workers.processors.parallel import parallel_for
from workers.processors.sector_record import record_files, record_read
from workers.processors.sector_trees import TreeC, TreeRLast
from workers.processors.terminal import Meter, error_text
from workers.processors.trees import is_binary, is_octonary, node_bytes, octonary_row
from workers.storage.checksums import Checksums
from workers.storage.files import DamagedFile
from workers.storage.mapped import layer_nodes, sealed_nodes, tree_c_nodes, tree_d_nodes, tree_r_last_rows

if TYPE_CHECKING:
    from poolsite.filecoin.groth16.verification import VerifyingKey
    from workers.processors.tasks import SectorRecord
    from workers.storage.mapped import Nodes
    from workers.storage.sector import SectorFiles


@dataclass(frozen=True, slots=True)
class Statement:
    """A proof and what it must be about."""

    path: Path
    circuit_id: str
    proof: bytes
    inputs: tuple[tuple[int, ...], ...]
    """Public inputs of each partition."""
    include: bytes | None = None
    """What an aggregate is about, hashed; None for a proof that is none."""


def proofs_check(paths: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Return the names of the good proofs, and a sentence for each bad one."""
    circuits: dict[str, list[Statement]] = defaultdict(list)
    good, errors = [], []
    for path in paths:
        try:
            statement = statement_of(path, json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            errors.append(f"{path}: cannot be read: {error!r}"[:300])
        else:
            circuits[statement.circuit_id].append(statement)
    keys = VerifyingKeys(parameter_folder())
    for circuit_id, statements in circuits.items():
        refused = _circuit_check(keys, circuit_id, statements)
        good += [str(one.path) for one in statements if one.path not in refused]
        errors += [f"{path}: {reason}" for path, reason in refused.items()]
    return good, errors


def statement_of(path: Path, value: dict[str, Any]) -> Statement:
    """Read what `workers prove` printed.  Raises ValueError, KeyError, TypeError."""
    proof = base64.b64decode(value["proof"], validate=True)
    if value["kind"] == "porep":
        parameters = seal_parameters(value["registered_proof"])
        known = _seal_of(value)
        return Statement(path, porep_circuit_id(parameters), proof, porep_public_inputs(parameters, known))
    if value["kind"] == "porep_aggregate":
        return _aggregate_of(path, value, proof)
    if value["kind"] == "update":
        return _update_of(path, value, proof)
    post = post_parameters(value["registered_proof"])
    sectors = [ProvenSector(number, bytes.fromhex(comm_r)) for number, comm_r in value["sectors"]]
    randomness = post_randomness(bytes.fromhex(value["randomness"]))
    inputs = post_public_inputs(post, randomness, sectors=sectors)
    return Statement(path, post_circuit_id(post), proof, inputs)


def _seal_of(value: dict[str, Any]) -> PoRepPublicInputs:
    names = ("replica_id", "comm_d", "comm_r", "seed")
    return PoRepPublicInputs(*(bytes.fromhex(value[name]) for name in names))


def _update_of(path: Path, value: dict[str, Any], proof: bytes) -> Statement:
    commitments = {name: bytes.fromhex(value[name]) for name in ("comm_r_old", "comm_r_new", "comm_d_new")}
    parameters, known = update_inputs_of(value["registered_proof"], **commitments)
    return Statement(path, update_circuit_id(parameters), proof, update_public_inputs(parameters, known))


def _aggregate_of(path: Path, value: dict[str, Any], proof: bytes) -> Statement:
    parameters = seal_parameters(value["registered_proof"])
    seals = [_seal_of(sector) for sector in value["sectors"]]
    has_seeds = parameters.rule is not ChallengeRule.NON_INTERACTIVE
    include = porep_include(
        [seal.comm_r for seal in seals], seeds=[seal.seed for seal in seals] if has_seeds else None
    )
    inputs = tuple(own for seal in seals for own in porep_public_inputs(parameters, seal))
    return Statement(path, porep_circuit_id(parameters), proof, inputs, include)


def _circuit_check(keys: VerifyingKeys, circuit_id: str, statements: Sequence[Statement]) -> dict[Path, str]:
    """Return the reasons of those that are refused."""
    try:
        key = keys.get(circuit_id)
    except (OSError, ValueError) as error:
        return {one.path: str(error) for one in statements}
    if key is None:
        return {one.path: f"no verifying key for {circuit_id} in {keys.folder}" for one in statements}
    plain = [one for one in statements if one.include is None]
    refused = {one.path: reason for one in statements if (reason := _aggregate_refusal(keys, key, one))}
    try:
        joined = b"".join(one.proof for one in plain)
        partitions_verify(key, joined, inputs=[own for one in plain for own in one.inputs])
    except BadGroth16Proof:
        pass  # each by itself, below
    else:
        return refused
    for one in plain:
        try:
            partitions_verify(key, one.proof, inputs=one.inputs)
        except BadGroth16Proof as error:
            refused[one.path] = str(error)
    return refused


def _aggregate_refusal(keys: VerifyingKeys, key: VerifyingKey, one: Statement) -> str:
    """Return why an aggregate is refused; empty if it is none or good."""
    if one.include is None:
        return ""
    try:
        setup = aggregate_key_read(keys.folder / POWERS_NAME)
        aggregate_verify(key, one.proof, setup=setup, inputs=one.inputs, include=one.include)
    except (BadAggregate, BadGroth16Proof, BadPowers, OSError) as error:
        return str(error)
    return ""


CHUNK_NODES = 1 << 15


def main(arguments: Sequence[str]) -> int:
    """Check everything that is there; a JSON object on stdout, 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m workers verify", description=__doc__)
    parser.add_argument(
        "path",
        type=Path,
        nargs="+",
        metavar="DIR|FILE",
        help="a folder created by `workers seal`, or the output of `workers prove`",
    )
    paths = parser.parse_args(arguments).path
    if len(paths) > 1 or paths[0].is_file():
        checked, errors = proofs_check(paths)
        return _say(checked, errors)
    folder = paths[0]
    checked, errors = [], []
    meter = Meter()
    try:
        record = record_read(folder)
        for name, check in checks(record_files(record, folder), record):
            meter.begin(name)
            try:
                check()
                checked.append(name)
            except (ProcessorError, OSError) as error:
                errors.append(f"{name}: {error_text(error)}")
            meter.end()
    except ProcessorError as error:
        errors.append(str(error))
    return _say(checked, errors)


def _say(checked: Sequence[str], errors: Sequence[str]) -> int:
    sys.stdout.write(json.dumps({"ok": not errors, "checked": checked, "errors": errors}) + "\n")
    return 1 if errors else 0


def checks(files: SectorFiles, record: SectorRecord) -> Iterator[tuple[str, Callable[[], None]]]:
    """Return the checks that the files at hand allow; a cleared cache has few."""
    has_sealing_files = files.tree_d.exists() or any(map(Path.exists, map(files.layer, range(1, 12))))
    yield "digests", lambda: digests_check(files, has_sealing_files=has_sealing_files)
    if has_sealing_files:
        yield "tree-d", lambda: tree_d_check(files, record.comm_d)
        yield "tree-c", lambda: tree_c_check(files)
        yield "encoding", lambda: encoding_check(files)
    yield "tree-r-last", lambda: tree_r_last_check(files)
    yield "comm_r", lambda: roots_check(files, record.comm_r)
    if has_sealing_files:
        yield "openings", lambda: openings_check(files, record)


def digests_check(files: SectorFiles, *, has_sealing_files: bool) -> None:
    """Raise DamagedFile if a file is not what was written; a cleared cache may lack some."""
    checksums = Checksums(files.cache)
    for name in checksums.read():
        path = files.sealed if name == files.sealed.name else files.cache / name
        if path.exists():
            checksums.check(path)
        elif has_sealing_files:
            raise BadFile(f"{path} is missing")


def tree_d_check(files: SectorFiles, comm_d: bytes) -> None:
    """Raise DamagedFile unless tree-d is a tree with root comm_d."""
    tree = tree_d_nodes(files)
    if not is_binary(tree, files.parameters.nodes) or node_bytes(tree[-1]) != comm_d:
        raise DamagedFile(
            f"{files.tree_d}: a node is not the hash of its children, or the root is not comm_d"
        )


def tree_c_check(files: SectorFiles) -> None:
    """Raise DamagedFile unless every column hashes to its leaf and every node to the one above."""
    layers = [layer_nodes(files, layer) for layer in range(1, files.parameters.layers + 1)]
    for base_tree in range(files.base_trees):
        tree, before = tree_c_nodes(files, base_tree), base_tree * files.base_leaves
        columns = np.empty((files.base_leaves, 4), np.uint64)

        def work(first: int, end: int, before: int = before, columns: Nodes = columns) -> None:
            part = [layer[before + first : before + end] for layer in layers]
            poseidon.hash_columns(part, columns[first:end])

        parallel_for(work, files.base_leaves, size=CHUNK_NODES)
        if not np.array_equal(columns, tree[: files.base_leaves]) or not is_octonary(tree, files.base_leaves):
            raise DamagedFile(f"{files.tree_c(base_tree)} does not match the layers")


def encoding_check(files: SectorFiles) -> None:
    """Raise DamagedFile unless the sealed file is the last layer plus the data."""
    data = tree_d_nodes(files)[: files.parameters.nodes]
    key = layer_nodes(files, files.parameters.layers)
    replica = np.empty_like(key)

    def work(first: int, end: int) -> None:
        field.add_rows(key[first:end], data[first:end], replica[first:end])

    parallel_for(work, len(key), size=CHUNK_NODES)
    if not np.array_equal(replica, sealed_nodes(files)):
        raise DamagedFile(f"{files.sealed} is not the last layer plus the data")


def tree_r_last_check(files: SectorFiles) -> None:
    """Raise DamagedFile unless tree-r-last is the tree over the sealed file."""
    sealed = sealed_nodes(files)
    for base_tree in range(files.base_trees):
        row = sealed[base_tree * files.base_leaves : (base_tree + 1) * files.base_leaves]
        stored, at = tree_r_last_rows(files, base_tree), 0
        for level in range(1, files.base_levels + 1):
            above = np.empty((len(row) // BASE_ARITY, 4), np.uint64)
            octonary_row(row, above)
            row = above
            if level > files.discarded_rows:
                if not np.array_equal(row, stored[at : at + len(row)]):
                    raise DamagedFile(f"{files.tree_r_last(base_tree)} is not the tree over {files.sealed}")
                at += len(row)


def roots_check(files: SectorFiles, comm_r: bytes) -> None:
    """Raise BadProof unless p_aux has the trees' roots and hashes to comm_r."""
    comm_c, comm_r_last = files.roots_read()
    if poseidon.hash_values([comm_c, comm_r_last]) != comm_r:
        raise BadProof("p_aux does not hash to comm_r")
    if TreeRLast(files).root != comm_r_last:
        raise BadProof("the root of tree-r-last is not the one in p_aux")
    if files.tree_c(0).exists() and TreeC(files).root != comm_c:
        raise BadProof("the root of tree-c is not the one in p_aux")


def openings_check(files: SectorFiles, record: SectorRecord) -> None:
    """Raise BadProof unless nodes drawn at random verify, their labels included."""
    source = ChallengeSource(record.replica_id, record.comm_r, secrets.token_bytes(32))
    porep_prove(files, source, comm_d=record.comm_d)
