"""Golden files of the proof computations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parents[3] / "golden" / "proofs"


@pytest.fixture(scope="session")
def golden() -> Any:
    """Read a golden file of the proof computations by its name."""
    return lambda name: json.loads((GOLDEN / f"{name}.json").read_text())
