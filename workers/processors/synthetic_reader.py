"""Vanilla proofs of synthetic challenges, read back from the file that PC2 left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.merkle import MerkleProof, PathElement
from poolsite.filecoin.porep.replica import repeated_parents
from poolsite.filecoin.porep.vanilla import ColumnProof, LabelingProof, VanillaPoRepProof
from poolsite.filecoin.scalars import NODE_BYTES
from workers.processors.errors import BadFile
from workers.processors.parent_cache import DRG_PARENTS, PARENTS, parents_at
from workers.processors.synthetic import arities_of, file_bytes, record_bytes
from workers.storage.mapped import file_read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workers.storage.sector import SectorFiles


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
