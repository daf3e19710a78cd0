"""The devnet's own random beacon: one value per epoch, signed by a key of the chain.

A value is the BLS signature over sha256(epoch ‖ salt), with the salt behind it; the salt is 0 unless the
profile lets the built-in miner try salts until it wins (`null_free`).  Rounds are epochs.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING

from poolsite.filecoin.block import BeaconEntry
from poolsite.filecoin.keys import key_address, key_sign
from poolsite.filecoin.signature import BadSignature, bls_verify

if TYPE_CHECKING:
    from poolsite.filecoin.keys import KeyInfo

MAX_SALT = 255


class Beacon:
    """Makes and checks the values."""

    def __init__(self, key: KeyInfo, *, salted: bool = False) -> None:
        self.key = key
        self.public = key_address(key).payload
        self.salted = salted
        self.entry = functools.lru_cache(maxsize=4096)(self._entry)

    def _entry(self, epoch: int, salt: int = 0) -> BeaconEntry:
        signature = key_sign(self.key, _payload(epoch, salt)).data
        return BeaconEntry(epoch, signature + bytes((salt,)) if salt else signature)

    def entries(self, parent_epoch: int, epoch: int) -> tuple[BeaconEntry, ...]:
        """Return the values that a block at `epoch` carries: one for each epoch since its parent's."""
        return tuple(self.entry(round) for round in range(parent_epoch + 1, epoch + 1))

    def is_valid(self, entry: BeaconEntry) -> bool:
        """Return whether the value is the beacon's."""
        if entry == self.entry(entry.round):
            return True
        salt = entry.data[96:]
        if not self.salted or len(salt) != 1 or salt[0] == 0:
            return False
        try:
            bls_verify(self.public, _payload(entry.round, salt[0]), entry.data[:96])
        except BadSignature:
            return False
        return True


def _payload(epoch: int, salt: int) -> bytes:
    tail = bytes((salt,)) if salt else b""
    return hashlib.sha256(epoch.to_bytes(8, "big") + tail).digest()
