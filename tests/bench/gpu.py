"""`make gpu`: kernels of cards compiled for sm_80, sm_86 and sm_90 without a card; on one, bits and speed.

Registers and spills are bounded: a kernel that spills, or takes so many registers that few threads of
a multiprocessor run at a time, ends the run with 1.  On a machine with a card a piece of PC2's trees, and one
of each kind of a proof's work, are compared with the CPU's and timed; without one it says so, and prints no
figure.
"""

# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numba.cuda.dispatcher
import numpy as np
from cuda import pathfinder
from numba import cuda, types

from poolsite.filecoin.merkle import BASE_ARITY
from tests.unit.workers.snark.golden_circuits import golden_secrets
from workers.gpus import CARD_VARIABLE, gpus_here
from workers.kernels import curve_cuda, ntt_cuda, poseidon, poseidon_cuda, scalar_cuda
from workers.kernels.field import WORD_BITS, limbs
from workers.kernels.ntt_words import quotient_rows
from workers.processors.card_trees import LAYERS, Card
from workers.processors.parallel import parallel_for, thread_count
from workers.processors.trees import CHUNK_LEVELS, grow_octonary
from workers.snark.card import card_work
from workers.snark.domain import Domain
from workers.snark.multiexp import multiexp
from workers.snark.multiples import multiples
from workers.snark.points import G1, G2
from workers.storage.sector import tree_nodes

CAPABILITIES: Final = ((8, 0), (8, 6), (9, 0))
"""A100, RTX 30 and A5000, H100 and H200."""
REGISTERS_MAX: Final = 80
"""With 128 threads a block, 24 warps a multiprocessor: enough to hide the latency of a product."""
ROWS: Final = types.Array(types.uint32, 2, "C")
CODES, PIECES, STEPS = (
    types.Array(types.uint32, 1, "C"),
    types.Array(types.int64, 2, "C"),
    types.Array(types.uint8, 2, "C"),
)
PASSES: Final = 5
PROOF_BITS, POINTS, PROOF_KINDS = 22, 1 << 12, 3
"""Rows of h and points of a sum, by bits; how many of them differ; h, G1 and G2."""


def product(rows: Any, out: Any) -> None:
    """One product, whose code is counted."""
    value = scalar_cuda.add_product(
        scalar_cuda.sum_zero(), scalar_cuda.element_load(rows, 0), scalar_cuda.element_load(rows, 1)
    )
    scalar_cuda.element_store(out, 0, scalar_cuda.reduced_one(value))


def moved(rows: Any, out: Any) -> None:
    """Read and write as `product` does, without its multiplications."""
    for i in range(8):
        out[0, i] = rows[0, i] ^ rows[1, i]


KERNELS: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "poseidon": (
        poseidon_cuda.hash_cuda.py_func,
        (ROWS, types.int64, types.int64, ROWS, ROWS, types.int64, types.int64),
    ),
    "split": (ntt_cuda.split_cuda.py_func, (ROWS, ROWS, types.int64, types.int64)),
    "join": (ntt_cuda.join_cuda.py_func, (ROWS, ROWS, types.int64, types.int64)),
    "powers": (ntt_cuda.powers_cuda.py_func, (ROWS, ROWS, ROWS)),
    "scale": (ntt_cuda.scale_cuda.py_func, (ROWS, ROWS, ROWS, ROWS, types.int64, types.int64)),
    "quotient": (ntt_cuda.quotient_cuda.py_func, (ROWS, ROWS, ROWS, ROWS)),
    "sums of G1": (curve_cuda.KERNELS[0][1].py_func, (ROWS, types.int64, CODES, PIECES, ROWS, STEPS)),
    "sums of G2": (curve_cuda.KERNELS[0][2].py_func, (ROWS, types.int64, CODES, PIECES, ROWS, STEPS)),
    "product": (product, (ROWS, ROWS)),
    "moved": (moved, (ROWS, ROWS)),
}
COUNTED: Final = ("product", "moved")
"""Compiled for what they are made of."""


def main() -> int:
    """Print a line of JSON for each kernel and card; return the exit code."""
    is_good = sum(_compiled(*capability) for capability in CAPABILITIES) == len(CAPABILITIES)
    if not gpus_here():
        _say({"card": None, "speed": "not measured: no card here"})
        return 0 if is_good else 1
    _measured(Card())
    _proofs_measured()
    return 0 if is_good else 1


def _compiled(major: int, minor: int) -> bool:
    """Compile every kernel for one kind of card; return whether its bounds are kept."""
    tools = Path(str(pathfinder.find_nvidia_binary_utility("nvdisasm"))).parent
    capability, is_good = SimpleNamespace(compute_capability=(major, minor)), True
    own = numba.cuda.dispatcher.get_current_device
    numba.cuda.dispatcher.get_current_device = lambda: capability  # functions of the card ask for one
    counts: dict[str, Counter[str]] = {}
    try:
        for name, (kernel, signature) in KERNELS.items():
            ptx, _ = cuda.compile_ptx(kernel, signature, cc=(major, minor))
            with tempfile.TemporaryDirectory() as folder:
                text, code = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
                text.write_text(ptx)
                arch = f"sm_{major}{minor}"
                said = _output(tools / "ptxas", "-v", f"-arch={arch}", "-o", code, text)
                counts[name] = _instructions(_output(tools / "nvdisasm", "-c", code))
            if name not in COUNTED:
                found = {
                    "registers": int(re.findall(r"Used (\d+) registers", said)[-1]),
                    "spilled_bytes": sum(map(int, re.findall(r"(\d+) bytes spill", said))),
                    "local_bytes": int(re.findall(r"(\d+) bytes stack frame", said)[-1]),
                }
                is_within = found["registers"] <= REGISTERS_MAX and not found["spilled_bytes"]
                _say({"kernel": name, "card": arch} | found | {"is_within_bounds": is_within})
                is_good = is_good and is_within
    finally:
        numba.cuda.dispatcher.get_current_device = own
    own_code = counts["product"] - counts["moved"]
    wide = sum(count for name, count in own_code.items() if name.startswith("IMAD.WIDE"))
    _say({"kernel": "product", "card": arch, "instructions": own_code.total(), "of_them_products": wide})
    return is_good


def _output(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def _instructions(code: str) -> Counter[str]:
    """Count a kernel's instructions by name."""
    lines = re.findall(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9.]+)", code, re.MULTILINE)
    return Counter(name for name in lines if name not in ("NOP", "BRA", "EXIT"))


def _measured(card: Card) -> None:
    """Compare a piece of PC2 with all cores' and time both: the copies of all layers are in it."""
    leaves = BASE_ARITY**card.levels
    rows = np.random.default_rng(1).integers(0, 1 << 62, (LAYERS, leaves, 4), np.uint64)
    layers, trees = list(rows), np.zeros((2, tree_nodes(leaves, BASE_ARITY), 4), np.uint64)

    def work(first: int, end: int) -> None:
        poseidon.hash_columns([layer[first:end] for layer in layers], trees[1][first:end])

    def by_cores() -> None:
        parallel_for(work, leaves, size=BASE_ARITY**CHUNK_LEVELS)
        grow_octonary(trees[1], leaves)

    name = cuda.get_current_device().name
    columns_s = _best(lambda: card.columns_grow(layers, trees[0], leaves))
    _best(by_cores, passes=1)
    if not np.array_equal(trees[0], trees[1]):
        raise SystemExit(f"{name}: hashes are wrong")
    rows_s, cores_s = _best(lambda: card.grow(trees[0], leaves)), _best(by_cores, passes=1)
    for what, seconds in (
        ("columns of eleven and their tree", columns_s),
        ("tree", rows_s),
        (f"columns and tree, {thread_count()} threads of the CPU", cores_s),
    ):
        _say(
            {"card": name, "piece": leaves, "of": what, "ms": 1000 * seconds, "leaves_a_s": leaves / seconds}
        )


def _proofs_measured() -> None:
    """Make a piece of each kind of a proof's work by the card and by all cores; its bits are compared."""
    os.environ[CARD_VARIABLE] = "always"
    size, name, secrets = 1 << PROOF_BITS, cuda.get_current_device().name, golden_secrets("window")
    scalars = np.random.default_rng(2).integers(0, 1 << 62, (size, 4), np.uint64)
    for group, base in ((G1, secrets.g1), (G2, secrets.g2)):
        some = multiples(group, base, scalars[:POINTS], threads=thread_count())
        multiexp(group, np.resize(some, (size, group.words)), scalars, threads=thread_count())
    a, b, c = scalars.copy(), scalars[::-1].copy(), scalars.copy()
    quotient_rows(c, b, np.zeros_like(c), limbs([1], bits=WORD_BITS)[0])  # c = a · b, as in a proof
    Domain(PROOF_BITS).quotient([a, b, c], threads=thread_count())
    trials = card_work().trials
    for kind, trial in trials.items():
        _say({"card": name, "piece": size, "of": kind, "s": trial.card_s, "cpu_s": trial.cpu_s})
    if len(trials) < PROOF_KINDS:
        raise SystemExit(f"{name}: a piece of a proof is wrong, or failed; see above")


def _best(work: Any, *, passes: int = PASSES) -> float:
    """Return the wall time of the best pass, after one that compiles."""
    work()
    seconds = []
    for _ in range(passes):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


if __name__ == "__main__":
    sys.exit(main())
