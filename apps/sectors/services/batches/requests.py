"""Sending at once what waits for others to share a message with: a person asks, the next head does it."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from apps.chain.models import Head
from apps.core.errors import NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.sectors.errors.sectors import NothingWaits
from apps.sectors.models import BatchSettings, PipelineRun, Sector, SectorChange
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.wire.pipeline import SectorState, SnapState
from poolsite.wire.pipeline.changes import ChangeState

REQUESTED: Final = "asked"
"""Why a batch goes that a person did not want to wait."""
WAITING_STATES: Final[dict[str, str]] = {
    SectorState.PERSISTED: "precommit",
    SectorState.C2_DONE: "commit",
    SnapState.SNAP_STORED: "snap_up",
    ChangeState.TERMINATE_QUEUED: "terminate",
    ChangeState.EXTEND_QUEUED: "extend",
}
"""Where sectors wait for a message, and for which."""


def waiting_sectors_group(miner: Miner) -> dict[str, list[int]]:
    """Return the numbers of a miner's sectors that wait for each kind of message; paused ones do not."""
    states = list(WAITING_STATES)
    mine = {"sector__miner": miner, "state__in": states}
    rows = [
        *Sector.objects.filter(miner=miner, state__in=states, paused_at=None).values_list("state", "number"),
        *PipelineRun.objects.filter(paused_at=None, **mine).values_list("state", "sector__number"),
        *SectorChange.objects.filter(**mine).values_list("state", "sector__number"),
    ]
    found: dict[str, list[int]] = {kind: [] for kind in WAITING_STATES.values()}
    for state, number in sorted(rows):
        found[WAITING_STATES[state]].append(number)
    return found


def waiting_sectors_require(miner: Miner, *, by: Principal) -> dict[str, list[int]]:
    """Return what waits and may be sent at once, of each kind.  Raises NotAllowed, NothingWaits."""
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    waiting = {kind: numbers for kind, numbers in waiting_sectors_group(miner).items() if numbers}
    if not waiting:
        raise NothingWaits(gettext("no sector of {miner} is waiting for a message").format(miner=miner))
    return waiting


def batches_request(miner: Miner, *, head: Head, by: Principal) -> dict[str, list[int]]:
    """Send all that waits with the next head, whatever the base fee is; return what waits.

    Raises NotAllowed, NothingWaits.
    """
    waiting = waiting_sectors_require(miner, by=by)
    with transaction.atomic():
        row, _ = BatchSettings.objects.select_for_update().get_or_create(miner=miner)
        row.send_asked_height = head.height
        row.save(update_fields=["send_asked_height", "updated_at"])
        audit_record(principal=by, action="miner.batches-send", target=str(miner), after=waiting)
        publish(Change("miner", miner.pk, miner.tenant_id))
    return waiting


def requested_height_read(miner: Miner) -> int:
    """Return up to which head what began to wait is to go at once; -1: nobody asked for it."""
    found: int | None = getattr(getattr(miner, "batch_settings", None), "send_asked_height", None)
    return -1 if found is None else found
