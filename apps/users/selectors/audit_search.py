"""The audit log, searched and checked: who did what to which object, and whether its chain holds.

A whole check reads every line, so what was checked is stored in Redis and the next check goes on from
there; the check from the start is asked for.  The database itself refuses to change or remove a line.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, Func, Q, QuerySet, TextField, Value
from django.utils.translation import gettext_lazy as _
from redis.exceptions import RedisError

from apps.core import clock
from apps.core.clock import DAY
from apps.core.filters import DayFilters, Moment, Words
from apps.core.local_time import day_begin
from apps.core.redis_clients import redis_client
from apps.users.models import AuditEntry
from apps.users.rules.principals import Principal
from apps.users.selectors.audit import audit_hash, audit_visible

CHECKED: Final = "audit:checked"
"""Where Redis keeps how far the chain was checked."""
STEP: Final = 2_000
"""Lines that one step checks: some ten milliseconds."""
ACTORS_OF: Final = 200
"""Newest lines whose actors are offered to choose from."""
LINES_SEARCHED: Final = 20_000
"""Lines that one page of a search reads: some ten milliseconds, however long the log is."""
SPLIT: Final = Func(F("target"), Value(" "), Value(1), function="split_part", output_field=TextField())
"""The first word of an object's name: of `f03001 / 7` the miner."""
SECTOR: Final = re.compile("(?P<miner>[ft]0[0-9]{1,18}) / (?P<number>[0-9]{1,18})")
"""A sector as the log names it."""
SET_BACK: Final = timedelta(hours=1)
"""How far a clock may have been set back: lines are numbered in the order in which they were written."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to search for; empty fields match all."""

    who: str = ""
    """Part of the name of a person, token or process."""
    what: str = ""
    """Beginning of an action's name, as `token` or `token.revoke`."""
    action: str = ""
    """The whole of it."""
    target: str = ""
    """Part of the object's name."""
    target_whole: str = ""
    """The whole of it."""
    tenant: str = ""
    """Name of the tenant whose line it is."""
    text: str = ""
    """Part of the name of the actor or the object, or the beginning of the action's."""
    since: datetime | None = None
    until: datetime | None = None
    """The first moment that is no longer shown."""
    targets: frozenset[str] = frozenset()
    """Names of objects, with one of which the object's name begins, or is it."""

    @property
    def is_narrow(self) -> bool:
        """Return whether lines are passed over, of which there may be any number."""
        return self != AuditFilter()


class AuditFilters(DayFilters):
    """Filters of the audit log."""

    time_field = "at"
    q = Words(label=_("Actor, action or object"), about="part of the actor's or object's name, or an action")
    who = Words(label=_("Actor"), about="part of the name of a person, token or process")
    actor = Words(about="the same")
    what = Words(label=_("Action"), about="beginning of an action's name, as token")
    action = Words(about="the whole of it, as token.create")
    object = Words(label=_("Object"), about="part of the object's name")
    target = Words(about="the whole of it")
    tenant = Words(about="name of the tenant whose entry it is")
    after = Moment(about="written after this moment")
    before = Moment(about="written before this moment")

    @property
    def question(self) -> AuditFilter:
        """Return what to search for.  Raises BadValue."""
        self.check()
        wanted: dict[str, Any] = self.form.cleaned_data if self.given else dict.fromkeys(self.filters, None)
        first = [day_begin(wanted["since"])] if wanted["since"] else []
        first += [wanted["after"] + timedelta(microseconds=1)] if wanted["after"] else []
        last = [day_begin(wanted["until"] + DAY)] if wanted["until"] else []
        last += [wanted["before"]] if wanted["before"] else []
        return AuditFilter(
            who=wanted["who"] or wanted["actor"] or "",
            what=wanted["what"] or "",
            action=wanted["action"] or "",
            target=wanted["object"] or "",
            target_whole=wanted["target"] or "",
            tenant=wanted["tenant"] or "",
            text=wanted["q"] or "",
            since=max(first, default=None),
            until=min(last, default=None),
        )

    def rows(self) -> QuerySet[AuditEntry]:
        """Return all lines that fit, however many are read for that.  Raises BadValue."""
        return _fitting(self.queryset, self.question)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """What one search of the log found."""

    rows: list[AuditEntry]
    stopped_at: AuditEntry | None
    """The line at which a search stopped before it had read all; None if there is no older one."""


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """How far the chain of hashes was checked."""

    to: int = 0
    """Number of the last valid line; 0: none was checked."""
    to_hash: str = ""
    at: datetime | None = None
    """When the chain was last checked from its start."""
    broken: int | None = None
    """Number of the first line that was changed."""
    is_complete: bool = False
    """The check has reached the newest line."""


def actors_recent(viewer: Principal) -> list[str]:
    """Return who wrote the newest lines that the caller may read, by name."""
    return sorted({*audit_visible(viewer).values_list("actor", flat=True)[:ACTORS_OF]} - {""})


def audit_page(viewer: Principal, wanted: AuditFilter, *, before: int = 0, limit: int) -> AuditPage:
    """Return up to `limit` of them, older than the line `before`; a search reads `LINES_SEARCHED` lines."""
    rows = audit_visible(viewer)
    if before:
        rows = rows.filter(pk__lt=before)
    rows = _numbered(rows, wanted)
    stop = rows[LINES_SEARCHED - 1 : LINES_SEARCHED].first() if wanted.is_narrow else None
    if stop is not None:
        rows = rows.filter(pk__gte=stop.pk)
    found = list(_fitting(rows, wanted)[:limit])
    return AuditPage(found, stop if len(found) < limit else None)


def _numbered(rows: QuerySet[AuditEntry], wanted: AuditFilter) -> QuerySet[AuditEntry]:
    """Bound the lines of some days by their numbers: what lies between is not read."""
    first, last = wanted.since, wanted.until
    newer = AuditEntry.objects.filter(at__gte=last + SET_BACK).order_by("at").first() if last else None
    older = AuditEntry.objects.filter(at__lt=first - SET_BACK).order_by("-at").first() if first else None
    if newer is not None:
        rows = rows.filter(pk__lt=newer.pk)
    if older is not None:
        rows = rows.filter(pk__gt=older.pk)
    return rows


def _fitting(rows: QuerySet[AuditEntry], wanted: AuditFilter) -> QuerySet[AuditEntry]:
    fits = {
        "actor__icontains": wanted.who,
        "action__startswith": wanted.what,
        "action": wanted.action,
        "tenant__name": wanted.tenant,
        "at__gte": wanted.since,
        "at__lt": wanted.until,
    }
    rows = rows.filter(**{lookup: value for lookup, value in fits.items() if value})
    for name, lookup in ((wanted.target, "target__icontains"), (wanted.target_whole, "target")):
        if name:
            rows = rows.filter(_named(name, lookup))
    if wanted.text:
        is_of = Q(actor__icontains=wanted.text) | Q(action__startswith=wanted.text)
        rows = rows.filter(is_of | _named(wanted.text, "target__icontains"))
    if wanted.targets:
        rows = rows.annotate(first_word=SPLIT).filter(
            Q(target__in=wanted.targets) | Q(first_word__in=wanted.targets)
        )
    return rows


def _named(name: str, lookup: str) -> Q:
    named = Q(**{lookup: name})
    if (sector := SECTOR.fullmatch(name)) is not None:  # one of several that a line lists
        named |= Q(target=sector["miner"], after__sectors__contains=int(sector["number"]))
    else:
        named |= Q(after__messages__contains=[name])
    return named


def chain_check_latest() -> ChainCheck:
    """Check the lines that are new since the last check, some at a time."""
    before = _remembered()
    if before.broken is not None:
        return before
    anchor = AuditEntry.objects.filter(pk=before.to).first() if before.to else None
    if before.to and (anchor is None or anchor.entry_hash != before.to_hash):
        before = ChainCheck()  # this is another database than the one that was checked
    found = _walk(before, limit=STEP)
    _remember(found)
    return found


def chain_check() -> ChainCheck:
    """Check every line from the first."""
    found = _walk(ChainCheck(at=clock.now()), limit=None)
    _remember(found)
    return found


def _walk(before: ChainCheck, *, limit: int | None) -> ChainCheck:
    rows = AuditEntry.objects.filter(pk__gt=before.to).order_by("pk")
    to, to_hash, at = before.to, before.to_hash, before.at or clock.now()
    for count, entry in enumerate(rows.iterator(chunk_size=min(limit or STEP, STEP) + 1)):
        if count == limit:
            return ChainCheck(to, to_hash, at)
        if entry.previous_hash != to_hash or entry.entry_hash != audit_hash(entry):
            return ChainCheck(to, to_hash, at, broken=entry.pk)
        to, to_hash = entry.pk, entry.entry_hash
    return ChainCheck(to, to_hash, at, is_complete=True)


def _remembered() -> ChainCheck:
    try:
        text: Any = redis_client().get(CHECKED)
    except RedisError:
        return ChainCheck()
    if not text:
        return ChainCheck()
    stored = json.loads(text)
    return ChainCheck(stored["to"], stored["hash"], datetime.fromisoformat(stored["at"]), stored["broken"])


def _remember(found: ChainCheck) -> None:
    at = (found.at or clock.now()).isoformat()
    stored = {"to": found.to, "hash": found.to_hash, "at": at, "broken": found.broken}
    try:
        redis_client().set(CHECKED, json.dumps(stored))
    except RedisError:
        return  # the next check begins where this one did
