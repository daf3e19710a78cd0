"""bellperson's C2 as a host's own program: `[[processors.c2]]` names it, a request has several sectors.

A host's file is read and its children are started as a host does both.  Sectors of 2 KiB, all cores; CPU
seconds of a sector's C2 beside those of our own child.  Every proof must hold for its sector alone, and a
sector that the program refuses may not harm the others of its request.
Run: python -m tests.bench.rust_processor [--keep]
"""

from __future__ import annotations

import base64
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import msgspec
import psutil  # type: ignore[import-untyped]

from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE, VAR_VARIABLE
from poolsite.filecoin.porep.c1 import c1_from_json
from poolsite.filecoin.porep.replica import prover_id_bytes
from tests.bench.rust_groth16 import Disagreement, Statement, ran, statements_check
from tests.bench.rust_proofs import TARGET_VARIABLE, Figures, baselines_of, build, report
from tests.bench.rust_sector import SEED, TICKET
from workers.celery import FORM_VARIABLE, pool_of
from workers.config import sealer_config
from workers.kernels.cache import cache_base
from workers.processors.errors import PermanentError, ProcessorError
from workers.processors.seal_proofs import parameters_named
from workers.processors.tasks import C2Output, C2Task
from workers.stage_processors import PROCESSORS_VARIABLE

if TYPE_CHECKING:
    from workers.processors.pool import ProcessorPool

MINER: Final = 1000
SECTORS: Final = 2
LINE: Final = "C2 by a host's own program"
OURS: Final = "[[processors.c2]]\nconcurrent = 1\nauto_restart = true\n"
"""A child of its own, a sector at a time: it uses all cores for each."""
THEIRS: Final = """[[processors.c2]]
bin = "{program}"
args = ["processor", "c2"]
sectors = {sectors}
"""


def pool_open(text: str, folder: Path) -> ProcessorPool:
    """Return the children of a host with such a file."""
    folder.mkdir()
    (folder / "config.toml").write_text(text)
    own = ("--dir", str(folder), "--token", "unused")
    config = sealer_config([*own, "--sector-size", "2KiB", "--snark", "groth16"])
    environment = {
        PROCESSORS_VARIABLE: msgspec.json.encode(config.children).decode(),
        FORM_VARIABLE: config.snark,
    }
    return pool_of(environment, folder)


def cpu_seconds() -> float:
    """Return the CPU time of the children so far."""
    times = [child.cpu_times() for child in psutil.Process().children()]
    return float(sum(one.user + one.system for one in times))


def made(pool: ProcessorPool, tasks: list[C2Task]) -> list[C2Output | ProcessorError]:
    """Return the output or error of each, all called at once."""

    def call(task: C2Task) -> C2Output | ProcessorError:
        try:
            output: C2Output = pool.call("c2", task)
        except ProcessorError as error:
            return error
        return output

    with ThreadPoolExecutor(len(tasks)) as threads:
        return list(threads.map(call, tasks))


def measured(
    text: str, folder: Path, tasks: list[C2Task], *, before: list[C2Task]
) -> tuple[list[C2Output | ProcessorError], float]:
    """Return what a host with such a file makes of tasks, and the CPU seconds of each sector's proof."""
    pool = pool_open(text, folder)
    try:
        if before:
            made(pool, before)
        begun, cpu = time.monotonic(), cpu_seconds()
        outcomes = made(pool, tasks)
        seconds = (cpu_seconds() - cpu) / SECTORS
        sys.stderr.write(
            f"{folder.name}: {SECTORS} sectors in {time.monotonic() - begun:.1f} s of wall time\n"
        )
        return outcomes, seconds
    finally:
        pool.close()


def statement_of(c1_json: str, proof: bytes) -> Statement:
    """Return a PoRep as `workers verify` takes it."""
    output = c1_from_json(c1_json)
    names = ("replica_id", "comm_d", "comm_r", "seed")
    return {
        "kind": "porep",
        "registered_proof": parameters_named(output.registered_proof).number,
        **{name: getattr(output, name).hex() for name in names},
        "proof": base64.b64encode(proof).decode(),
    }


def compared(program: Path, folder: Path, environment: dict[str, str]) -> tuple[Figures, Figures]:
    """Seal sectors, prove them by both, check theirs.  Raises Disagreement."""
    tasks = []
    for number in range(1, SECTORS + 1):
        out = folder / str(number)
        words = ("--size", "2KiB", "--miner", f"f0{MINER}", "--number", str(number), "--out", str(out))
        ran("seal", *words, "--ticket", TICKET, "--seed", SEED, environment=environment)
        text = (out / "c1.json").read_text()
        tasks.append(C2Task(text, None, prover_id_bytes(MINER), number, MINER))
    _, ours = measured(OURS, folder / "ours", tasks, before=tasks[:1])  # the first one compiles
    bad = C2Task("{}", None, prover_id_bytes(MINER), SECTORS + 1, MINER)
    text = THEIRS.format(program=program, sectors=len([*tasks, bad]))
    (*outcomes, refused), theirs = measured(text, folder / "bellperson", [*tasks, bad], before=[])
    if not isinstance(refused, PermanentError):
        raise Disagreement(f"a sector without proofs of C1 gives {refused}")
    statements = {}
    for task, outcome in zip(tasks, outcomes, strict=True):
        if isinstance(outcome, ProcessorError):
            raise Disagreement(f"sector {task.sector_id} has no proof: {outcome}")
        statements[f"sector-{task.sector_id}"] = statement_of(task.c1_json or "", outcome.proof)
    statements_check(statements, folder, environment)
    sys.stdout.write(
        f"{len(statements)} proofs of one request hold here; a third sector was refused: {refused}\n"
    )
    return Figures({LINE: (ours, "s")}), Figures({LINE: (theirs, "s")})


def main(*, keeps: bool) -> int:
    """Build, seal, prove by both, check; 1 where a proof is refused, or as `Baselines.close` says."""
    cargo = shutil.which("cargo")
    if cargo is None:
        sys.stderr.write("bench-rust: there is no cargo on this machine; see https://rustup.rs\n")
        return 1
    base, parameters = cache_base().parent / "rust", cache_base() / "bench-parameters"
    base.mkdir(parents=True, exist_ok=True)
    program = build(cargo, Path(os.environ.get(TARGET_VARIABLE) or base / "target"))
    environment = os.environ | {FOLDER_VARIABLE: str(parameters), VAR_VARIABLE: str(parameters / "state")}
    ran("params", "prepare", "porep", "--size", "2KiB", "--seed", "bench", environment=environment)
    os.environ.update(environment)  # both children read the same files
    with TemporaryDirectory(dir=base) as name:
        try:
            ours, theirs = compared(program, Path(name), environment)
        except Disagreement as error:
            sys.stderr.write(f"bench-rust: {error}\n")
            return 1
    return report(ours, theirs, targets={}, baselines=baselines_of("rust_processor", keeps=keeps))


if __name__ == "__main__":
    sys.exit(main(keeps="--keep" in sys.argv[1:]))
