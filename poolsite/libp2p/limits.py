"""What a stranger may take of the serving side at most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one listener; what is beyond them is closed or reset, and nothing else slows."""

    connections: int = 1024
    """Open at a time; for a further one the oldest of the address with most of them makes room, one without
    a key first."""
    source_connections: int = 32
    """Of one network address."""
    streams: int = 16
    """Open at a time of one connection."""
    request_bytes: int = 64 << 10
    """Of one stream; each answer is as small."""
    held_bytes: int = 32 << 20
    """That all requests hold together while they come."""
    handshake_s: float = 10.0
    """Until a connection has a key and a muxer."""
    stream_s: float = 30.0
    """Until a stream has its request; the answer comes in as long again."""
    idle_s: float = 120.0
    """For which a connection stays open on which nothing comes."""
    life_s: float = 3600.0
    """For which any connection stays open."""
