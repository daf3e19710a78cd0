"""`python -m workers <program>`: everything that runs on a tenant's host; each loads only what it needs."""

from __future__ import annotations

import sys
from typing import Final

from workers.loading import loaded

PROGRAMS: Final[dict[str, tuple[str, str]]] = {
    "signer": ("workers.signer.commands:main", "hold keys and sign what the policy allows"),
    "sealer": ("workers.agent.sealer:main", "seal sectors for a console"),
    "prover": ("workers.prover.main:main", "prove the sectors in the stores whenever the chain requires it"),
    "machine": ("workers.machine:main", "show this machine's hardware and propose slots for it"),
    "precompile": (
        "workers.processors.precompile:main",
        "compile the kernels that the stages need, once per machine",
    ),
    "seal": ("workers.processors.seal:main", "seal one sector by hand"),
    "measure-disks": (
        "workers.processors.measure_disks:main",
        "measure random reads of drives that are to hold layers",
    ),
    "reset-drives": (
        "workers.reset_drives:main",
        "begin anew on the drives of layers, once one was replaced",
    ),
    "bench": ("workers.processors.bench:main", "measure the kernels"),
    "verify": (
        "workers.processors.verify:main",
        "verify a sealed sector by recomputing every hash, or Groth16 proofs",
    ),
    "commp": ("workers.processors.commp:main", "compute piece commitments of files"),
    "params": ("workers.processors.params:main", "list, check, convert and generate Groth16 parameters"),
    "prove": ("workers.processors.prove:main", "compute Groth16 proofs by hand"),
    "post": ("workers.processors.post:main", "prove sectors that were sealed by hand"),
}
"""Name → module and function, and what it does; by name, so that none loads what it does not need."""


def usage() -> str:
    """List the programs."""
    lines = "".join(f"  {name:<14}{does}\n" for name, (_, does) in PROGRAMS.items())
    return f"usage: python -m workers PROGRAM ...\n\n{lines}\nMore: python -m workers PROGRAM --help\n"


def main(argv: list[str]) -> int:
    """Run one program with the rest of the command line; 2 if there is none of this name."""
    if argv and argv[0] in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0
    if not argv or argv[0] not in PROGRAMS:
        wrong = f"unknown program {argv[0]!r}" if argv else "no program named"
        sys.stderr.write(f"python -m workers: {wrong}: choose one of {', '.join(PROGRAMS)}\n")
        return 2
    code: int = loaded(PROGRAMS[argv[0]][0])(argv[1:])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
