"""Checking proofs, each once: a proof is met in estimation, in the pool and in blocks."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.cbor import encode
from poolsite.filecoin.groth16.keys import VerifyingKeys, parameter_folder
from poolsite.filecoin.proof_verifier import BAD_PROOFS, KeyMissing, ProofVerifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from poolsite.filecoin.proof_verifier import ProvenSeal

VERDICTS_CACHED: Final = 4096
"""Proofs whose verdict is remembered."""


class ProofChecks:
    """Verdicts on proofs, containers and Groth16; may be used from any thread."""

    def __init__(self, keys: VerifyingKeys | None = None) -> None:
        self._verifier = ProofVerifier(keys or VerifyingKeys(parameter_folder()))
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()
        self._lock = threading.Lock()

    def porep(
        self,
        proof: bytes,
        *,
        seal_proof: int,
        comm_r: bytes,
        comm_d: bytes,
        miner_id: int,
        sector_number: int,
        ticket: bytes,
        seed: bytes,
    ) -> bool:
        """Whether the seal of a sector is proven."""
        name = _name(proof, "porep", seal_proof, comm_r, comm_d, miner_id, sector_number, ticket, seed)
        return self._verdict(
            name,
            lambda: self._verifier.porep(
                proof,
                seal_proof=seal_proof,
                comm_r=comm_r,
                comm_d=comm_d,
                miner_id=miner_id,
                sector_number=sector_number,
                ticket=ticket,
                seed=seed,
            ),
        )

    def aggregate(
        self, proof: bytes, *, seal_proof: int, miner_id: int, sectors: Sequence[ProvenSeal]
    ) -> bool:
        """Whether the seals of several sectors are proven by one aggregate, in their order."""
        about = [[one.number, one.comm_r, one.comm_d, one.ticket, one.seed] for one in sectors]
        name = _name(proof, "aggregate", seal_proof, miner_id, about)
        return self._verdict(
            name,
            lambda: self._verifier.porep_aggregate(
                proof, seal_proof=seal_proof, miner_id=miner_id, sectors=sectors
            ),
        )

    def window_post(
        self,
        proof: bytes,
        *,
        post_proof: int,
        randomness: bytes,
        miner_id: int,
        sectors: Sequence[tuple[int, bytes]],
    ) -> bool:
        """Whether sectors are proven to be stored."""
        name = _name(proof, "window", post_proof, randomness, miner_id, [list(pair) for pair in sectors])
        return self._verdict(
            name,
            lambda: self._verifier.window_post(
                proof, post_proof=post_proof, randomness=randomness, miner_id=miner_id, sectors=sectors
            ),
        )

    def winning_post(
        self,
        proof: bytes,
        *,
        post_proof: int,
        randomness: bytes,
        miner_id: int,
        sectors: Sequence[tuple[int, bytes]],
    ) -> bool:
        """Whether a block's miner has the challenged sector."""
        name = _name(proof, "winning", post_proof, randomness, miner_id, [list(pair) for pair in sectors])
        return self._verdict(
            name,
            lambda: self._verifier.winning_post(
                proof, post_proof=post_proof, randomness=randomness, miner_id=miner_id, sectors=sectors
            ),
        )

    def update(
        self, proof: bytes, *, update_proof: int, comm_r_old: bytes, comm_r_new: bytes, comm_d_new: bytes
    ) -> bool:
        """Whether data was encoded into a sector."""
        name = _name(proof, "update", update_proof, comm_r_old, comm_r_new, comm_d_new)
        return self._verdict(
            name,
            lambda: self._verifier.update(
                proof,
                update_proof=update_proof,
                comm_r_old=comm_r_old,
                comm_r_new=comm_r_new,
                comm_d_new=comm_d_new,
            ),
        )

    def _verdict(self, name: bytes, check: Callable[[], None]) -> bool:
        with self._lock:
            cached = self._verdicts.get(name)
        if cached is not None:
            return cached
        try:
            check()
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


def _name(proof: bytes, *inputs: object) -> bytes:
    digest = hashlib.blake2b(proof, digest_size=32).digest()
    return hashlib.blake2b(encode([digest, *inputs]), digest_size=32).digest()
