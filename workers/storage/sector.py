"""Where a sector's files lie: the sealed file and the cache folder, named and laid out as by rust-fil-proofs.

Source: rust-fil-proofs storage-proofs-core/src/cache_key.rs; storage-proofs-porep/src/stacked/vanilla
(params.rs PersistentAux, TemporaryAux; proof.rs); merkletree src/store/mod.rs StoreConfig.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from poolsite.filecoin.merkle import BASE_ARITY, tree_arities
from poolsite.filecoin.poseidon import poseidon_node
from poolsite.filecoin.scalars import NODE_BYTES
from workers.storage.checksums import Checksums
from workers.storage.files import TruncatedFile, is_complete, temporary_name, write_file

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters

DEFAULT_DISCARDED_ROWS = 2
"""Rows above the leaves that a large tree-r-last leaves out.  Source: FIL_PROOFS_ROWS_TO_DISCARD."""

SYNTHETIC_FILE = "syn-porep-vanilla-proofs.dat"
"""The vanilla proofs of all synthetic challenges."""

LAYERS_PLACE = "layers.json"
"""Says in which batch on drives the layers lie, and in which lane."""

ENCODING_SUFFIX = ".encoding"
"""Behind the sealed file's name: the replica while pc2 writes it."""


def tree_nodes(leaves: int, arity: int) -> int:
    """Return the nodes of a tree over arity^k leaves, leaf row and root included."""
    return (leaves * arity - 1) // (arity - 1)


def sector_name(miner_id: int, sector_number: int) -> str:
    """Return the name of a sector's file and folder, as lotus has it."""
    return f"s-t0{miner_id}-{sector_number}"


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """How one flat file of nodes is described in t_aux and in the output of pc1."""

    path: str
    """The cache folder, as it was named when sealing."""
    id: str
    """`layer-1`, `tree-d`, `tree-c`, …"""
    size: int
    """Nodes of the whole tree or row."""
    rows_to_discard: int
    """Rows above the leaves that are not stored."""

    def encode(self) -> bytes:
        """Return the bincode form."""
        path, name = self.path.encode(), self.id.encode()
        head = struct.pack("<Q", len(path)) + path + struct.pack("<Q", len(name)) + name
        return head + struct.pack("<BQQ", 1, self.size, self.rows_to_discard)


@dataclass(frozen=True, slots=True)
class SectorFiles:
    """The sealed file and the cache folder of one sector."""

    parameters: SealParameters
    """Sizes and tree shape."""
    cache: Path
    """The cache folder."""
    sealed: Path
    """The replica (until PC2: the staged data)."""

    @property
    def base_trees(self) -> int:
        """Return how many base trees tree-c and tree-r-last have."""
        return self.parameters.shape.base_trees

    @property
    def base_leaves(self) -> int:
        """Return the leaves of one base tree."""
        return self.parameters.nodes // self.base_trees

    @property
    def base_levels(self) -> int:
        """Return the rows above the leaves of one base tree."""
        return len(tree_arities(self.parameters.nodes, self.parameters.shape)[0])

    @property
    def discarded_rows(self) -> int:
        """Return how many rows above the leaves tree-r-last leaves out.

        Source: rust-fil-proofs storage-proofs-core/src/util.rs default_rows_to_discard.
        """
        rows = self.base_levels + 1
        if rows <= 2:
            return 0
        return 1 if rows == 3 else min(rows - 2, DEFAULT_DISCARDED_ROWS)

    @property
    def tree_r_last_nodes(self) -> int:
        """Return the nodes stored of one base tree of tree-r-last."""
        return tree_nodes(BASE_ARITY ** (self.base_levels - self.discarded_rows - 1), BASE_ARITY)

    def data_file(self, name: str) -> Path:
        """Return the file of a store id."""
        return self.cache / f"sc-02-data-{name}.dat"

    def layer(self, layer: int) -> Path:
        """Return the labels of one layer (from 1)."""
        return self.data_file(f"layer-{layer}")

    @property
    def tree_d(self) -> Path:
        """Return the tree over the data."""
        return self.data_file("tree-d")

    def tree_c(self, base_tree: int) -> Path:
        """Return one base tree over the columns."""
        return self.data_file(self._base_name("tree-c", base_tree))

    def tree_r_last(self, base_tree: int) -> Path:
        """Return one base tree over the replica."""
        return self.data_file(self._base_name("tree-r-last", base_tree))

    def _base_name(self, name: str, base_tree: int) -> str:
        return name if self.base_trees == 1 else f"{name}-{base_tree}"

    @property
    def layers_place(self) -> Path:
        """Return the file that says where the layers are, if they lie on drives among those of a batch."""
        return self.cache / LAYERS_PLACE

    @property
    def p_aux(self) -> Path:
        """Return the file of comm_c and comm_r_last."""
        return self.cache / "p_aux"

    @property
    def t_aux(self) -> Path:
        """Return the file that describes the cache folder's stores."""
        return self.cache / "t_aux"

    @property
    def synthetic_proofs(self) -> Path:
        """Return the file of synthetic vanilla proofs."""
        return self.cache / SYNTHETIC_FILE

    @property
    def spent_by_synthetic(self) -> tuple[Path, ...]:
        """Return what nobody needs any more once the synthetic proofs are written: layers, tree-d, tree-c."""
        layers = [self.layer(layer) for layer in range(1, self.parameters.layers + 1)]
        trees = (self.tree_d, *map(self.tree_c, range(self.base_trees)))
        return (*layers, self.layers_place, *trees)

    def label_configs(self) -> tuple[StoreConfig, ...]:
        """Return the descriptions of the layers."""
        path, nodes = str(self.cache), self.parameters.nodes
        layers = range(1, self.parameters.layers + 1)
        return tuple(StoreConfig(path, f"layer-{layer}", nodes, 0) for layer in layers)

    def tree_d_config(self) -> StoreConfig:
        """Return the description of tree-d."""
        return StoreConfig(str(self.cache), "tree-d", tree_nodes(self.parameters.nodes, 2), 0)

    def t_aux_bytes(self) -> bytes:
        """Return t_aux: the layers, tree-d, tree-r-last, tree-c."""
        path, nodes = str(self.cache), tree_nodes(self.base_leaves, BASE_ARITY)
        labels = self.label_configs()
        trees = (
            self.tree_d_config(),
            StoreConfig(path, "tree-r-last", nodes, self.discarded_rows),
            StoreConfig(path, "tree-c", nodes, 0),
        )
        return struct.pack("<Q", len(labels)) + b"".join(config.encode() for config in (*labels, *trees))

    def roots_write(self, comm_c: bytes, comm_r_last: bytes) -> None:
        """Write p_aux and t_aux, their digests first."""
        contents = {self.t_aux: self.t_aux_bytes(), self.p_aux: comm_c + comm_r_last}
        Checksums(self.cache).record_all({path: sha256(raw).hexdigest() for path, raw in contents.items()})
        for path, content in contents.items():
            write_file(path, content)

    def roots_read(self) -> tuple[bytes, bytes]:
        """Return comm_c and comm_r_last.  Raises TruncatedFile, FileNotFoundError."""
        content = self.p_aux.read_bytes()
        if len(content) != 2 * NODE_BYTES:
            raise TruncatedFile(f"{self.p_aux} has {len(content)} bytes instead of {2 * NODE_BYTES}")
        return content[:NODE_BYTES], content[NODE_BYTES:]

    @property
    def comm_r(self) -> bytes | None:
        """Return the commitment that p_aux makes; None if there is none, or a part of one."""
        try:
            return poseidon_node(self.roots_read())
        except (TruncatedFile, FileNotFoundError):
            return None

    @property
    def encoding(self) -> Path:
        """Return where pc2 writes the replica until it takes the sealed file's place."""
        return self.sealed.with_name(self.sealed.name + ENCODING_SUFFIX)

    def has_trees(self, base_tree: int) -> bool:
        """Return whether both Poseidon trees of one base tree are there whole."""
        tree_bytes = NODE_BYTES * tree_nodes(self.base_leaves, BASE_ARITY)
        stored = NODE_BYTES * self.tree_r_last_nodes
        tree_c, tree_r_last = self.tree_c(base_tree), self.tree_r_last(base_tree)
        return is_complete(tree_c, tree_bytes) and is_complete(tree_r_last, stored)

    @property
    def is_encoded(self) -> bool:
        """Return whether pc2 has put the replica in the sealed file's place, and it is there whole."""
        waits = self.encoding.exists() or temporary_name(self.encoding).exists()
        is_there = not waits and is_complete(self.sealed, self.parameters.sector_bytes)
        return is_there and all(map(self.has_trees, range(self.base_trees)))

    def forget_trees(self) -> None:
        """Delete what pc2 makes: new labels make it worthless, and pc2 would take it for its own."""
        base_trees = range(self.base_trees)
        trees = (*map(self.tree_c, base_trees), *map(self.tree_r_last, base_trees))
        for path in (self.p_aux, self.t_aux, self.encoding, temporary_name(self.encoding), *trees):
            path.unlink(missing_ok=True)
        Checksums(self.cache).forget((self.p_aux, self.t_aux, self.sealed, *trees))
