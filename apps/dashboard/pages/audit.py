"""The audit log: who did what, as a page, CSV and JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.dashboard.cards import Verdict
from apps.dashboard.csv_export import CHUNK, CSV_MAX, Download, csv_answer
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import ROWS, cursor_read, page_of
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.users.audit_search import (
    LOOKED,
    YEARS,
    AuditQuestion,
    ChainCheck,
    audit_find,
    audit_page,
    chain_check,
    chain_look,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apps.users.models import AuditEntry
    from apps.users.principals import Principal


SHORT: Final = 120
"""Longest value that stands in the row itself."""


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One field of what was changed."""

    name: str
    before: str
    after: str
    is_long: bool
    """Has lines of its own, or too many words for a row."""


def value_text(value: Any) -> str:
    """Write a value for people."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def change_rows(before: Any, after: Any) -> tuple[ChangeRow, ...]:
    """Put what was and what is side by side; what stayed the same is left out."""
    old = before if isinstance(before, dict) else {} if before is None else {"": before}
    new = after if isinstance(after, dict) else {} if after is None else {"": after}
    found = []
    for name in dict.fromkeys([*old, *new]):
        if name in old and name in new and old[name] == new[name]:
            continue
        was, now = value_text(old.get(name)), value_text(new.get(name))
        is_long = "\n" in was + now or max(len(was), len(now)) > SHORT
        found.append(ChangeRow(str(name).replace("_", " "), was, now, is_long))
    return tuple(found)


FIELDS: Final = ("who", "what", "object", "since", "until")
GROUPS: Final = (
    *("account", "gas", "devnet", "gateway", "login", "miner", "node", "person", "policy"),
    *("ratelimit", "sender", "signer", "tenant", "token", "user"),
)
"""Beginnings of actions that the filter offers."""
COLUMNS: Final = (
    *("number", "at", "actor", "tenant", "source", "action", "target", "before", "after"),
    *("previous_hash", "entry_hash"),
)


def day_read(text: str) -> date | None:
    """Read a day; nothing for what is none, or lies before or after all that can have been written."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if YEARS[0] <= day.year <= YEARS[1] else None


def moment(day: date | None, *, later: int = 0) -> datetime | None:
    """Return when a day (UTC) begins, or one so many days later."""
    return None if day is None else datetime.combine(day, time(), UTC) + timedelta(days=later)


def asked(request: HttpRequest) -> dict[str, str]:
    """Return what the filter says."""
    return {name: request.GET.get(name, "").strip()[:200] for name in FIELDS}


def question_of(query: dict[str, str]) -> AuditQuestion:
    """Read the filter."""
    return AuditQuestion(
        who=query["who"],
        what=query["what"],
        target=query["object"],
        since=moment(day_read(query["since"])),
        until=moment(day_read(query["until"]), later=1),
    )


def found(request: HttpRequest, viewer: Principal) -> Any:
    """Return all entries that the filter asks for, to be taken along."""
    return audit_find(viewer, question_of(asked(request)))[:CSV_MAX].iterator(chunk_size=CHUNK)


def verdict_of(check: ChainCheck) -> Verdict:
    """Return in one sentence whether the chain holds."""
    if check.broken is not None:
        return Verdict(
            say("Entry {broken} was modified:").format(broken=check.broken),
            say("the hash chain is intact through entry {to}.").format(to=check.to),
        )
    if not check.to:
        return Verdict("", _("No entries yet."))
    rest = "it is the latest." if check.is_whole else "reload to check newer entries."
    return Verdict(say("Hash chain verified through entry {to}:").format(to=check.to), rest)


@require_safe
@sign_in_required
def audit(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, newest first."""
    query, after = asked(request), cursor_read(request.GET.get("after", ""))
    before = int(after) if after.isdecimal() else 0
    look = audit_page(viewer, question_of(query), before=before, limit=ROWS + 1)
    shown, pager = page_of(
        look.rows,
        cursor_of=lambda row: str(row.pk),
        query=query,
        is_first=not after,
        stopped_at=str(look.stopped_at.pk) if look.stopped_at is not None else "",
    )
    check = chain_look()
    kept = urlencode({name: value for name, value in query.items() if value})
    return page_render(
        request,
        "audit/list.html",
        title=_("Audit"),
        section="audit",
        data=PageData(viewer),
        rows=[(row, change_rows(row.before, row.after)) for row in shown],
        looked=f"{LOOKED:,}",
        stopped_at=look.stopped_at.at if look.stopped_at is not None else None,
        pager=pager,
        query=query,
        is_filtered=any(query.values()),
        groups=GROUPS,
        check=check,
        checked_at=check.at,
        verdict=verdict_of(check),
        may_check=viewer.is_operator,
        csv=f"{reverse('audit-csv')}?{kept}",
        json=f"{reverse('audit-json')}?{kept}",
    )


@require_POST
@sign_in_required
def check(request: HttpRequest, viewer: Principal) -> HttpResponse:  # noqa: ARG001
    """Check the chain from its start."""
    if not viewer.is_operator:
        raise Http404
    chain_check()
    return redirect("audit")


def cells_of(row: AuditEntry) -> dict[str, Any]:
    """Return an entry as it leaves the pool: whole, so that its hash can be computed again."""
    return {
        "number": row.pk,
        "at": row.at.isoformat(),
        "actor": row.actor,
        "tenant": row.tenant.name if row.tenant is not None else None,
        "source": row.source,
        "action": row.action,
        "target": row.target,
        "before": row.before,
        "after": row.after,
        "previous_hash": row.previous_hash,
        "entry_hash": row.entry_hash,
    }


@require_safe
@sign_in_required
def audit_csv(request: HttpRequest, viewer: Principal) -> Download:
    """Return the filtered list as CSV."""

    def text(value: Any) -> Any:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value

    rows = ([text(one) for one in cells_of(row).values()] for row in found(request, viewer))
    return csv_answer("audit.csv", COLUMNS, rows)


@require_safe
@sign_in_required
def audit_json(request: HttpRequest, viewer: Principal) -> Download:
    """Yield the filtered list as JSON."""
    rows = found(request, viewer)

    def parts() -> Iterator[str]:
        mark = "["
        for row in rows:
            yield f"{mark}\n{json.dumps(cells_of(row), ensure_ascii=False)}"
            mark = ","
        yield "[]\n" if mark == "[" else "\n]\n"

    return Download("audit.json", parts(), content_type="application/json")


NAV: Final = NavItem("audit", _("Audit"), "audit", place=(2, 6))
urlpatterns: Final = [
    path("audit/", audit, name="audit"),
    path("audit.csv", audit_csv, name="audit-csv"),
    path("audit.json", audit_json, name="audit-json"),
    path("audit/check/", check, name="audit-check"),
]
