"""Finding and loading the golden files of the chain formats."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3] / "golden" / "chain"


@functools.cache
def load(name: str) -> Any:
    """The content of a file, by its path under tests/golden/chain without `.json`."""
    return json.loads((ROOT / f"{name}.json").read_text())


def alike(ours: Any, go: Any) -> bool:
    """Equal JSON, where Go may print null for an empty list or empty bytes."""
    if isinstance(go, dict) and isinstance(ours, dict):
        return go.keys() == ours.keys() and all(alike(ours[key], go[key]) for key in go)
    if isinstance(go, list) and isinstance(ours, list):
        return len(go) == len(ours) and all(map(alike, ours, go))
    if isinstance(go, str) and go.startswith("t") and isinstance(ours, str):
        return ours in (go, "f" + go[1:])  # an address with the other network's prefix
    return ours == go or (ours in (None, [], "") and go in (None, [], ""))
