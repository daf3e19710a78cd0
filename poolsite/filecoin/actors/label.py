"""Labels of deals: text or bytes, whichever the client wrote.

Source: go-state-types builtin/v18/market/deal.go DealLabel, policy.go DealMaxLabelSize.
"""

from __future__ import annotations

from typing import Any, Final

from poolsite.filecoin import cbor
from poolsite.filecoin.codec import kind_register
from poolsite.filecoin.kinds import BadField, Kind

DealLabel = str | bytes
"""UTF-8 text, or bytes that need not be."""

MAX_LABEL_LEN: Final = 256
"""Highest length of a label in a published deal, bytes."""


def _encode(label: DealLabel) -> bytes:
    """Return text as a CBOR text string, bytes as a byte string."""
    # The two forms stay apart: equal bytes as text and as a byte string give proposals of different CIDs.
    return cbor.text_write(label) if isinstance(label, str) else cbor.bytes_write(label)


def _decode(data: bytes, at: int) -> tuple[DealLabel, int]:
    """Read either form; return the label and the position behind it.  Raises BadCbor for another type."""
    major, _, _ = cbor.head_read(data, at)
    return cbor.text_read(data, at) if major == cbor.TEXT else cbor.bytes_read(data, at)


def _to_json(label: DealLabel) -> Any:
    """Return text as text, bytes as an object: Go refuses to print a label of bytes."""
    return label if isinstance(label, str) else {"bytes": label.hex()}


def _from_json(value: Any) -> DealLabel:
    """Read text, or `{"bytes": "<hex>"}`.  Raises BadField."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(value.get("bytes"), str):
        try:
            return bytes.fromhex(value["bytes"])
        except ValueError:
            raise BadField("", "must be hexadecimal") from None
    raise BadField("", "must be a string")


LABEL: Final = Kind("label", _encode, _decode, _to_json, _from_json, "")
"""How a label is read and written as a field."""
kind_register(DealLabel, LABEL)
