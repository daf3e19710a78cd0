"""The audit log: who did what."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.core import clock
from apps.core.errors import BadValue
from apps.core.languages import list_text
from apps.core.local_time import here_of
from apps.dashboard.audit_sentences import sentence_parts
from apps.dashboard.cards import Verdict
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.audit.query import FIELDS, PLACES, query_read, question_of
from apps.dashboard.pagination import ROWS, Facet, cursor_read, page_of
from apps.dashboard.refusals import field_refusal_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal
from apps.users.selectors.audit_search import (
    LINES_SEARCHED,
    ChainCheck,
    audit_page,
    chain_check,
    chain_check_latest,
)

DAY: Final = timedelta(days=1)
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


def day_facets(query: dict[str, str]) -> list[Facet]:
    """Return today and yesterday in the person's zone as choices beside all days."""
    today = here_of(clock.now()).date()
    days = {"": "", gettext("Today"): today.isoformat(), gettext("Yesterday"): (today - DAY).isoformat()}
    chosen = query["since"] if query["since"] == query["until"] else None
    others = {name: value for name, value in query.items() if value and name not in ("since", "until")}
    return [
        Facet(
            key=f"day-{place}",
            label=label or gettext("All days"),
            href=f"?{urlencode(others | ({'since': day, 'until': day} if day else {}))}",
            on=chosen == day,
        )
        for place, (label, day) in enumerate(days.items())
    ]


@require_safe
@sign_in_required
def audit(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, newest first; a filter that there is not is refused."""
    refusal, query = "", dict.fromkeys(FIELDS, "")
    try:
        query = query_read(request)
    except BadValue as error:
        refusal = field_refusal_text(error)
    place = next((request.GET[name] for name in PLACES if name in request.GET), "")
    after = cursor_read(place, of="audit")
    before = int(after) if after.isdecimal() else 0
    page = audit_page(viewer, question_of(query), before=before, limit=0 if refusal else ROWS + 1)
    shown, pager = page_of(
        page.rows,
        of="audit",
        cursor_of=lambda row: str(row.pk),
        query=query,
        is_first=not after,
        stopped_at=str(page.stopped_at.pk) if page.stopped_at is not None else "",
    )
    check = chain_check_latest()
    query_string = urlencode({name: value for name, value in query.items() if value})
    return page_render(
        request,
        "audit/list.html",
        title=_("Audit"),
        section="audit",
        data=PageData(viewer),
        act_error=refusal,
        rows=[(row, [*sentence_parts(row)], change_rows(row.before, row.after)) for row in shown],
        searched=f"{LINES_SEARCHED:,}",
        stopped_at=page.stopped_at.at if page.stopped_at is not None else None,
        pager=pager,
        query=query,
        days=day_facets(query),
        actors=sorted({row.actor for row in shown if row.actor}),
        is_filtered=bool(refusal) or any(query.values()),
        groups=GROUPS,
        check=check,
        checked_at=check.at,
        verdict=verdict_of(check),
        may_check=viewer.is_operator,
        csv=f"{reverse('audit-csv')}?{query_string}",
        json=f"{reverse('audit-json')}?{query_string}",
    )


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
    path("audit/", audit, name="audit"),
    path("audit/check/", check, name="audit-check"),
]
