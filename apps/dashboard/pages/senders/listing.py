"""Senders: the list with their lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Topic
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.senders.rows import SenderList
from apps.dashboard.pagination import page_counted
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.messages.selectors.messages import senders_of
from apps.messages.selectors.senders import senders_visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest, HttpResponse

    from apps.messages.models import Sender
    from apps.users.rules.principals import Principal


LIVE_MAX: Final = 200
"""Senders whose rows a head renders anew, the first of the list; those further down wait for a reload."""


def list_verdict_of(count: int, data: PageData) -> Verdict:
    """Return in one sentence whether every address sends."""
    report = data.report_of(Topic.SENDERS)
    if not count:
        return verdict_by(report, Verdict("", _("No messages pushed yet.")))
    rest = "" if report.found else gettext("no nonce gaps, nothing stuck.")
    return verdict_by(report, Verdict(f"{plural(count, 'sender')}{',' if rest else '.'}", rest))


def list_verdict(context: FragmentContext) -> Iterable[str]:
    count = senders_visible(context.viewer).count()
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(count, context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed senders; a page shows those that it has."""
    known = [key for key in keys if key.isdigit()]
    yield from _rows(senders_visible(context.viewer).filter(pk__in=known), context)


def rows_of_messages(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the senders of the changed messages."""
    yield from _rows(senders_visible(context.viewer).filter(address__in=senders_of(keys)), context)


def all_rows(context: FragmentContext, _keys: list[str]) -> Iterable[str]:
    """Render every sender: a head moved the chain's nonces and balances."""
    yield from _rows(senders_visible(context.viewer), context)


def _rows(senders: Iterable[Sender], context: FragmentContext) -> Iterable[str]:
    found = SenderList(context.data)
    shown = found.worst_first(senders)[:LIVE_MAX]
    for row in found.rows(shown) if shown else ():
        yield fragment("senders/_row.html", sender=row)


@require_safe
@sign_in_required
def senders(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, those that need somebody first."""
    data = PageData(viewer)
    found = SenderList(data)
    ordered = found.worst_first(senders_visible(viewer))
    shown, pager = page_counted(ordered, request.GET.get("after", ""))
    return page_render(
        request,
        "senders/list.html",
        title=_("Senders"),
        section="senders",
        page_key="senders",
        data=data,
        senders=found.rows(shown),
        pager=pager,
        verdict=list_verdict_of(len(ordered), data),
        csv=reverse("senders-csv"),
    )


NAV: Final = NavItem("senders", _("Senders"), "pipeline", place=(1, 10))
urlpatterns: Final = [
    path("senders/", senders, name="senders"),
]
LIVE: Final = {
    "senders": LivePage(
        dict.fromkeys(("message", "messages", "sender", "head"), (list_verdict,)),
        rows={"sender": rows, "message": rows_of_messages, "messages": all_rows, "head": all_rows},
        findings=list_verdict,
    )
}
