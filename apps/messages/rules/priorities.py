"""The priority of a message, by its purpose or by the method that it calls."""

from __future__ import annotations

from typing import Final

from apps.messages.models import Message
from apps.messages.states import KIND_PRIORITIES, Priority
from poolsite.filecoin.actors.miner import Method

MINER_PRIORITIES: Final[dict[int, Priority]] = {
    Method.SUBMIT_WINDOWED_POST: Priority.PROOF,
    Method.DECLARE_FAULTS: Priority.PROOF,
    Method.DECLARE_FAULTS_RECOVERED: Priority.PROOF,
    Method.PRE_COMMIT_SECTOR: Priority.PRE_COMMIT,
    Method.PRE_COMMIT_SECTOR_BATCH: Priority.PRE_COMMIT,
    Method.PRE_COMMIT_SECTOR_BATCH2: Priority.PRE_COMMIT,
}
"""What a miner's methods are for, where their caller does not say it: damocles and droplet never do."""

METHOD_WINDOW_POST: Final = 5
"""SubmitWindowedPoSt of a miner actor; ours to recognise what comes from outside without a kind."""


def priority_choose(kind: str, *, method: int, is_urgent: bool) -> int:
    """Return the class of a message as it is pushed, by its purpose; proofs come first."""
    if kind in KIND_PRIORITIES:
        return KIND_PRIORITIES[kind]
    return Priority.PROOF if is_urgent or (not kind and method == METHOD_WINDOW_POST) else Priority.REST


def priority_infer(row: Message, *, kind: str) -> int:
    """Return the class of a message that says nothing of its purpose, once its receiver's kind is known."""
    if row.kind or row.time_sensitive or not kind:
        return row.priority
    if kind != "miner":  # method 5 is AddSigner of a multisig, and anybody can have one of those
        return Priority.REST
    return MINER_PRIORITIES.get(row.method, Priority.REST)
