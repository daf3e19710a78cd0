"""`python -m workers verify`: recompute a sealed sector's files and compare, or check Groth16 proofs."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.merkle import BASE_ARITY
from poolsite.filecoin.porep.challenges import ChallengeSource
from workers.kernels import field, poseidon
from workers.processors.c1 import porep_prove
from workers.processors.errors import BadFile, BadProof, ProcessorError
from workers.processors.parallel import parallel_for
from workers.processors.sector_record import record_files, record_read
from workers.processors.sector_trees import TreeC, TreeRLast
from workers.processors.terminal import Meter, error_text
from workers.processors.trees import is_binary, is_octonary, node_bytes, octonary_row
from workers.processors.verify_proofs import proofs_check
from workers.storage.checksums import Checksums
from workers.storage.files import DamagedFile
from workers.storage.mapped import layer_nodes, sealed_nodes, tree_c_nodes, tree_d_nodes, tree_r_last_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workers.processors.tasks import SectorRecord
    from workers.storage.mapped import Nodes
    from workers.storage.sector import SectorFiles

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
