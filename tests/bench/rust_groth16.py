"""Groth16 by bellperson and by us in one run: one sector, one set of parameter files, each checks the other.

Both prove WindowPoSt, WinningPoSt, PoRep and an update of a sector of 2 KiB that we sealed and encoded, with
parameters that we made, one after the other on one core: CPU time, the best of several.  Who
refuses the other's proof, or takes one for another statement, ends the run.  A ratio that is a tenth lower
than the one kept for this kind of processor has regressed: a miss.
Run: python -m tests.bench.rust_groth16 [--keep] [window] [winning] [porep] [update]
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE, VAR_VARIABLE
from tests.bench.rust_proofs import TARGET_VARIABLE, Figures, baselines_of, build, measured, report
from tests.bench.rust_sector import SEED, TICKET
from tests.bench.snark import TARGETS
from workers.kernels.cache import cache_base

RANDOMNESS: Final = "04" * 32
PROOFS: Final = {
    "window": ("WindowPoSt proof", ("--randomness", RANDOMNESS), "", 3),
    "winning": ("WinningPoSt proof", ("--randomness", RANDOMNESS), "", 3),
    "porep": ("PoRep proof", (), "c1.json", 1),
    "update": ("update proof", (), "", 1),
}
"""By the word of `workers prove`: line, options, what it takes, passes after the first."""
CIRCUITS: Final = {
    "window": "window_post",
    "winning": "winning_post",
    "porep": "porep",
    "update": "update",
}
DATA: Final = (bytes(range(256)) * 8)[:2032]
"""What an update puts into the sector: as much as it takes."""

Statement = dict[str, Any]
"""What is proven, and the proof."""


class Disagreement(Exception):
    """One side refuses what the other proved, or takes what it did not."""


def ran(*words: str, environment: dict[str, str]) -> str:
    """Run `python -m workers`; return what it printed."""
    command = [sys.executable, "-m", "workers", *words]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def proven(what: str, sector: Path, out: Path) -> float:
    """Prove in this process, write the last proof's JSON and bytes; return the best pass's CPU seconds."""
    best = float("inf")
    statement: Statement = {}
    for turn in range(PROOFS[what][-1] + 1):
        begun = time.process_time()
        statement = by_hand(what, sector)
        if turn:  # the first one compiles
            best = min(best, time.process_time() - begun)
    (out / f"{what}.json").write_text(json.dumps(statement))
    (out / f"{what}.proof").write_bytes(base64.b64decode(statement["proof"]))
    return best


def by_hand(what: str, sector: Path) -> Statement:
    """Return what `workers prove` prints.  Raises Disagreement."""
    from workers.processors import prove

    name, options, file, _ = PROOFS[what]
    if what == "update":
        (sector.parent / "data").write_bytes(DATA)
        options = ("--pieces", str(sector.parent / "data"), "--out", str(sector.parent / "updated"))
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        if prove.main([what, str(sector / file), *options]):
            raise Disagreement(f"our {name} cannot be made")
    statement: Statement = json.loads(said.getvalue())
    return statement


def ours(kinds: list[str], folder: Path, *, core: int, environment: dict[str, str]) -> Figures:
    """Prove each in a child of its own on one core."""
    figures, sector, out = Figures(), folder / "sector", folder / "ours"
    for what in kinds:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.rust_groth16", "prove", what, str(sector), str(out)],
            env=environment | {"POOLSITE_SNARK": "groth16"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        figures[PROOFS[what][0]] = (float(done.stdout.splitlines()[-1]), "s")
    return figures


def theirs_check(kinds: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Check the proofs of theirs, and that they hold for nothing else.  Raises Disagreement."""
    statements = {}
    for what in kinds:
        statements[what] = json.loads((folder / "ours" / f"{what}.json").read_text())
        proof = (folder / "theirs" / f"{what}.proof").read_bytes()
        statements[what]["proof"] = base64.b64encode(proof).decode()
    statements_check(statements, folder, environment)


def statements_check(statements: Mapping[str, Statement], folder: Path, environment: dict[str, str]) -> None:
    """Check proofs made by others, and that they hold for nothing else.  Raises Disagreement."""
    good, bad = [], []
    for name, statement in statements.items():
        good.append(folder / f"{name}.json")
        good[-1].write_text(json.dumps(statement))
        field = {"porep": "seed", "update": "comm_d_new"}.get(statement["kind"], "randomness")
        bad.append(folder / f"{name}-other.json")
        bad[-1].write_text(json.dumps(statement | {field: "05" * 32}))
    told = json.loads(ran("verify", *map(str, good), environment=environment)) if good else {"errors": []}
    if told["errors"]:
        raise Disagreement(f"our verifier refuses theirs: {told['errors']}")
    for path in bad:
        command = [sys.executable, "-m", "workers", "verify", str(path)]
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
        if not done.returncode:
            raise Disagreement(f"our verifier takes {path.name}, which is about something else")


def main(kinds: list[str], *, keeps: bool = False) -> int:
    """Build, seal, prove with both, check crosswise; 1 where they disagree, or as `Baselines.close` says."""
    cargo = shutil.which("cargo")
    if cargo is None:
        sys.stderr.write("bench-rust: there is no cargo on this machine; see https://rustup.rs\n")
        return 1
    base, parameters = cache_base().parent / "rust", cache_base() / "bench-parameters"
    base.mkdir(parents=True, exist_ok=True)
    program = build(cargo, Path(os.environ.get(TARGET_VARIABLE) or base / "target"))
    core = max(os.sched_getaffinity(0))
    environment = os.environ | {FOLDER_VARIABLE: str(parameters), VAR_VARIABLE: str(parameters / "state")}
    for kind in kinds:
        ran("params", "prepare", CIRCUITS[kind], "--size", "2KiB", "--seed", "bench", environment=environment)
    os.environ.update(environment)  # the reference reads the same files
    with TemporaryDirectory(dir=base) as name:
        folder = Path(name)
        (folder / "ours").mkdir()
        words = ("--size", "2KiB", "--miner", "f01000", "--number", "1", "--ticket", TICKET, "--seed", SEED)
        sealed = json.loads(ran("seal", *words, "--out", str(folder / "sector"), environment=environment))
        sys.stderr.write(f"load {os.getloadavg()[0]:.1f}\n")
        made = ours(kinds, folder, core=core, environment=environment)
        command = [str(program), "groth16", str(folder), sealed["comm_r"], sealed["comm_d"], *kinds]
        peers = measured(command, core, folder=base)
        try:
            theirs_check(kinds, folder, environment)
        except Disagreement as error:
            sys.stderr.write(f"bench-rust: {error}\n")
            return 1
    sys.stdout.write(f"{len(kinds)} of our proofs hold there, {len(kinds)} of theirs here\n")
    return report(made, peers, targets=TARGETS, baselines=baselines_of("rust_groth16", keeps=keeps))


if __name__ == "__main__":
    if sys.argv[1:2] == ["prove"]:
        sys.stdout.write(f"{proven(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))}\n")
        sys.exit(0)
    named = [one for one in sys.argv[1:] if one != "--keep"]
    sys.exit(main(named or list(PROOFS), keeps="--keep" in sys.argv[1:]))
