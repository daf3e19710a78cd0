"""A whole WindowPoSt partition of 32 GiB sectors on all cores: witness, polynomial h, the five sums.

The circuit is the real one (2,349 sectors, 125 million constraints), its witness holds, and every sum is as
long as in a proof.  Parameters of that size take a day and 61 GB, so the points of each section are the same
2^20 multiples of the generator over and over, and no proof comes out: instead each sum is checked against the
sum of its scalars, each times its known multiple, and h against a · b - c at a point.
With --replica the sectors are made-up ones, under as many numbers, of one replica of 32 GiB that is read from
that folder by the stage itself: random where it is opened, 0 elsewhere, so that half a GiB is on the disk.
Not part of `make bench`: the sums take 80 GiB of memory, the witness 15; --until ends before.
Run: python -m tests.bench.partition [--sectors 2349] [--threads N] [--replica FOLDER] [--until vanilla]
"""

from __future__ import annotations

import os
import resource
import secrets
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from poolsite.filecoin.merkle import BASE_ARITY
from poolsite.filecoin.post.challenges import post_randomness, sector_challenges
from poolsite.filecoin.post.parameters import PoStParameters, post_parameters
from poolsite.filecoin.scalars import NODE_BYTES, SCALAR_MODULUS
from tests.bench.__main__ import machine
from tests.bench.snark_kernels import scalars
from workers.kernels.field import WORD_BITS, add_rows, limbs
from workers.kernels.r1cs import scale_rows
from workers.processors.post_sector import seal_parameters_of
from workers.processors.post_tasks import Replica, WindowPostTask
from workers.processors.snark import post_assignment, uniform_sector
from workers.processors.trees import grow_octonary, node_bytes, upper_rows
from workers.processors.window_post import window_post_prove
from workers.snark.arrays import Words
from workers.snark.circuits.post import post_circuit
from workers.snark.constraints import Circuit
from workers.snark.densities import densities_of
from workers.snark.domain import domain_for
from workers.snark.multiexp import multiexp
from workers.snark.multiples import multiples
from workers.snark.parameters import SECTIONS
from workers.snark.points import Group, point_compress, points_decode
from workers.snark.prover import quotient_scalars
from workers.snark.setup import G1_GENERATOR, G2_GENERATOR
from workers.snark.witness import Witness, witness_solve
from workers.storage.sector import SectorFiles

Indices = np.ndarray[Any, np.dtype[np.int64]]

DISTINCT_SECTORS: Final = 64
DISTINCT_POINTS: Final = 1 << 20
HALF: Final = (1 << 32) - 1
WINDOW_32GIB: Final = 13
"""StackedDRGWindow32GiBV1P1, the registered PoSt proof."""


class Wrong(Exception):
    """A result is not what it must be."""


def integers(words: Words) -> list[int]:
    """Return rows of four words as integers."""
    data = words.astype("<u8").tobytes()
    return [int.from_bytes(data[at : at + 32], "little") for at in range(0, len(data), 32)]


def folded(factors: Words) -> list[int]:
    """Return the sums of the scalars of each distinct point, below the modulus."""
    totals = np.zeros((DISTINCT_POINTS, 8), np.uint64)
    for at in range(0, len(factors), DISTINCT_POINTS):
        chunk = factors[at : at + DISTINCT_POINTS]
        totals[: len(chunk), 0::2] += chunk & np.uint64(HALF)
        totals[: len(chunk), 1::2] += chunk >> np.uint64(32)
    columns = [totals[:, place].tolist() for place in range(8)]
    return [sum(part << 32 * place for place, part in enumerate(row)) for row in zip(*columns, strict=True)]


def sum_check(group: Group, result: Words, factors: Words, *, known: list[int]) -> None:
    """Compare a sum with its scalars' own, times the known multiples of the points.  Raises Wrong."""
    total = sum(one * other for one, other in zip(folded(factors), known, strict=True)) % SCALAR_MODULUS
    generator = points_decode(group, G1_GENERATOR if group.name == "G1" else G2_GENERATOR)[0]
    factor = limbs([total], bits=WORD_BITS, montgomery=False)
    if point_compress(group, multiexp(group, generator[None], factor)) != point_compress(group, result):
        raise Wrong(f"a sum of {len(factors)} points of {group.name}")


def value_at(coefficients: Words, point: int) -> int:
    """Return the value of a polynomial of 2^n coefficients, whose upper half is folded onto the lower."""
    rest = coefficients
    while (half := len(rest) // 2) > 0:
        scaled = np.empty((half, 4), np.uint64)
        scale_rows(rest[half:], limbs([pow(point, half, SCALAR_MODULUS)], bits=WORD_BITS)[0], scaled)
        add_rows(scaled, rest[:half], scaled)
        rest = scaled
    return integers(rest)[0]


def row_value(row: Words, point: int) -> int:
    """Return the value at a point of the polynomial with the values of a witness's row."""
    domain = domain_for(len(row))
    values = np.zeros((domain.size, 4), np.uint64)
    values[: len(row)] = row
    return value_at(domain.coefficients(values), point) * pow(2, -256, SCALAR_MODULUS) % SCALAR_MODULUS


def quotient_check(rows: Words, quotient: Words) -> None:
    """Compare h with a, b and c at a point of chance.  Raises Wrong."""
    point = secrets.randbelow(SCALAR_MODULUS)
    with ThreadPoolExecutor(3) as pool:
        a, b, c = pool.map(lambda row: row_value(row, point), rows)
    vanishing = pow(point, len(quotient), SCALAR_MODULUS) - 1
    if (a * b - c - value_at(quotient, point) * vanishing) % SCALAR_MODULUS:
        raise Wrong(f"h of {len(quotient)} rows")


@contextmanager
def clocked(what: str) -> Iterator[None]:
    """Print what something took: wall and CPU time, and the largest memory until then."""
    begun, computed = time.monotonic(), time.process_time()
    yield
    wall, cpu = time.monotonic() - begun, time.process_time() - computed
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sys.stdout.write(f"{what:<44}{wall:>9.1f} s{cpu:>10.1f} s CPU{peak:>8.1f} GiB\n")
    sys.stdout.flush()


def assigned(parameters: PoStParameters) -> list[int]:
    """Return what is given for a partition: few sectors are worked out, and used over and over."""
    numbers = range(min(DISTINCT_SECTORS, parameters.partition_sectors))
    chosen = [
        list(post_assignment(parameters, [uniform_sector(parameters, number=number)])) for number in numbers
    ]
    return [value for place in range(parameters.partition_sectors) for value in chosen[place % len(chosen)]]


class MadeReplica:
    """A sealed sector of random nodes where some sectors' challenges open it, and of zeros elsewhere."""

    def __init__(self, parameters: PoStParameters, folder: Path, randomness: bytes) -> None:
        """Write the sealed file, tree-r-last and p_aux."""
        self.files = SectorFiles(seal_parameters_of(parameters), folder / "cache", folder / "sealed")
        self.files.cache.mkdir(parents=True, exist_ok=True)
        self.span = BASE_ARITY ** (self.files.discarded_rows + 1)
        challenges = [
            challenge
            for number in range(parameters.partition_sectors)
            for challenge in sector_challenges(parameters, randomness, sector_number=number, position=number)
        ]
        pieces = np.unique(np.array(challenges, np.int64) // self.span)
        roots = self._pieces_write(pieces)
        in_base = self.files.base_leaves // self.span
        tops = []
        for base_tree in range(self.files.base_trees):
            here = pieces // in_base == base_tree
            tops.append(self._tree_write(base_tree, pieces[here] % in_base, roots[here], in_base))
        shape = self.files.parameters.shape
        self.files.roots_write(bytes(NODE_BYTES), upper_rows(tops, sub=shape.sub, top=shape.top)[-1][0])
        self.replica = Replica(0, self.files.comm_r or b"", str(self.files.cache), str(self.files.sealed))

    def _pieces_write(self, pieces: Indices) -> Words:
        """Write random nodes to the sealed file; return the roots of their pieces, each of one row stored."""
        random, roots = np.random.default_rng(1), np.empty((len(pieces), 4), np.uint64)
        small = np.empty(((self.span * BASE_ARITY - 1) // (BASE_ARITY - 1), 4), np.uint64)
        with self.files.sealed.open("wb") as file:
            file.truncate(self.files.parameters.sector_bytes)
            for at, piece in enumerate(pieces):
                small[: self.span] = random.integers(0, 1 << 62, (self.span, 4), np.uint64)
                grow_octonary(small, self.span)
                roots[at] = small[-1]
                file.seek(int(piece) * self.span * NODE_BYTES)
                file.write(small[: self.span].tobytes())
        return roots

    def _tree_write(self, base_tree: int, pieces: Indices, roots: Words, count: int) -> bytes:
        """Write one base tree of which these pieces are not of zeros; return its root."""
        tree = np.empty((self.files.tree_r_last_nodes, 4), np.uint64)
        zeros = np.zeros(((self.span * BASE_ARITY - 1) // (BASE_ARITY - 1), 4), np.uint64)
        grow_octonary(zeros, self.span)
        tree[:count] = zeros[-1]
        tree[pieces] = roots
        grow_octonary(tree, count)
        self.files.tree_r_last(base_tree).write_bytes(tree.tobytes())
        return node_bytes(tree[-1])


def opened(parameters: PoStParameters, folder: Path) -> list[int]:
    """Return what is given for a partition of one replica under many numbers, as the stage proves it.

    Raises Wrong if it finds a sector faulty.
    """
    seed = bytes(range(32))
    with clocked("made-up replica"):
        made = MadeReplica(parameters, folder, post_randomness(seed))
    numbers = range(parameters.partition_sectors)
    replicas = tuple(msgspec.structs.replace(made.replica, sector_id=number) for number in numbers)
    with made.files.sealed.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with clocked(f"vanilla proofs of {len(replicas):,} sectors, from the disk"):
        proofs, faults = window_post_prove(WindowPostTask(1000, WINDOW_32GIB, replicas, seed))
    if faults:
        raise Wrong(f"{len(faults)} sectors")
    return list(post_assignment(parameters, proofs))


def sums(circuit: Circuit, witness: Witness, *, quotient: Words, threads: int) -> None:
    """Sum up the points of all sections, and check each.  Raises Wrong."""
    densities = densities_of(circuit)
    factors: dict[str, Callable[[], Words]] = {
        "h": lambda: quotient[:-1],
        "l": lambda: witness.values[circuit.inputs :],
        "a": lambda: witness.values[densities.a],
        "b_g1": lambda: witness.values[densities.b],
        "b_g2": lambda: witness.values[densities.b],
    }
    known = scalars(DISTINCT_POINTS)
    for name, group in SECTIONS:
        own = factors[name]()
        generator = points_decode(group, G1_GENERATOR if group.name == "G1" else G2_GENERATOR)[0]
        few = multiples(group, generator, known, threads=threads)
        points = np.tile(few, (-(-len(own) // len(few)), 1))[: len(own)]
        multiexp(group, few[:4096], own[:4096], threads=threads)  # compiles
        with clocked(f"sum of {name}, {len(own):,} points of {group.name}"):
            result = multiexp(group, points, own, threads=threads)
        del points
        sum_check(group, result, own, known=integers(known))


def main(arguments: list[str]) -> int:
    """Measure; 1 if a result is wrong."""
    reads = ArgumentParser(prog="python -m tests.bench.partition", description=__doc__)
    reads.add_argument("--sectors", type=int, default=0, help="fewer than a partition holds, to try it")
    reads.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    reads.add_argument("--replica", type=Path, metavar="FOLDER", help="of a made-up replica that is opened")
    reads.add_argument("--until", choices=("vanilla", "witness", "h"), default="", help="the last step")
    wanted = reads.parse_args(arguments)
    parameters = post_parameters(WINDOW_32GIB)
    if wanted.sectors:
        parameters = replace(parameters, partition_sectors=wanted.sectors)
    threads, circuit = wanted.threads, post_circuit(parameters)
    sys.stdout.write(f"{machine()}; {threads} threads, {circuit.rows:,} constraints\n")
    values = opened(parameters, wanted.replica) if wanted.replica else assigned(parameters)
    if wanted.until == "vanilla":
        return 0
    small = replace(parameters, partition_sectors=1)
    witness_solve(post_circuit(small), assigned(small))  # compiles
    try:
        with clocked(f"witness of {parameters.partition_sectors:,} sectors"):
            witness = witness_solve(circuit, values, threads=threads)
        if wanted.until == "witness":
            return 0
        with clocked("h"):
            quotient = quotient_scalars(witness, threads=threads)
        quotient_check(witness.rows, quotient)
        if wanted.until == "h":
            return 0
        sums(circuit, witness, quotient=quotient, threads=threads)
    except Wrong as error:
        sys.stderr.write(f"wrong: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
