"""`python -m workers params`: list, check, convert and generate Groth16 parameters of circuits."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Final

from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from workers.loading import loaded
from workers.processors.terminal import error_text, size_argument
from workers.snark.files import CircuitKind, ParametersMissing

NICE: Final = 19
"""Of `prepare --background`."""
COMMANDS: Final = {
    "list": "workers.processors.params_files:parameters_list",
    "check": "workers.processors.params_files:parameters_check",
    "make": "workers.processors.params_files:parameters_make",
    "convert": "workers.processors.params_files:parameters_convert",
    "prepare": "workers.processors.params_files:parameters_prepare",
    "powers": "workers.processors.params_files:powers_generate",
}
"""By name, as the list is wanted without the kernels, which take seconds to load."""


def main(arguments: Sequence[str]) -> int:
    """Do what was asked; JSON on stdout, 1 with a sentence on stderr if it fails."""
    wanted = _parser().parse_args(arguments)
    if getattr(wanted, "background", False):
        os.nice(NICE)  # before the kernels load: a prover may be at work beside it
    try:
        value = loaded(COMMANDS[wanted.command])(wanted)
    except KeyboardInterrupt:
        sys.stderr.write("params: interrupted; unfinished files were not put into place\n")
        return 130
    except (ParametersMissing, ValueError, OSError, MemoryError) as error:
        sys.stderr.write(f"params: {error_text(error)}\n")
        return 1
    sys.stdout.write(json.dumps(value) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers params", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "list": "list the circuits of a sector size, their files, and which are present",
        "check": "check every point of a parameter file, and that it belongs to the circuit",
        "make": "generate parameters from a seed: TOXIC, for tests and private chains",
        "convert": "check a file and convert it once for the provers",
        "prepare": "generate (with --seed) or convert what is missing, and time a proof",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text, description=text)
        if name != "list":
            kinds = [str(kind) for kind in CircuitKind]
            command.add_argument("circuit", choices=kinds, nargs="+" if name == "prepare" else None)
        command.add_argument("--size", type=size_argument, default=SECTOR_SIZES[0], help="2KiB, … 64GiB")
        if name == "check":
            text = "reject a file that is not in this network's list"
            command.add_argument("--network", default="", help=f"mainnet or calibrationnet: {text}")
        if name in ("make", "prepare"):
            command.add_argument(
                "--seed", required=name == "make", help="any text; anyone who knows it can forge proofs"
            )
        if name == "prepare":
            command.add_argument("--background", action="store_true", help="run at lowest priority")
    text = "generate the set-up for aggregates from a seed: TOXIC, for tests and private chains"
    powers = commands.add_parser("powers", help=text, description=text)
    powers.add_argument("--seed", required=True, help="any text; anyone who knows it can forge proofs")
    powers.add_argument("--proofs", type=int, default=64, help="maximum proofs per aggregate (64)")
    return parser
