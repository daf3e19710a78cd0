"""A whole partition of 32 GiB on all cores, of a WindowPoSt or a PoRep: witness, polynomial h, the five sums.

The circuit is the real one (2,349 sectors or 18 challenges, 125 or 130 million constraints), its witness
holds, and every sum is as long as in a proof.  Parameters of that size take a day and 61 GB, so the points of
each section are the same 2^20 multiples of the generator over and over, and no proof comes out: instead each
sum is checked by the sum of its scalars, each times its known multiple, and h against a · b - c at a point.
With --replica the sectors are made-up ones, under as many numbers, of one replica of 32 GiB that is read from
that folder by the stage itself: random where it is opened, 0 elsewhere, so that half a GiB is on the disk.
Not part of `make bench`: the sums take 80 GiB of memory, the witness 15; --until ends before.
Run: python -m tests.bench.partition [--sectors 2349] [--threads N] [--replica FOLDER] [--until vanilla]
     python -m tests.bench.partition --porep [--challenges 18] [--threads N] [--until witness]
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
from typing import Final

import msgspec
import numpy as np

from poolsite.filecoin.post.challenges import post_randomness
from poolsite.filecoin.post.parameters import PoStParameters, post_parameters
from poolsite.filecoin.scalars import SCALAR_MODULUS
from poolsite.wire.batch_model import PARAMETERS
from tests.bench.__main__ import machine
from tests.bench.made_sectors import MadeReplica, porep_partition
from tests.bench.snark_kernels import scalars
from workers.kernels.field import WORD_BITS, add_rows, limbs
from workers.kernels.r1cs import scale_rows
from workers.processors.post_tasks import WindowPostTask
from workers.processors.snark import post_assignment, uniform_sector
from workers.processors.window_post import window_post_prove
from workers.snark.arrays import Words
from workers.snark.circuits.porep import porep_circuit
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
    reads.add_argument("--porep", action="store_true")
    reads.add_argument("--challenges", type=int, default=18, help="of a PoRep; fewer, to try it")
    reads.add_argument("--sectors", type=int, default=0, help="fewer than a partition holds, to try it")
    reads.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    reads.add_argument("--replica", type=Path, metavar="FOLDER", help="of a made-up replica that is opened")
    reads.add_argument("--until", choices=("vanilla", "witness", "h"), default="", help="the last step")
    wanted = reads.parse_args(arguments)
    threads = wanted.threads
    if wanted.porep:
        seal = replace(PARAMETERS, challenges=wanted.challenges)
        whole = f"{seal.challenges} challenges"
        circuit, small = porep_circuit(seal), porep_circuit(replace(seal, challenges=1))
        values, few = porep_partition(seal), porep_partition(replace(seal, challenges=1))
    else:
        parameters = post_parameters(WINDOW_32GIB)
        if wanted.sectors:
            parameters = replace(parameters, partition_sectors=wanted.sectors)
        whole, one = f"{parameters.partition_sectors:,} sectors", replace(parameters, partition_sectors=1)
        circuit, small = post_circuit(parameters), post_circuit(one)
        values = opened(parameters, wanted.replica) if wanted.replica else assigned(parameters)
        few = assigned(one)
    sys.stdout.write(f"{machine()}; {threads} threads, {circuit.rows:,} constraints\n")
    if wanted.until == "vanilla":
        return 0
    witness_solve(small, few)  # compiles
    try:
        with clocked(f"witness of {whole}"):
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
