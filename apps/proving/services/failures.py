"""Going on with a whole group of what failed, the compaction of deadlines among it."""

from __future__ import annotations

from datetime import datetime
from typing import Final, cast

from django.utils.translation import gettext_lazy as _

from apps.core.errors import BadValue, Conflict, NotAllowed, NotFound
from apps.core.marked_texts import gettext
from apps.messages.models import Message
from apps.miners.selectors.miners import miner_get
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.compaction import compacted_partitions_read, compaction_send
from apps.sectors.errors.changes import ChangeRefused
from apps.sectors.models import Job, PipelineRun, Sector, StoreMove
from apps.sectors.selectors.failures import CHANGES, Failed, FailureGroup, change_request_read, failure_find
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.stopped_work import COMPACT, compaction_place
from apps.sectors.services.audit import sectors_audit
from apps.sectors.services.changes.steps import CHANGES_MAX, changes_request
from apps.sectors.services.runs.decisions import run_retry
from apps.sectors.services.runs.unsealing import unseal_retry
from apps.sectors.services.sealing.steps import sector_retry
from apps.sectors.services.stores.moves import moves_begin
from apps.users.rules.principals import Principal
from poolsite.wire.jobs import RUN_KINDS, JobKind

NO_EARLIER_STATE: Final = _("it has no earlier state to go back to")
STAGED_KINDS: Final = frozenset(map(str, (JobKind.SEAL, *RUN_KINDS)))
"""Kinds that pause at a stage: many at once go on with one line in the audit log."""
Retried = Sector | Message
"""What goes on, or does not: a sector, or of a compaction its message."""


def retried_key_read(one: Retried) -> str:
    """Return the key of a sector or of a message."""
    return str(one.uuid) if isinstance(one, Sector) else one.pk


def failures_retry(
    key: str, *, by: Principal, now: datetime, state: str | None = None
) -> tuple[list[Retried], list[tuple[Retried, str]]]:
    """Go on with all of a group, from the stage that failed or from an earlier `state`.

    Each by itself: returns what goes on, and what does not with the reason.  The audit log has one line with
    the numbers of several sectors; what came of each is in its own timeline.  Terminations and extensions are
    asked for again as they were, at their price of now; deadlines are compacted once more.  Raises
    FailureUnknown, BadValue, NotAllowed, NodeUnavailable, NetworkUnknown.
    """
    group = failure_find(key, viewer=by)
    if group.kind in (*CHANGES, COMPACT):
        if state not in (None, group.state):
            raise BadValue(str(NO_EARLIER_STATE), field="state")
        if group.kind == COMPACT:
            return _compactions_again(group, by=by)
        return _changes_again(group, by=by)
    is_one_line = group.count > 1 and state in (None, group.state, *group.back) and group.kind in STAGED_KINDS
    if is_one_line:  # before the first goes on: a kill leaves no act without its line
        sectors_audit(
            by,
            action="sector.retry-all",
            sectors=group.sectors,
            before={"state": group.state, "paused": True},
            after={"state": state or group.state, "paused": False},
        )
    done: list[Retried] = []
    refused: list[tuple[Retried, str]] = []
    for sector, row in zip(group.sectors, group.rows, strict=True):
        try:
            _retry(row, by=by, now=now, state=state, is_audited=not is_one_line)
            done.append(sector)
        except Conflict as refusal:
            refused.append((sector, refusal.reason))
    return done, refused


def _retry(row: Failed, *, by: Principal, now: datetime, state: str | None, is_audited: bool) -> None:
    """Go on with one row, whatever it is but a change.  Raises Conflict."""
    if isinstance(row, Sector):
        sector_retry(row, actor=by.actor, now=now, state=state, by=by if is_audited else None)
    elif isinstance(row, PipelineRun):
        run_retry(row, by=by, now=now, state=state, is_audited=is_audited)
    elif state is not None and state != row.state:
        raise Conflict(str(NO_EARLIER_STATE), field="state")
    elif isinstance(row, Job):
        unseal_retry(row, by=by, now=now)
    elif isinstance(row, StoreMove):
        moves_begin(row.from_store, target=row.to_store, numbers=[str(row.sector.uuid)], now=now, by=by)


def _changes_again(group: FailureGroup, *, by: Principal) -> tuple[list[Retried], list[tuple[Retried, str]]]:
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
    done: list[Retried] = [one for one in chosen if one.pk in written]
    refused = [(one, why.get(one.pk, other)) for one in chosen if one.pk not in written]
    return done, [*refused, *left]


def _compactions_again(
    group: FailureGroup, *, by: Principal
) -> tuple[list[Retried], list[tuple[Retried, str]]]:
    work = sealing_context_read()
    context = ProvingContext(client=work.client, network=work.network, head=work.head, now=work.now)
    done: list[Retried] = []
    refused: list[tuple[Retried, str]] = []
    for row in group.rows:
        message = cast("Message", row)
        address, index = compaction_place(message)
        try:
            sent = compaction_send(
                miner_get(by, address),
                index=index,
                partitions=compacted_partitions_read(message),
                by=by,
                context=context,
            )
            done.append(sent[1])
        except (Conflict, BadValue, NotFound) as refusal:
            refused.append((message, refusal.reason))
    return done, refused
