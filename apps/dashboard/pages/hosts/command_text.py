"""Texts of the command that a host has not carried out yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.core import formatting
from poolsite.wire.commands import Operation

if TYPE_CHECKING:
    from apps.sectors.models import Worker

COMMAND_TEXTS: Final[dict[str, str]] = {
    Operation.PAUSE: "pauses with its next heartbeat",
    Operation.RESUME: "resumes with its next heartbeat",
    Operation.DRAIN: "drains with its next heartbeat",
    Operation.SET_PLAN: "changes its settings with its next heartbeat",
    Operation.UPGRADE: "stops for an upgrade once its running stages are done",
    Operation.MEASURE: "measures its disks with its next heartbeat",
    Operation.REMOVE: "removes the files of aborted sectors",
    Operation.ATTACH: "attaches a store",
    Operation.DETACH: "detaches a store",
    Operation.SET_STORE: "changes a store",
    Operation.COPY_SECTOR: "copies sectors to another store",
    Operation.REMOVE_COPY: "removes moved sectors from their old store",
    Operation.DROP_COPY: "removes unfinished copies",
    Operation.CHECK_SECTOR: "checks sector files",
    Operation.SCAN_STORE: "scans a store",
    Operation.REMOVE_LEFTOVER: "removes leftovers from a store",
    Operation.END_STAGE: "ends a stage of a sector",
    Operation.REMOVE_SEALING: "removes leftovers from its sealing folder",
}
"""Commands that ride on the answer to a heartbeat."""


def command_text(worker: Worker, command: str) -> str:
    """Return `removes the files of aborted sectors, 384.00 GiB`: the command that is not done yet."""
    removing = worker.hardware.get("removing_bytes", 0) if command == Operation.REMOVE else 0
    size = f", {' '.join(formatting.size(int(removing)))}" if removing else ""
    return f"{COMMAND_TEXTS.get(command, '')}{size}"
