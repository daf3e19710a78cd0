"""Texts of the command that a host has not carried out yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from poolsite.wire.commands import Operation

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.sectors.models import Worker

COMMAND_TEXTS: Final[dict[str, StrOrPromise]] = {
    Operation.PAUSE: _("pauses with its next heartbeat"),
    Operation.RESUME: _("resumes with its next heartbeat"),
    Operation.DRAIN: _("drains with its next heartbeat"),
    Operation.SET_PLAN: _("changes its settings with its next heartbeat"),
    Operation.UPGRADE: _("stops for an upgrade once its running stages are done"),
    Operation.MEASURE: _("measures its disks with its next heartbeat"),
    Operation.REMOVE: _("removes the files of aborted sectors"),
    Operation.ATTACH: _("attaches a store"),
    Operation.DETACH: _("detaches a store"),
    Operation.SET_STORE: _("changes a store"),
    Operation.COPY_SECTOR: _("copies sectors to another store"),
    Operation.REMOVE_COPY: _("removes moved sectors from their old store"),
    Operation.DROP_COPY: _("removes unfinished copies"),
    Operation.CHECK_SECTOR: _("checks sector files"),
    Operation.SCAN_STORE: _("scans a store"),
    Operation.REMOVE_LEFTOVER: _("removes leftovers from a store"),
    Operation.END_STAGE: _("ends a stage of a sector"),
    Operation.REMOVE_SEALING: _("removes leftovers from its sealing folder"),
}
"""Commands that ride on the answer to a heartbeat."""


def command_text(worker: Worker, command: str) -> str:
    """Return `removes the files of aborted sectors, 384.00 GiB`: the command that is not done yet."""
    removing = worker.hardware.get("removing_bytes", 0) if command == Operation.REMOVE else 0
    size = f", {' '.join(formatting.size(int(removing)))}" if removing else ""
    return f"{COMMAND_TEXTS.get(command, '')}{size}"
