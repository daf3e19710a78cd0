"""What a person does about failures: a whole group is tried again, or a sector is set to another state."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext

from apps.core.errors import BadValue, Conflict
from apps.sectors.errors import FailureUnknown
from apps.sectors.failures import failures_grouped
from apps.sectors.services.audit import sector_audit
from apps.sectors.services.runs import run_retry
from apps.sectors.services.steps import job_locked, sector_retry, sector_step
from apps.sectors.states import ENDED_SECTORS
from poolsite.wire.pipeline import RECOVER_TO, SectorState

if TYPE_CHECKING:
    from datetime import datetime

    from apps.sectors.models import Sector
    from apps.users.principals import Principal


def failures_retry(
    key: str, *, by: Principal, now: datetime, state: str | None = None
) -> tuple[list[Sector], list[tuple[Sector, str]]]:
    """Go on with all sectors of a group, from the stage that failed or from an earlier `state`.

    Each by itself: returns those that go on, and those that do not with the reason.  Raises FailureUnknown.
    """
    group = next((one for one in failures_grouped(by) if one.key == key), None)
    if group is None:
        raise FailureUnknown(key)
    done, refused = [], []
    for sector in group.sectors:
        try:
            if (run := group.runs.get(sector.pk)) is not None:
                run_retry(run, by=by, now=now, state=state)
                done.append(sector)
            else:
                done.append(sector_retry(sector, actor=by.actor, now=now, state=state, by=by))
        except Conflict as refusal:
            refused.append((sector, refusal.reason))
    return done, refused


@transaction.atomic
def sector_state_set(sector: Sector, state: str, *, reason: str, by: Principal, now: datetime) -> Sector:
    """Set a sector to any state of its table, whatever the table says; nothing of it is deleted.

    For a person who knows better than the rows: what the state needs, such as a ticket or files, is not
    made.  The reason is kept.  Raises BadValue, Conflict for one that has ended.
    """
    if not reason.strip():
        raise BadValue(gettext("give a reason: the history keeps it"), field="reason")
    if state not in list(SectorState) or state in ENDED_SECTORS:
        raise BadValue(gettext("there is no such state, or nobody sets it by hand"), field="state")
    job, fresh = job_locked(sector.pk)
    if fresh.state in ENDED_SECTORS:
        raise Conflict(
            gettext("sector {number} is {state}, which is final").format(
                number=fresh.number, state=fresh.state.lower()
            ),
            field="state",
        )
    if fresh.state == state:
        raise BadValue(gettext("it is in this state already"), field="state")
    before = copy(fresh)
    sector_step(fresh, f"{RECOVER_TO}{state}", job=job, now=now, actor=by.actor, note=reason, paused_at=None)
    sector_audit(by, "sector.state-set", before, fresh, note=reason)
    return fresh
