"""Print a card's results in numba's simulator as JSON; a process of its own, as numba decides at its start.

Run: NUMBA_ENABLE_CUDASIM=1 POOLSITE_CARD=always python -m tests.unit.workers.processors.simulated_card FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.workers.processors.sealing import golden, sealing
from workers.processors.card_trees import Card, tree_maker

LEAVES = 8


def arities() -> dict[str, list[str]]:
    """The hashes of eight golden messages of every arity, as columns of so many layers."""
    card, made = Card(), {}
    for arity in (2, 4, 8, 11):
        cases = golden("poseidon")[f"arity{arity}"]["cases"]
        layers = [
            np.frombuffer(b"".join(bytes.fromhex(case["in"][i]) for case in cases), np.uint64).reshape(-1, 4)
            for i in range(arity)
        ]
        tree = np.zeros((LEAVES + 1, 4), np.uint64)
        card.columns_grow([np.resize(layer, (LEAVES, 4)) for layer in layers], tree, LEAVES)
        made[f"arity{arity}"] = [row.tobytes().hex() for row in tree[: len(cases)]]
    return made


def main(folder: Path) -> dict[str, Any]:
    """Seal the golden sector up to PC2, its trees by the card."""
    pieces: list[int] = []
    for name in ("columns_grow", "grow"):
        own = getattr(Card, name)

        def counted(card: Card, *arguments: Any, own: Any = own) -> None:
            own(card, *arguments)
            pieces.append(arguments[-1])

        setattr(Card, name, counted)
    sector = sealing("2k_v1_1", 5, folder=folder)
    _, _, output = sector.to_pc2()
    trial = tree_maker().trial
    assert trial is not None
    made = {"comm_r": output.comm_r.hex(), "pieces": list(pieces), "gpu": trial.gpu}
    return made | {"hashes": arities()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))))
