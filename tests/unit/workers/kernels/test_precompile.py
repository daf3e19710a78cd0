"""Compiled kernels in the cache: cut files cost a compilation, not the host."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import numba
import pytest

from workers.kernels import precompile as module
from workers.kernels.cache import VAR_VARIABLE, cache_folder, cache_use
from workers.kernels.precompile import precompile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives a small kernel as a process that has just begun would have it."""
    config: Any = numba.config  # made at run time from the environment
    monkeypatch.setattr(config, "CACHE_DIR", config.CACHE_DIR)
    monkeypatch.setenv(VAR_VARIABLE, str(tmp_path))
    cache_use()
    (tmp_path / "twice_kernel.py").write_text("def twice(number):\n    return number + number\n")
    monkeypatch.syspath_prepend(tmp_path)
    twice = importlib.import_module("twice_kernel").twice
    monkeypatch.delitem(sys.modules, "twice_kernel")
    return lambda: numba.njit(cache=True)(twice)


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("kept_bytes", [0, 20])
def test_a_cut_file_is_compiled_again(
    kernel: Any, monkeypatch: pytest.MonkeyPatch, ending: str, kept_bytes: int
) -> None:
    kernel()(20)
    (file,) = cache_folder().rglob(f"*.{ending}")
    whole = file.read_bytes()
    file.write_bytes(whole[:kept_bytes])
    again = kernel()
    monkeypatch.setattr(module, "KERNELS", {"twice": lambda: again(21)})

    precompile(["twice"])

    assert again(21) == 42
    (mended,) = cache_folder().rglob(f"*.{ending}")
    assert len(mended.read_bytes()) > kept_bytes
    fresh = kernel()
    assert fresh(1) == 2
    assert sum(fresh.stats.cache_hits.values()) == 1
