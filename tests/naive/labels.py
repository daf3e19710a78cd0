"""SDR labels with hashlib, message by message."""

from __future__ import annotations

import struct
from hashlib import sha256


def label(replica_id: bytes, layer: int, *, node: int, parents: list[bytes]) -> bytes:
    """One label; the parents are cycled to 37."""
    message = replica_id + struct.pack(">IQ", layer, node) + bytes(20)
    if node:
        message += b"".join(parents[i % len(parents)] for i in range(37))
    digest = sha256(message).digest()
    return digest[:31] + bytes([digest[31] & 0x3F])


def layer_labels(
    replica_id: bytes, layer: int, *, parents: list[list[int]], previous: list[bytes]
) -> list[bytes]:
    """All labels of one layer from the layer before."""
    current: list[bytes] = []
    for node, row in enumerate(parents):
        nodes = [current[parent] for parent in row[:6]] if node else []
        if layer > 1:
            nodes += [previous[parent] for parent in row[6:]]
        current.append(label(replica_id, layer, node=node, parents=nodes))
    return current
