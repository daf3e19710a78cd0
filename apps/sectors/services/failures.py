"""What a person does about failures: a whole group is tried again, or a sector is set to another state."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Final, cast

from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.sectors.errors.changes import ChangeRefused
from apps.sectors.errors.sectors import FailureUnknown
from apps.sectors.models import Job, PipelineRun, Sector, StoreMove
from apps.sectors.selectors.change_prices import ChangeRequest
from apps.sectors.selectors.failures import CHANGES, failures_grouped
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.services.audit import sector_audit
from apps.sectors.services.changes.steps import CHANGES_MAX, changes_request
from apps.sectors.services.runs.decisions import run_retry
from apps.sectors.services.runs.unsealing import unseal_retry
from apps.sectors.services.sealing.steps import job_lock, sector_retry, sector_step
from apps.sectors.services.stores.moves import moves_begin
from apps.sectors.states import ENDED_SECTORS
from poolsite.wire.pipeline import RECOVER_TO, SECTOR_STATES
from poolsite.wire.pipeline.changes import ChangeKind

if TYPE_CHECKING:
    from datetime import datetime

    from apps.sectors.models import SectorChange
    from apps.sectors.selectors.failures import Failed, FailureGroup
    from apps.users.rules.principals import Principal

NO_EARLIER_STATE: Final = _("it has no earlier state to go back to")


def failure_find(key: str, *, viewer: Principal) -> FailureGroup:
    """Return a group by its fingerprint.  Raises FailureUnknown."""
    group = next((one for one in failures_grouped(viewer) if one.key == key), None)
    if group is None:
        raise FailureUnknown(key)
    return group


def failures_retry(
    key: str, *, by: Principal, now: datetime, state: str | None = None
) -> tuple[list[Sector], list[tuple[Sector, str]]]:
    """Go on with all of a group, from the stage that failed or from an earlier `state`.

    Each by itself: returns the sectors that go on, and those that do not with the reason.  Terminations and
    extensions are asked for again as they were, at their price of now.  Raises FailureUnknown, BadValue,
    NotAllowed, NodeUnavailable, NetworkUnknown.
    """
    group = failure_find(key, viewer=by)
    if group.kind in CHANGES:
        if state not in (None, group.state):
            raise BadValue(str(NO_EARLIER_STATE), field="state")
        return _changes_again(group, by=by)
    done, refused = [], []
    for sector, row in zip(group.sectors, group.rows, strict=True):
        try:
            _retry(row, by=by, now=now, state=state)
            done.append(sector)
        except Conflict as refusal:
            refused.append((sector, refusal.reason))
    return done, refused


def _retry(row: Failed, *, by: Principal, now: datetime, state: str | None) -> None:
    """Go on with one row, whatever it is but a change.  Raises Conflict."""
    if isinstance(row, Sector):
        sector_retry(row, actor=by.actor, now=now, state=state, by=by)
    elif isinstance(row, PipelineRun):
        run_retry(row, by=by, now=now, state=state)
    elif state is not None and state != row.state:
        raise Conflict(str(NO_EARLIER_STATE), field="state")
    elif isinstance(row, Job):
        unseal_retry(row, by=by, now=now)
    elif isinstance(row, StoreMove):
        moves_begin(row.from_store, target=row.to_store, numbers=[str(row.sector.uuid)], now=now, by=by)


def change_request_read(group: FailureGroup) -> ChangeRequest:
    """Return what was asked for of all sectors of a group of failed changes."""
    first = cast("SectorChange", group.rows[0])
    return ChangeRequest(
        kind=ChangeKind(first.kind),
        expiration=first.expiration if first.kind == ChangeKind.EXTEND else None,
        drops_claims=first.drops_claims,
        reason=first.reason,
    )


def _changes_again(group: FailureGroup, *, by: Principal) -> tuple[list[Sector], list[tuple[Sector, str]]]:
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    request, work = change_request_read(group), sealing_context_read()
    chosen, beyond = group.sectors[:CHANGES_MAX], group.sectors[CHANGES_MAX:]
    late = gettext("at most {limit} sectors at a time").format(limit=CHANGES_MAX)
    left = [(one, late) for one in beyond]
    try:
        plan, made = changes_request(
            chosen,
            request=request,
            by=by,
            client=work.client,
            head=work.head,
            network=work.network,
            now=work.now,
        )
    except ChangeRefused as refusal:
        if not refusal.refused:
            raise
        return [], [*((one, refusal.refused[one.uuid]) for one in chosen), *left]
    written = {change.sector_id for change in made}
    why = {one.sector.pk: one.refusal for one in plan.refused}
    other = gettext("the sectors changed in the meantime: reload and try again")
    done = [one for one in chosen if one.pk in written]
    refused = [(one, why.get(one.pk, other)) for one in chosen if one.pk not in written]
    return done, [*refused, *left]


@transaction.atomic
def sector_state_set(sector: Sector, *, state: str, reason: str, by: Principal, now: datetime) -> Sector:
    """Set a sector to any state of its table, whatever the table says; nothing of it is deleted.

    For a person who knows better than the rows: what the state needs, such as a ticket or files, is not
    made.  The reason is kept.  Raises BadValue, Conflict for one that has ended.
    """
    if not reason.strip():
        raise BadValue(gettext("give a reason: it is kept in the history"), field="reason")
    if state not in SECTOR_STATES or state in ENDED_SECTORS:
        raise BadValue(gettext("unknown state, or one that cannot be set manually"), field="state")
    job, current = job_lock(sector.pk)
    if current.state in ENDED_SECTORS:
        raise Conflict(
            gettext("sector {number} is {state}, which is final").format(
                number=current.number, state=current.state.lower()
            ),
            field="state",
        )
    if current.state == state:
        raise BadValue(gettext("it is already in this state"), field="state")
    before = copy(current)
    sector_step(
        current, event=f"{RECOVER_TO}{state}", job=job, now=now, actor=by.actor, note=reason, paused_at=None
    )
    sector_audit(by, action="sector.state-set", before=before, after=current, note=reason)
    return current
