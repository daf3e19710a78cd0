"""Where compiled kernels are kept between processes.

numba looks only at the file that a kernel stands in, but a kernel is also made of intrinsics from
other files; so the folder's name carries a digest of all of them.  Each file ends with a digest of what was
written: one whose bits have changed is compiled again, as it would seal and prove wrongly without an error.
"""

from __future__ import annotations

import os
import pickle
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numba
from numba.core import caching

from workers.kernels.cpu import LANES_BY_FMA, WORDS_BY_ADX

CACHE_VARIABLE = "NUMBA_CACHE_DIR"
"""Environment variable: folder of the compiled kernels."""

VAR_VARIABLE = "POOLSITE_VAR"
"""Environment variable: the state folder; kernels are kept in its `numba`."""


@cache
def sources_digest() -> str:
    """Return a digest of all kernel sources, of the compiler's version and of how fields multiply."""
    digest = sha256(f"{numba.__version__} {WORDS_BY_ADX} {LANES_BY_FMA}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def cache_base() -> Path:
    """Return the folder below which every version of the kernels has its own.

    If that folder cannot be written, return one below the folder for temporary files: numba refuses to cache
    a kernel without a writable folder.
    """
    chosen, var = os.environ.get(CACHE_VARIABLE), os.environ.get(VAR_VARIABLE)
    base = Path(chosen) if chosen else (Path(var) if var else Path(__file__).parents[2] / "var") / "numba"
    with suppress(OSError):
        base.mkdir(parents=True, exist_ok=True)
    if os.access(base, os.W_OK):
        return base
    return _temporary_base() or base


def _temporary_base() -> Path | None:
    """Return a folder for temporary files that nobody else can write to: what lies there is run."""
    with suppress(OSError):
        folder = Path(tempfile.gettempdir()) / f"poolsite-numba-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
            return folder
    return None


def cache_folder() -> Path:
    """Return the folder of this version's compiled kernels."""
    return cache_base() / sources_digest()


def cache_use() -> None:
    """Set where numba keeps kernels; an unwritable place is left to numba's own choice."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]  # made at run time from the environment
    caching.IndexDataCacheFile = CheckedFiles  # type: ignore[misc]  # numba has no option for it
    numba.config.CACHE_LOCATOR_CLASSES = LOCATORS  # type: ignore[attr-defined]  # as above


class PlainFolder(caching.UserProvidedCacheLocator):
    """Keeps kernels wherever their sources lie: a new installation of the same ones finds them compiled."""

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:
        """Return the folder of a source's kernels, named after its own; numba's name has its whole path."""
        return Path(py_file).absolute().parent.name


LOCATORS: Final = f"{__name__}.{PlainFolder.__name__},InTreeCacheLocator,UserWideCacheLocator"
"""For numba: after ours its own, where that folder cannot be written any more."""


class CheckedFiles(caching.IndexDataCacheFile):
    """A kernel's files, index and code, with a digest behind each, where numba's reader does not look."""

    def _dump(self, obj: Any) -> bytes:
        """Return what is written; of the index it follows numba's version."""
        data: bytes = super()._dump(obj)  # type: ignore[no-untyped-call]  # numba has no types
        return data + sha256(data).digest()

    def _load_index(self) -> Any:
        """Return the index; an empty one has the kernel compiled again."""
        try:
            written = Path(self._index_path).read_bytes()
            version = pickle.dumps(self._version, protocol=-1)
            _digest_check(written.removeprefix(version), is_other=not written.startswith(version))
        except OSError:
            return {}
        return super()._load_index()  # type: ignore[no-untyped-call]  # as above

    def _load_data(self, name: str) -> Any:
        """Return the code.  Raises OSError, upon which numba compiles and writes it again."""
        _digest_check(Path(self._cache_path, name).read_bytes())
        return super()._load_data(name)  # type: ignore[no-untyped-call]  # as above


def _digest_check(data: bytes, *, is_other: bool = False) -> None:
    content, digest = data[: -sha256().digest_size], data[-sha256().digest_size :]
    if is_other or sha256(content).digest() != digest:
        raise OSError("a compiled kernel is not what was written")


def cache_tidy() -> None:
    """Delete the compiled kernels of other versions."""
    current = cache_folder()
    if not current.parent.is_dir():
        return
    for folder in current.parent.iterdir():
        if folder.is_dir() and folder != current and len(folder.name) == len(current.name):
            shutil.rmtree(folder, ignore_errors=True)
