"""Senders: the list with their lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Topic
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.senders.rows import SenderRow, sender_rows
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.messages.selectors.messages import senders_of
from apps.messages.selectors.senders import senders_visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.http import HttpRequest, HttpResponse

    from apps.messages.models import Sender
    from apps.users.principals import Principal


SENDERS_MAX: Final = 200
"""Senders on the page; a search finds the others."""


def list_verdict_of(rows: Sequence[SenderRow], data: PageData) -> Verdict:
    """Return in one sentence whether every address sends."""
    report = data.report_of(Topic.SENDERS)
    if not rows:
        return verdict_by(report, Verdict("", _("No messages pushed yet.")))
    rest = "" if report.found else "no nonce gaps, nothing stuck."
    return verdict_by(report, Verdict(f"{plural(len(rows), 'sender')}{',' if rest else '.'}", rest))


def list_senders(context: FragmentContext) -> list[Sender]:
    """Return the senders that the page shows."""
    return list(senders_visible(context.viewer)[:SENDERS_MAX])


def list_verdict(context: FragmentContext) -> Iterable[str]:
    rows = sender_rows(list_senders(context), context.data)
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(rows, context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed senders."""
    wanted = [row for row in list_senders(context) if str(row.pk) in set(keys)]
    yield from _rows(wanted, context)


def rows_of_messages(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the senders of the changed messages."""
    found = senders_of(keys)
    yield from _rows([row for row in list_senders(context) if row.address in found], context)


def all_rows(context: FragmentContext, _keys: list[str]) -> Iterable[str]:
    """Render every sender: a head moved the chain's nonces and balances."""
    yield from _rows(list_senders(context), context)


def _rows(senders: Sequence[Sender], context: FragmentContext) -> Iterable[str]:
    if not senders:
        return
    for row in sender_rows(senders, context.data):
        yield fragment("senders/_row.html", sender=row)


@require_safe
@sign_in_required
def senders(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, those that need somebody first."""
    data = PageData(viewer)
    rows = sender_rows(list(senders_visible(viewer)[:SENDERS_MAX]), data)
    return page_render(
        request,
        "senders/list.html",
        title=_("Senders"),
        section="senders",
        page_key="senders",
        data=data,
        senders=rows,
        verdict=list_verdict_of(rows, data),
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
