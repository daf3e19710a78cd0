"""Compiled kernels in the cache: cut and changed files cost a compilation, not the host."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import pytest

from workers.kernels import cache
from workers.kernels import precompile as module
from workers.kernels.cache import CACHE_VARIABLE, VAR_VARIABLE, cache_folder, cache_use, sources_digest
from workers.kernels.precompile import precompile


def twice_imported() -> Any:
    """Import the kernel's function from the path as it is now: numba imported an earlier one, too."""
    sys.modules.pop("twice_kernel", None)
    return importlib.import_module("twice_kernel").twice


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives a small kernel as a process that has just begun would have it."""
    config: Any = numba.config  # made at run time from the environment
    monkeypatch.setattr(config, "CACHE_DIR", config.CACHE_DIR)
    monkeypatch.setattr(
        cache, "cache_base", lambda: tmp_path / "numba"
    )  # numba rereads a changed environment
    cache_use()
    (tmp_path / "twice_kernel.py").write_text("def twice(number):\n    return number + number\n")
    monkeypatch.syspath_prepend(tmp_path)
    twice = twice_imported()
    return lambda: numba.njit(cache=True)(twice)


def test_kernels_are_kept_below_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv(VAR_VARIABLE, str(tmp_path))

    assert cache_folder() == tmp_path / "numba" / sources_digest()


def test_the_same_sources_in_another_folder_find_their_kernels(
    kernel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel()(20)
    clone = tmp_path / "clone" / tmp_path.name
    clone.mkdir(parents=True)
    (clone / "twice_kernel.py").write_bytes((tmp_path / "twice_kernel.py").read_bytes())
    monkeypatch.syspath_prepend(clone)
    twice = numba.njit(cache=True)(twice_imported())

    assert twice(21) == 42
    assert twice.stats.cache_hits


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place that cannot be written; gives the folder for temporary files."""
    (tmp_path / "file").touch()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "numba"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    config: Any = numba.config
    monkeypatch.setattr(config, "CACHE_DIR", "")
    return tmp_path / "temporary"


def test_kernels_are_kept_where_their_place_is_read_only(read_only: Path) -> None:
    cache_use()

    [own] = read_only.iterdir()
    assert own.stat().st_mode & 0o777 == 0o700
    assert numba.config.CACHE_DIR == str(cache_folder()) == str(own / sources_digest())  # type: ignore[attr-defined]  # as above


@pytest.mark.parametrize("is_link", [True, False])
def test_kernels_of_others_are_not_run(read_only: Path, is_link: bool) -> None:
    others = read_only / "others"
    others.mkdir()
    name = read_only / f"poolsite-numba-{os.getuid()}"
    if is_link:
        name.symlink_to(others)
    else:
        name.mkdir()
        name.chmod(0o777)

    cache_use()

    assert numba.config.CACHE_DIR == ""  # type: ignore[attr-defined]  # as above


def _cut(whole: bytes) -> bytes:
    return whole[:20]


def _flip(whole: bytes) -> bytes:
    """Return the file with one bit of its middle flipped, which unpickles."""
    at = len(whole) // 2
    return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [lambda _: b"", _cut, _flip], ids=["empty", "cut", "flipped"])
def test_a_damaged_file_is_compiled_again(
    kernel: Any, monkeypatch: pytest.MonkeyPatch, ending: str, damage: Callable[[bytes], bytes]
) -> None:
    kernel()(20)
    (file,) = cache_folder().rglob(f"*.{ending}")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    again = kernel()
    monkeypatch.setattr(module, "KERNELS", {"twice": lambda: again(21)})

    precompile(["twice"])

    assert again(21) == 42
    assert not again.stats.cache_hits
    (mended,) = cache_folder().rglob(f"*.{ending}")
    assert mended.read_bytes() != damage(whole)
    fresh = kernel()
    assert fresh(1) == 2
    assert sum(fresh.stats.cache_hits.values()) == 1
