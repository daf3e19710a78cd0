"""What the audit log is asked for: who, what, when."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest
from django.utils.translation import gettext

from apps.core.errors import BadValue
from apps.dashboard.csv_export import rows_in_turn
from apps.dashboard.day_spans import day_moment, day_read
from apps.dashboard.scope import SCOPE
from apps.users.rules.principals import Principal
from apps.users.selectors.audit_search import AuditFilter, audit_find

FIELDS: Final = ("who", "what", "object", "since", "until")


PLACES: Final = ("cursor", "after")
"""Where a page of the list begins; `after` in addresses of older versions."""


def query_read(request: HttpRequest) -> dict[str, str]:
    """Return what the filter says.  Raises BadValue for a filter that there is not, or a day that is none."""
    for name in request.GET:
        if name not in (*FIELDS, *PLACES, *SCOPE):
            raise BadValue(gettext("there is no such filter"), field=name[:40])
    query = {name: request.GET.get(name, "").strip()[:200] for name in FIELDS}
    for name in ("since", "until"):
        if query[name] and day_read(query[name]) is None:
            raise BadValue(gettext("must be a day such as 2026-11-28"), field=name)
    return query


def question_of(query: dict[str, str]) -> AuditFilter:
    """Read the filter."""
    return AuditFilter(
        who=query["who"],
        what=query["what"],
        target=query["object"],
        since=day_moment(day_read(query["since"])),
        until=day_moment(day_read(query["until"]), later=1),
    )


def found(request: HttpRequest, viewer: Principal) -> Any:
    """Return all entries that the filter asks for, to be taken along."""
    return rows_in_turn(audit_find(viewer, question_of(query_read(request))))
