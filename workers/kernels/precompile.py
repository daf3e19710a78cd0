"""Compiling kernels ahead of their first use: once per machine, then they load in a moment.

Each entry calls a kernel with the very types that the processors use, on the path of this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from workers.kernels import ancestors, binary_tree, field, fr32, graph, labels, poseidon, scaling
from workers.kernels.lanes import WIDE

Report = Callable[[str, int, int], None]
"""Called with the kernel that is compiled next, how many are done, and how many there are."""


def _fr32() -> None:
    """Compile padding and its inverse, by one row."""
    padded = np.zeros((1, 16), np.uint64)
    fr32.fr32_pad(np.zeros(127, np.uint8), padded)
    fr32.fr32_unpad(padded, np.zeros(127, np.uint8))


def _binary_tree() -> None:
    """Compile the rows of trees: few nodes and sixteen, which take other kernels, and four rows at once."""
    for count in (1, WIDE):
        binary_tree.hash_row(np.zeros((2 * count, 8), np.uint32), np.zeros((count, 8), np.uint32))
    nodes, above = np.zeros((ancestors.ANCESTRY, 8), np.uint32), np.zeros((ancestors.FOUR_ROWS, 8), np.uint32)
    ancestors.ancestor_row(nodes, above)


def _graph() -> None:
    """Compile the tables and the parents, by the smallest graph."""
    rows = np.zeros((2, 14), np.uint32)
    tables = graph.feistel_tables(np.zeros(4, np.uint64), 64)
    graph.parent_rows(np.zeros(7, np.uint32), tables, np.uint64(64), False, 2, rows)


def _labels() -> None:
    """Compile the labels of one sector."""
    _label(1)


def _label_batches() -> None:
    """Compile the labels of several sectors side by side: of every number that this machine takes."""
    for sectors in labels.batches()[1:]:
        _label(sectors)


def _label(sectors: int) -> None:
    """Compile the labels of so many sectors, by one node of layer 1."""
    layer = np.zeros((4, sectors, 8), np.uint32)
    replica_ids, parents = np.zeros((sectors, 8), np.uint32), np.zeros((1, 14), np.uint32)
    labels.label_rows(replica_ids, layer, layer, layer=1, first=1, parents=parents)


def _poseidon() -> None:
    """Compile the hash of trees and columns, one kernel for all arities; their constants are made here."""
    out = np.zeros((1, 4), np.uint64)
    for arity in (2, 8, 11):
        poseidon.hash_row(np.zeros((arity, 4), np.uint64), out, arity=arity)


def _field() -> None:
    """Compile the sums and differences of encoding and unsealing."""
    rows = np.zeros((1, 4), np.uint64)
    field.add_rows(rows, rows, rows)
    field.subtract_rows(rows, rows, rows)


def _scaling() -> None:
    """Compile what SnapUp does with factors."""
    rows = np.zeros((1, 4), np.uint64)
    for kernel in (scaling.encode_rows, scaling.remove_rows, scaling.decode_rows):
        kernel(rows, rows, rows, 0, 0, rows)


KERNELS: dict[str, Callable[[], None]] = {
    "fr32": _fr32,
    "binary_tree": _binary_tree,
    "graph": _graph,
    "labels": _labels,
    "label_batches": _label_batches,
    "poseidon": _poseidon,
    "field": _field,
    "scaling": _scaling,
}
"""What can be compiled, by name."""


def precompile(names: Iterable[str] | None = None, *, report: Report | None = None) -> None:
    """Compile the named kernels (all by default) or load them from the cache.

    names:  of KERNELS, in this order, each once; KeyError for one that is not there
    report: called before each, not after the last
    """
    wanted = list(dict.fromkeys(KERNELS if names is None else names))
    for done, name in enumerate(wanted):
        if report is not None:
            report(name, done, len(wanted))
        KERNELS[name]()
