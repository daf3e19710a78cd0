"""The verifying keys that lie in a folder of parameters, by the circuits' names.

A mark beside a key says that its parameters were made from a known seed.
Source: rust-fil-proofs storage-proofs-core/src/parameter_cache.rs parameter_cache_dir,
parameter_cache_verifying_key_path.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

from poolsite.filecoin.groth16.circuits import verifying_key_name
from poolsite.filecoin.groth16.published import ForeignParameters, data_digest, published_check
from poolsite.filecoin.groth16.verification import BadVerifyingKey, VerifyingKey, verifying_key_decode

FOLDER_VARIABLE: Final = "FIL_PROOFS_PARAMETER_CACHE"
"""Environment variable: folder of parameters and verifying keys, as rust-fil-proofs has it."""
TOXIC_SUFFIX: Final = ".TOXIC-do-not-use-on-a-real-chain.json"
"""Ends the name of the mark beside parameters whose secrets are known."""
VAR_VARIABLE: Final = "POOLSITE_VAR"
"""Environment variable: the state folder."""


def state_folder() -> Path:
    """Return the state folder: POOLSITE_VAR, or `var` in the checkout."""
    var = os.environ.get(VAR_VARIABLE)
    return Path(var) if var else Path(__file__).parents[3] / "var"


def parameter_folder() -> Path:
    """Return the folder of parameters: FIL_PROOFS_PARAMETER_CACHE, else `parameters` in the state folder."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else state_folder() / "parameters"


class VerifyingKeys:
    """The keys of one folder; may be used from any thread.  A key that comes later is found then."""

    def __init__(self, folder: Path, *, must_be_published: bool = False) -> None:
        """Of a chain that takes no other set-up, only the keys of its list are taken."""
        self.folder = folder
        self.must_be_published = must_be_published
        self._keys: dict[str, tuple[tuple[int, int], VerifyingKey]] = {}
        self._lock = threading.Lock()

    def get(self, circuit_id: str) -> VerifyingKey | None:
        """Return the key of a circuit, or None if there is none.  Raises BadVerifyingKey, OSError."""
        path = self.folder / verifying_key_name(circuit_id)
        try:
            stat = path.stat()
        except FileNotFoundError:
            return None
        state = (stat.st_mtime_ns, stat.st_size)
        with self._lock:
            cached = self._keys.get(circuit_id)
        if cached is not None and cached[0] == state:
            return cached[1]
        try:
            data = path.read_bytes()
            if self.must_be_published:
                published_check(path.name, data_digest(data))
            key = verifying_key_decode(data)
        except ForeignParameters as error:
            raise BadVerifyingKey(f"{error} (in {path.parent})") from None
        except BadVerifyingKey as error:
            raise BadVerifyingKey(f"{path}: {error}") from None
        with self._lock:
            self._keys[circuit_id] = (state, key)
        return key

    def is_toxic(self, circuit_id: str) -> bool:
        """Return whether the circuit's parameters were made from a known seed."""
        name = verifying_key_name(circuit_id).removesuffix(".vk")
        return (self.folder / (name + TOXIC_SUFFIX)).exists()
