"""What a message does, in the field's words."""

from __future__ import annotations

from collections.abc import Collection

from poolsite.filecoin.actors.decode import actor_kind, method_name
from poolsite.filecoin.address import address_parse


def method_text(to: str, method: int, *, kind: str, miners: Collection[str]) -> str:
    """`PreCommitSectorBatch2`; a number where neither the receiver nor the purpose tells the actor."""
    return method_name(receiver_kind(to, kind=kind, miners=miners), method)


def receiver_kind(to: str, *, kind: str, miners: Collection[str]) -> str:
    """Return which kind of actor `to` is, as far as it is known without asking the chain."""
    return "miner" if to in miners or kind in MINER_KINDS else actor_kind(address_parse(to))


MINER_KINDS = frozenset(
    {"precommit", "commit", "window_post", "recover", "declare_faults", "snap_up", "compact"}
)
"""Purposes for which our own apps send to a miner actor."""
