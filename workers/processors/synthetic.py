"""Synthetic PoRep: PC2 leaves the vanilla proofs of a whole set of challenges in a file; C1 reads them back.

Once the file is there, layers, tree-d and tree-c may be deleted before the seed is known.
Source: FIP-0059; rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/proof.rs
write_synth_proofs, read_porep_proofs_from_synth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from poolsite.filecoin.merkle import BASE_ARITY, MerkleProof, PathElement, TreeShape
from poolsite.filecoin.porep.challenges import ChallengeSource, synthetic_challenges, synthetic_count
from poolsite.filecoin.porep.parameters import ChallengeRule
from poolsite.filecoin.porep.replica import repeated_parents, replica_id
from poolsite.filecoin.porep.vanilla import ColumnProof, LabelingProof, VanillaPoRepProof
from poolsite.filecoin.scalars import NODE_BYTES
from workers.kernels import poseidon
from workers.processors import inputs
from workers.processors.errors import BadFile, BadInput, BadProof, file_error
from workers.processors.layer_source import layers_of
from workers.processors.parallel import Progress, no_progress, parallel_for
from workers.processors.parent_cache import DRG_PARENTS, PARENTS, parents_at, parents_of
from workers.processors.seal_proofs import parameters_named
from workers.processors.sector_trees import SectorTree, TreeC, TreeRLast
from workers.processors.tasks import SyntheticOutput, SyntheticTask
from workers.processors.trees import node_bytes, octonary_row
from workers.storage.mapped import Nodes, file_read, file_write, tree_d_nodes
from workers.storage.sector import SectorFiles

CHUNK_CHALLENGES = 64
"""Challenges whose paths are gathered together: their replica pieces take 1 MiB."""

Indices = np.ndarray[Any, np.dtype[np.int64]]


def run(task: SyntheticTask, *, progress: Progress = no_progress) -> SyntheticOutput:
    """Write the file of synthetic proofs.  Raises BadInput, BadFile, BadProof."""
    parameters = parameters_named(task.registered_proof)
    inputs.digests_check(prover_id=task.prover_id, ticket=task.ticket)
    if parameters.rule is not ChallengeRule.SYNTHETIC:
        raise BadInput(f"{parameters.name} has no synthetic challenges")
    comm_d, comm_r = task.pre_commit.comm_d, task.pre_commit.comm_r
    replica = replica_id(
        task.prover_id, task.sector_id, ticket=task.ticket, comm_d=comm_d, porep_id=parameters.porep_id
    )
    files = SectorFiles(parameters, Path(task.cache_path), Path(task.replica_path))
    source = ChallengeSource(replica, comm_r, bytes(NODE_BYTES))
    return SyntheticOutput(synthetic_write(files, source, comm_d=comm_d, progress=progress))


def path_nodes(files: SectorFiles) -> int:
    """Return the nodes of one path of tree-c or tree-r-last: leaf and siblings."""
    shape = files.parameters.shape
    return 1 + (BASE_ARITY - 1) * files.base_levels + max(shape.sub - 1, 0) + max(shape.top - 1, 0)


def record_bytes(files: SectorFiles) -> int:
    """Return the size of one challenge's record."""
    parameters, path = files.parameters, path_nodes(files)
    data_path = parameters.nodes.bit_length()
    columns = (1 + PARENTS) * (parameters.layers + path)
    return 8 * (1 + PARENTS) + NODE_BYTES * (data_path + columns + path)


def file_bytes(files: SectorFiles) -> int:
    """Return the size of the whole file: three roots, then the records."""
    return 3 * NODE_BYTES + synthetic_count(files.parameters.nodes) * record_bytes(files)


def synthetic_write(
    files: SectorFiles, source: ChallengeSource, *, comm_d: bytes, progress: Progress = no_progress
) -> int:
    """Write the proofs of the whole set; return how many there are."""
    nodes, size = files.parameters.nodes, record_bytes(files)
    count = synthetic_count(nodes)
    try:
        gatherer = _Gatherer(files, progress=lambda *_: progress(0, count))
    except OSError as error:
        raise file_error(error) from None
    roots = (gatherer.tree_c.root, gatherer.tree_r_last.root)
    if node_bytes(gatherer.tree_d[-1]) != comm_d:
        raise BadInput("comm_d is not the root of tree-d")
    if poseidon.hash_values(list(roots)) != source.comm_r:
        raise BadProof("comm_r is not the hash of comm_c and comm_r_last: the trees belong to another sector")
    with file_write(files.synthetic_proofs, size_bytes=file_bytes(files)) as raw:
        raw[: 3 * NODE_BYTES] = np.frombuffer(comm_d + roots[0] + roots[1], np.uint8)
        records = raw[3 * NODE_BYTES :].reshape(count, size)

        def work(first: int, end: int) -> None:
            challenges = synthetic_challenges(nodes, source, indices=range(first, end))
            records[first:end] = gatherer.records(np.array(challenges, np.int64))

        parallel_for(work, count, size=CHUNK_CHALLENGES, progress=progress)
    return count


class _Gatherer:
    """Collects the paths of many challenges at once."""

    def __init__(self, files: SectorFiles, *, progress: Progress) -> None:
        self.files = files
        self.tree_d = tree_d_nodes(files)
        self.tree_c, self.tree_r_last = TreeC(files), TreeRLast(files)
        self.layers = layers_of(files)
        self.parents = parents_of(files.parameters, progress=progress)

    def records(self, challenges: Indices) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return the records: u8[challenges, record bytes]."""
        parents = self.parents[challenges].astype(np.int64)
        columns = np.concatenate([challenges[:, None], parents], axis=1)
        head = columns.astype(np.uint64)
        nodes = [_row_paths(self.tree_d, self.files.parameters.nodes, challenges, arity=2)]
        for at in range(columns.shape[1]):
            own = columns[:, at]
            nodes.append(np.stack([layer[own] for layer in self.layers], axis=1))
            nodes.append(self._paths(self.tree_c, own))
        nodes.append(self._paths(self.tree_r_last, challenges))
        joined = np.concatenate(nodes, axis=1).reshape(len(challenges), -1)
        return np.concatenate([head, joined], axis=1).view(np.uint8)

    def _paths(self, tree: TreeC | TreeRLast, indices: Indices) -> Nodes:
        """Return leaf and siblings of each leaf, base tree first, then the rows above: u64[k, path, 4]."""
        bases = indices // self.files.base_leaves
        paths = np.empty((len(indices), path_nodes(self.files), 4), np.uint64)
        for base in np.unique(bases):
            here = bases == base
            inside = indices[here] % self.files.base_leaves
            base_path = self._base_paths(tree, int(base), inside)
            upper = _upper_siblings(tree, int(base))
            paths[here] = np.concatenate([base_path, np.repeat(upper[None], len(inside), axis=0)], axis=1)
        return paths

    def _base_paths(self, tree: TreeC | TreeRLast, base: int, inside: Indices) -> Nodes:
        files = self.files
        if isinstance(tree, TreeC):
            return _row_paths(tree.trees[base], files.base_leaves, inside, arity=BASE_ARITY)
        span = BASE_ARITY ** (files.discarded_rows + 1)
        first = base * files.base_leaves + inside // span * span
        row = tree.replica[first[:, None] + np.arange(span)]
        lower, own = [row[np.arange(len(inside)), inside % span][:, None]], inside % span
        while row.shape[1] > 1:
            lower.append(_siblings(row, own, arity=BASE_ARITY))
            above = np.empty((row.shape[0] * row.shape[1] // BASE_ARITY, 4), np.uint64)
            octonary_row(np.ascontiguousarray(row).reshape(-1, 4), above)
            row, own = above.reshape(row.shape[0], -1, 4), own // BASE_ARITY
        upper = _row_paths(tree.trees[base], files.base_leaves // span, inside // span, arity=BASE_ARITY)
        return np.concatenate([*lower, upper[:, 1:]], axis=1)


def _siblings(rows: Nodes, own: Indices, *, arity: int) -> Nodes:
    """Return the siblings of node own[k] in row k: u64[k, arity - 1, 4]."""
    places = np.arange(arity - 1) + own[:, None] // arity * arity
    places += places % arity >= own[:, None] % arity
    siblings: Nodes = rows[np.arange(len(own))[:, None], places]
    return siblings


def _row_paths(tree: Nodes, leaves: int, indices: Indices, *, arity: int) -> Nodes:
    """Return leaf and siblings of each leaf of a flat tree: u64[k, path, 4]."""
    parts, start, width, own = [tree[indices][:, None]], 0, leaves, indices
    while width > 1:
        places = np.arange(arity - 1) + own[:, None] // arity * arity
        places += np.arange(arity - 1) >= own[:, None] % arity
        parts.append(tree[start + places])
        start, width, own = start + width, width // arity, own // arity
    return np.concatenate(parts, axis=1)


def _upper_siblings(tree: SectorTree, base: int) -> Nodes:
    siblings: list[bytes] = []
    position = base
    for row, above in zip(tree.rows, tree.rows[1:], strict=False):
        arity = len(row) // len(above)
        group = row[position // arity * arity :][:arity]
        siblings += (node for at, node in enumerate(group) if at != position % arity)
        position //= arity
    return np.frombuffer(b"".join(siblings), np.uint64).reshape(-1, 4)


def arities_of(files: SectorFiles) -> tuple[list[int], list[int], list[int]]:
    """Return the arities of the rows of a tree: of its base trees, above them, and at its top."""
    shape: TreeShape = files.parameters.shape
    base = [BASE_ARITY] * files.base_levels
    return base, [shape.sub] * bool(shape.sub), [shape.top] * bool(shape.top)


class SyntheticReader:
    """Reads vanilla proofs back out of the file."""

    def __init__(self, files: SectorFiles) -> None:
        self.files = files
        self._raw = file_read(files.synthetic_proofs, size_bytes=file_bytes(files))

    @property
    def roots(self) -> tuple[bytes, bytes, bytes]:
        """Return comm_d, comm_c and comm_r_last."""
        head = self._raw[: 3 * NODE_BYTES].tobytes()
        return head[:NODE_BYTES], head[NODE_BYTES : 2 * NODE_BYTES], head[2 * NODE_BYTES :]

    def prove(self, index: int) -> VanillaPoRepProof:
        """Return proof number `index` of the set.  Raises BadFile if it is of another graph."""
        size = record_bytes(self.files)
        start = 3 * NODE_BYTES + index * size
        record = self._raw[start : start + size].tobytes()
        return _Record(self.files, self.roots, record).proof()


class _Record:
    """One challenge's record, read from front to back."""

    def __init__(self, files: SectorFiles, roots: tuple[bytes, bytes, bytes], record: bytes) -> None:
        self.files, self.parameters = files, files.parameters
        self.comm_d, self.comm_c, self.comm_r_last = roots
        self._numbers = np.frombuffer(record, np.uint64, 1 + PARENTS).tolist()
        self._nodes = _nodes_of(record[8 * (1 + PARENTS) :])

    def proof(self) -> VanillaPoRepProof:
        challenge, *parents = self._numbers
        if tuple(parents) != parents_at(self.parameters, challenge):
            raise BadFile(f"{self.files.synthetic_proofs} is damaged or belongs to another graph")
        data_arities = [2] * (self.parameters.nodes.bit_length() - 1)
        comm_d_proof = self._path(challenge, self.comm_d, parts=(data_arities, [], []))
        c_x, *columns = [self._column(node) for node in (challenge, *parents)]
        comm_r_last_proof = self._path(challenge, self.comm_r_last, parts=arities_of(self.files))
        labelings = tuple(
            self._labeling(challenge, columns, layer=layer) for layer in range(1, self.parameters.layers + 1)
        )
        return VanillaPoRepProof(
            comm_d_proof=comm_d_proof,
            comm_r_last_proof=comm_r_last_proof,
            c_x=c_x,
            drg_parents=tuple(columns[:DRG_PARENTS]),
            exp_parents=tuple(columns[DRG_PARENTS:]),
            labeling_proofs=labelings,
            encoding_proof=labelings[-1],
        )

    def _column(self, node: int) -> ColumnProof:
        rows = tuple(next(self._nodes) for _ in range(self.parameters.layers))
        return ColumnProof(node, rows, self._path(node, self.comm_c, parts=arities_of(self.files)))

    def _path(self, node: int, root: bytes, *, parts: Sequence[Sequence[int]]) -> MerkleProof:
        leaf, paths = next(self._nodes), []
        for arities in parts:
            path = []
            for arity in arities:
                node, own = divmod(node, arity)
                path.append(PathElement(tuple(next(self._nodes) for _ in range(arity - 1)), own))
            paths.append(tuple(path))
        return MerkleProof(paths[0], paths[1], paths[2], root, leaf)

    @staticmethod
    def _labeling(node: int, columns: Sequence[ColumnProof], *, layer: int) -> LabelingProof:
        labels = [column.rows[layer - 1] for column in columns[:DRG_PARENTS]]
        if layer > 1:
            labels += [column.rows[layer - 2] for column in columns[DRG_PARENTS:]]
        return LabelingProof(repeated_parents(labels), layer, node)


def _nodes_of(raw: bytes) -> Iterator[bytes]:
    return (raw[at : at + NODE_BYTES] for at in range(0, len(raw), NODE_BYTES))
