"""Checking proofs, each once: a proof is met in estimation, in the pool and in blocks."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Concatenate, Final, ParamSpec

from poolsite.filecoin.groth16.keys import VerifyingKeys, parameter_folder
from poolsite.filecoin.proof_verifier import BAD_PROOFS, KeyMissing, ProofVerifier

Inputs = ParamSpec("Inputs")

VERDICTS_CACHED: Final = 4096
"""Proofs whose verdict is remembered."""


class ProofChecks:
    """Verdicts on proofs, containers and Groth16; may be used from any thread."""

    def __init__(self, keys: VerifyingKeys | None = None) -> None:
        self._verifier = ProofVerifier(keys or VerifyingKeys(parameter_folder()))
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()
        self._lock = threading.Lock()

    def is_proven(
        self,
        check: Callable[Concatenate[ProofVerifier, bytes, Inputs], None],
        proof: bytes,
        *args: Inputs.args,
        **inputs: Inputs.kwargs,
    ) -> bool:
        """Return whether a proof passes a check of the verifier with these public inputs."""
        digest = hashlib.blake2b(proof, digest_size=32).digest()
        about = repr((check.__name__, digest, args, inputs))
        name = hashlib.blake2b(about.encode(), digest_size=32).digest()
        with self._lock:
            cached = self._verdicts.get(name)
        if cached is not None:
            return cached
        try:
            check(self._verifier, proof, *args, **inputs)
            is_valid = True
        except KeyMissing:
            return False  # not remembered: the key may come
        except BAD_PROOFS:
            is_valid = False
        with self._lock:
            self._verdicts[name] = is_valid
            while len(self._verdicts) > VERDICTS_CACHED:
                self._verdicts.popitem(last=False)
        return is_valid
