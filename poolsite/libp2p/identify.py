"""identify: what a peer says of itself.  Source: libp2p specs, identify/README.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from poolsite.filecoin.varint import uvarint_write
from poolsite.libp2p.protobuf import bytes_field

PROTOCOL: Final = "/ipfs/id/1.0.0"
VERSION: Final = "ipfs/0.1.0"


def identify_write(
    *, public: bytes, addresses: Iterable[bytes], observed: bytes, protocols: Iterable[str], agent: str
) -> bytes:
    """Return the message, with its length before it; addresses are in binary form."""
    parts = [
        bytes_field(5, VERSION.encode()),
        bytes_field(6, agent.encode()),
        bytes_field(1, public),
        *(bytes_field(2, address) for address in addresses),
        bytes_field(4, observed),
        *(bytes_field(3, name.encode()) for name in protocols),
    ]
    data = b"".join(parts)
    return uvarint_write(len(data)) + data
