"""Finding where a CBOR item ends while its bytes come: each byte is looked at once, nothing is decoded."""

from __future__ import annotations

from typing import Final

from poolsite.filecoin.cbor import ARRAY, BYTES, MAP, TAG, TEXT, BadCbor

EXTRA: Final = {24: 1, 25: 2, 26: 4, 27: 8}
"""Bytes of the number behind a head, by the head's low bits; below 24 they are the number."""
INFO: Final = 0x1F
"""The low bits of a head."""
MAJOR: Final = 5
"""Bits by which the major type stands above the low ones."""


class ItemScan:
    """One item, of which more and more is given."""

    def __init__(self) -> None:
        """Begin with one item to come."""
        self._items, self._skip, self._at = 1, 0, 0

    def is_whole(self, data: bytes | bytearray) -> bool:
        """Return whether an item, all of whose bytes so far are given, has come to its end.

        Raises BadCbor for an item of indefinite length, and for bytes behind it.
        """
        while True:
            step = min(self._skip, len(data) - self._at)
            self._at, self._skip = self._at + step, self._skip - step
            if self._skip:
                return False
            if not self._items:
                if self._at != len(data):
                    raise BadCbor(f"{len(data) - self._at} trailing bytes")
                return True
            if not self._head(data):
                return False

    def _head(self, data: bytes | bytearray) -> bool:
        """Read the next head; return whether it is there."""
        if self._at >= len(data):
            return False
        major, low = data[self._at] >> MAJOR, data[self._at] & INFO
        extra = EXTRA.get(low, 0)
        if low > max(EXTRA):
            raise BadCbor("an item of indefinite length")
        if self._at + 1 + extra > len(data):
            return False
        number = int.from_bytes(data[self._at + 1 : self._at + 1 + extra], "big") if extra else low
        self._at += 1 + extra
        self._items -= 1
        if major in (BYTES, TEXT):
            self._skip = number
        elif major in (ARRAY, MAP, TAG):
            self._items += {ARRAY: number, MAP: 2 * number, TAG: 1}[major]
        return True
