from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.workers.snark.golden_circuits import golden_circuit, golden_secrets
from workers.snark.setup import parameters_make


@pytest.fixture(scope="session")
def winning_parameters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden WinningPoSt parameters, made from their secrets."""
    path = tmp_path_factory.mktemp("parameters") / "winning.params"
    parameters_make(golden_circuit("winning").circuit, golden_secrets("winning"), path, threads=2)
    return path


@pytest.fixture(scope="session")
def window_parameters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden WindowPoSt parameters, made from their secrets."""
    path = tmp_path_factory.mktemp("parameters") / "window.params"
    parameters_make(golden_circuit("window").circuit, golden_secrets("window"), path)
    return path
