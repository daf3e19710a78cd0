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
from apps.sectors.models import Job, PipelineRun, Sector, Store, StoreMove
from apps.sectors.selectors.failures import (
    CHANGES,
    MOVE,
    Failed,
    FailureGroup,
    change_request_read,
    failure_find,
)
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.stopped_work import COMPACT, compaction_place
from apps.sectors.services.audit import sectors_audit
from apps.sectors.services.changes.steps import CHANGES_MAX, changes_request
from apps.sectors.services.runs.decisions import run_retry
from apps.sectors.services.runs.unsealing import unseal_retry
from apps.sectors.services.sealing.steps import sector_retry
from apps.sectors.services.stores.moves import MOVES_MAX, moves_begin
from apps.sectors.states import JobState
from apps.users.rules.principals import Principal
from poolsite.wire.jobs import RUN_KINDS, JobKind

CHANGED: Final = _("the sectors changed in the meantime: reload and try again")
NO_EARLIER_STATE: Final = _("it has no earlier state to go back to")
STAGED_KINDS: Final = frozenset(map(str, (JobKind.SEAL, *RUN_KINDS)))
"""Kinds that pause at a stage, and go on from it or from one before."""
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
    is_possible = state in (None, group.state) or (group.kind in STAGED_KINDS and state in group.back)
    if group.kind == MOVE and is_possible:
        return _moves_again(group, by=by, now=now)
    is_one_line = group.count > 1 and is_possible
    if is_one_line:  # before the first goes on: a kill leaves no act without its line
        _group_audit(group, by=by, state=state or group.state)
    done: list[Retried] = []
    refused: list[tuple[Retried, str]] = []
    for sector, row in zip(group.sectors, group.rows, strict=True):
        try:
            _retry(row, by=by, now=now, state=state, is_audited=not is_one_line)
            done.append(sector)
        except Conflict as refusal:
            refused.append((sector, refusal.reason))
    return done, refused


def _group_audit(group: FailureGroup, *, by: Principal, state: str) -> None:
    """Write down that all of a group go on, from a stage or, what has none, from its beginning."""
    before: dict[str, object] = {"state": group.state, "paused": True}
    after: dict[str, object] = {"state": state, "paused": False}
    if group.kind not in STAGED_KINDS:
        before, after = {"state": group.state}, {"state": str(JobState.READY), "kind": group.kind}
    sectors_audit(by, action="sector.retry-all", sectors=group.sectors, before=before, after=after)


def _retry(row: Failed, *, by: Principal, now: datetime, state: str | None, is_audited: bool) -> None:
    """Go on with one row, whatever it is but a change.  Raises Conflict."""
    if isinstance(row, Sector):
        sector_retry(row, actor=by.actor, now=now, state=state, by=by if is_audited else None)
    elif isinstance(row, PipelineRun):
        run_retry(row, by=by, now=now, state=state, is_audited=is_audited)
    elif state is not None and state != row.state:
        raise Conflict(str(NO_EARLIER_STATE), field="state")
    elif isinstance(row, Job):
        unseal_retry(row, by=by, now=now, is_audited=is_audited)


def _moves_again(
    group: FailureGroup, *, by: Principal, now: datetime
) -> tuple[list[Retried], list[tuple[Retried, str]]]:
    """Queue the moves anew, those from one store to another together."""
    routes: dict[tuple[Store, Store], list[Sector]] = {}
    for row in group.rows:
        move = cast("StoreMove", row)
        routes.setdefault((move.from_store, move.to_store), []).append(move.sector)
    done: list[Retried] = []
    refused: list[tuple[Retried, str]] = []
    for (source, target), sectors in routes.items():
        for start in range(0, len(sectors), MOVES_MAX):
            chosen = sectors[start : start + MOVES_MAX]
            numbers, why = [str(one.uuid) for one in chosen], str(CHANGED)
            try:
                made = moves_begin(source, target=target, numbers=numbers, now=now, by=by)
            except Conflict as refusal:
                made, why = [], refusal.reason
            moved = {one.sector_id for one in made}
            done += [one for one in chosen if one.pk in moved]
            refused += [(one, why) for one in chosen if one.pk not in moved]
    return done, refused


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
    other = str(CHANGED)
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
