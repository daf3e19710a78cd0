"""`python -m workers <program>`: everything that runs on a tenant's host; each loads only what it needs."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

PROGRAMS: Final[dict[str, str]] = {
    "signer": "workers.signer.commands:main",
    "sealer": "workers.agent.sealer:main",
    "prover": "workers.prover.main:main",
    "warm": "workers.processors.warm:main",
    "seal": "workers.processors.seal:main",
    "bench": "workers.processors.bench:main",
    "verify": "workers.processors.verify:main",
    "commp": "workers.processors.commp:main",
    "post": "workers.processors.post:main",
}
"""Name → module and function.  By name, so that the signer loads no numba and the sealer no web server."""


def main(argv: list[str]) -> int:
    """Run one program with the rest of the command line."""
    if not argv or argv[0] not in PROGRAMS:
        sys.stderr.write(f"usage: python -m workers {{{','.join(PROGRAMS)}}} ...\n")
        return 2
    module, _, function = PROGRAMS[argv[0]].partition(":")
    code: int = getattr(import_module(module), function)(argv[1:])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
