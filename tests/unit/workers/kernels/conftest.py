"""Kernel tests run on both paths: the one of this machine and the portable one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workers.kernels.cpu import FORCE_VARIABLE

GOLDEN = Path(__file__).parents[3] / "golden" / "proofs"


@pytest.fixture(params=["fast", "portable"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path under test; `fast` is what the machine has, which may be the portable one."""
    monkeypatch.setenv(FORCE_VARIABLE, "portable" if request.param == "portable" else "")
    return str(request.param)


@pytest.fixture(scope="session")
def golden() -> Any:
    """Read a golden file of the proof computations by its name."""
    return lambda name: json.loads((GOLDEN / f"{name}.json").read_text())
