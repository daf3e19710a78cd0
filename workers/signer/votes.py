"""Votes of fast finality (F3), told from the bytes that a node asks a signature for.

lotus asks for them as `unknown`, venus as `f3`; the bytes are the same, and begin with words that no message,
deal, voucher or block begins with.
Source: filecoin-project/go-f3 gpbft/types.go Payload.MarshalForSigning, gpbft/vrf.go; lotus
chain/lf3/signer.go.
"""

from __future__ import annotations

from typing import Final

VOTE: Final = b"GPBFT:"
DRAW: Final = b"VRF:"
"""Before what a voter's ticket of a round is drawn from."""
PHASES: Final = ("INITIAL", "QUALITY", "CONVERGE", "PREPARE", "COMMIT", "DECIDE", "TERMINATED")
VOTE_HEAD: Final = 17
"""Bytes after the network's name: phase, round and instance."""
VOTE_MIN: Final = VOTE_HEAD + 64
"""With the commitments and the voted chain's key; the power table's CID follows."""
DRAW_TAIL: Final = 16
"""Instance and round, at the end."""


def vote_text(data: bytes) -> str:
    """Return what a vote or a draw of a ticket is about; empty for any other bytes."""
    if data.startswith(VOTE):
        name, colon, rest = data[len(VOTE) :].partition(b":")
        if not colon or len(rest) < VOTE_MIN or rest[0] >= len(PHASES):
            return ""
        turn, instance = int.from_bytes(rest[1:9], "big"), int.from_bytes(rest[9:17], "big")
        return _vote_text(name, f"{PHASES[rest[0]]} in round {turn} of instance {instance}")
    if data.startswith(DRAW):
        name, colon, rest = data[len(DRAW) :].partition(b":")
        if not colon or len(rest) <= DRAW_TAIL + 1 or rest[-DRAW_TAIL - 1 : -DRAW_TAIL] != b":":
            return ""
        instance, turn = int.from_bytes(rest[-16:-8], "big"), int.from_bytes(rest[-8:], "big")
        return _vote_text(name, f"ticket of round {turn} of instance {instance}")
    return ""


def _vote_text(network: bytes, text: str) -> str:
    if not network or not all(0x21 <= byte <= 0x7E for byte in network):
        return ""
    return f"{text} of {network.decode('ascii')}"
