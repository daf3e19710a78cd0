"""The audit log: who did what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.core import clock
from apps.core.clock import DAY
from apps.core.errors import DomainError
from apps.core.languages import list_text
from apps.core.local_time import here_of, moment_text
from apps.dashboard import cells
from apps.dashboard.audit_sentences import sentence_parts
from apps.dashboard.cards import Verdict
from apps.dashboard.csv_export import Download, rows_in_turn
from apps.dashboard.html_time import time_html
from apps.dashboard.list_page import Column, Empty, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import ROWS, Facet, Pager, Query, cursor_read, page_of
from apps.dashboard.refusals import field_refusal_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal
from apps.users.selectors.audit import audit_visible
from apps.users.selectors.audit_search import (
    LINES_SEARCHED,
    AuditFilters,
    ChainCheck,
    actors_recent,
    audit_page,
    chain_check,
    chain_check_latest,
)

if TYPE_CHECKING:
    from apps.users.models import AuditEntry

SHORT: Final = 120
"""Longest value that stands in the row itself."""
FACTS: Final[dict[str, Callable[[Any], Any]]] = {
    "number": attrgetter("pk"),
    "at": lambda row: row.at.isoformat(),
    "actor": attrgetter("actor"),
    "tenant": lambda row: row.tenant and row.tenant.name,
    **{name: attrgetter(name) for name in ("source", "action", "target", "before", "after")},
    **{name: attrgetter(name) for name in ("previous_hash", "entry_hash")},
}
"""An entry as it leaves the pool: whole, so that its hash can be computed again."""


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
        return gettext("yes") if value else gettext("no")
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return list_text(value) or gettext("none")
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


GROUPS: Final = (
    *(
        "account",
        "alert",
        "alerts",
        "approval",
        "auto-rule",
        "billing",
        "chain",
        "check",
        "claims",
        "client",
        "console",
        "deal",
        "devnet",
        "gas",
        "gateway",
    ),
    *("import", "log", "login", "market", "message", "miner", "mining", "multisig"),
    *("node", "offline", "person", "piece", "policy", "pool"),
    *("proving", "ratelimit", "recovery", "remote-wallet", "rules", "sector", "sender", "service"),
    *("settings", "signer", "statement", "status", "store", "tenant", "token", "user", "wallet", "worker"),
)
"""Beginnings of actions that the filter offers."""


def verdict_of(check: ChainCheck) -> Verdict:
    """Return in one sentence whether the chain holds."""
    if check.broken is not None:
        return Verdict(
            gettext("Entry {broken} was modified:").format(broken=check.broken),
            gettext("the hash chain is intact through entry {to}.").format(to=check.to),
        )
    if not check.to:
        return Verdict("", _("No entries yet."))
    rest = gettext("it is the latest.") if check.is_complete else gettext("reload to check newer entries.")
    return Verdict(gettext("Hash chain verified through entry {to}:").format(to=check.to), rest)


def chain_state(_data: PageData) -> ChainCheck:
    """Return how far the chain holds."""
    return chain_check_latest()


def day_facets(_data: PageData, wanted: AuditFilters, beside: Query) -> list[Facet]:
    """Return today and yesterday in the person's zone as choices beside all days."""
    today = here_of(clock.now()).date()
    days = {"": "", gettext("Today"): today.isoformat(), gettext("Yesterday"): (today - DAY).isoformat()}
    chosen = wanted["since"] if wanted["since"] == wanted["until"] else None
    given = [*wanted.given.items(), *beside.items()]
    others: dict[str, Any] = {name: texts for name, texts in given if name not in ("since", "until")}
    return [
        Facet(
            key=f"day-{place}",
            label=label or gettext("All days"),
            href=f"?{urlencode(others | ({'since': day, 'until': day} if day else {}), doseq=True)}",
            on=chosen == day,
        )
        for place, (label, day) in enumerate(days.items())
    ]


class AuditList(ListPage):
    """The list; one page of a search reads so many lines, and the next one goes on from there."""

    def cut(self, request: HttpRequest, wanted: Any, rows: Any) -> tuple[Sequence[AuditEntry], Pager]:  # noqa: ARG002
        """Cut the page that the address asks for."""
        cursor = cursor_read(request.GET.get("cursor") or self.place_in(request.GET), of=self.name)
        before = int(cursor) if cursor.isdecimal() else 0
        page = audit_page(wanted.viewer, wanted.question, before=before, limit=ROWS + 1)
        stop = page.stopped_at
        shown, pager = page_of(
            page.rows,
            of=self.name,
            cursor_of=lambda row: str(row.pk),
            query=self.query_of(request),
            is_first=not cursor,
            stopped_at="" if stop is None else str(stop.pk),
            field="cursor",
        )
        if stop is None:
            return shown, pager
        text = gettext("Searched {searched} entries, back to {at}. Older searches further back.")
        note = text.format(searched=f"{LINES_SEARCHED:,}", at=moment_text(stop.at))
        return shown, replace(pager, note=note)


def more(request: HttpRequest, data: PageData) -> dict[str, Any]:
    """Return what stands around the list."""
    query = urlencode(AUDIT.query_of(request), doseq=True)
    return {
        "check": data.of(chain_state),
        "may_check": data.viewer.is_operator,
        "json": f"{reverse('audit-json')}?{query}",
    }


def csv_value(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return how a fact is read for a cell of the CSV."""

    def text(row: Any) -> Any:
        value = read(row)
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value

    return text


def entry(row: AuditEntry) -> Any:
    """Return who did what, with all of the entry."""
    shown = {"a": row, "parts": [*sentence_parts(row)], "changes": change_rows(row.before, row.after)}
    return cells.partial("audit/_entry.html", **shown)


AUDIT: Final = AuditList(
    name="audit",
    one="entry",
    title=_("Audit"),
    table=_("Audit log"),
    caption=_("Audit entries, newest first"),
    icon="audit",
    template="audit/list.html",
    more=more,
    rows=lambda data: audit_visible(data.viewer),
    lay_out=lambda rows, _data: rows,
    id_of=attrgetter("pk"),
    tone_of=lambda _row: "",
    verdict=lambda data: verdict_of(data.of(chain_state)),
    filters=AuditFilters,
    search=_("Actor, action or object"),
    places=("who", "what", "object"),
    places_label=_("Filter"),
    suggested={"who": lambda data: actors_recent(data.viewer), "what": lambda _data: GROUPS},
    days=True,
    more_facets=day_facets,
    empty=lambda _data: Empty(
        _("No entries yet"),
        _(
            "Every change to access, policies, nodes and settings is recorded here; entries are never "
            "changed or removed."
        ),
    ),
    none=Empty(_("Nothing found"), _("No entries match these filters.")),
    columns=(
        Column(head=_("Entry"), cell=entry, css="wrap", is_name=True),
        Column(
            head=_("Tenant"),
            cell=lambda row: row.tenant.name if row.tenant else gettext("pool"),
            css="keep lo",
            key="tenant",
        ),
        Column(head=_("Time"), cell=lambda row: time_html(row.at), css="num keep", key="time"),
    ),
    csv={name: csv_value(read) for name, read in FACTS.items()},
)


@require_safe
@sign_in_required
def audit_json(request: HttpRequest, viewer: Principal) -> HttpResponse | Download:
    """Yield the filtered list as JSON."""
    data = PageData(viewer)
    rows = AUDIT.rows(data)
    try:
        rows = AUDIT.narrowed(request, AUDIT.wanted(request.GET, data, rows), rows, data)
    except DomainError as refusal:
        return HttpResponse(field_refusal_text(refusal), status=422, content_type="text/plain")

    def parts() -> Iterator[str]:
        mark = "["
        for row in rows_in_turn(rows):
            facts = {name: read(row) for name, read in FACTS.items()}
            yield f"{mark}\n{json.dumps(facts, ensure_ascii=False)}"
            mark = ","
        yield "[]\n" if mark == "[" else "\n]\n"

    return Download("audit.json", parts(), content_type="application/json")


@require_POST
@sign_in_required
def check(request: HttpRequest, viewer: Principal) -> HttpResponse:  # noqa: ARG001
    """Check the chain from its start."""
    if not viewer.is_operator:
        raise Http404
    chain_check()
    return redirect("audit")


NAV: Final = NavItem("audit", _("Audit"), "audit", place=(7, 4), jump="u")
urlpatterns: Final = [
    *AUDIT.urls,
    path("audit.json", audit_json, name="audit-json"),
    path("audit/check/", check, name="audit-check"),
]
