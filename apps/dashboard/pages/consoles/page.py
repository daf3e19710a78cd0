"""Consoles: the machines that run the console, what each leads, and adding or removing one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core.consoles import ConsoleSeen, consoles_seen, processes_by_machine, roles_led
from apps.core.errors import DomainError, NotFound
from apps.core.formatting import plural
from apps.core.languages import colon_text, list_text, sentence_text
from apps.core.processes import Process
from apps.core.reasons import shown_text
from apps.dashboard.cards import Verdict
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.join_page import join_page_render
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.program_commands import console_url
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import field_refusal_text, refusal_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.shown_once import secret_keep, secret_take
from apps.users.rules.principals import Principal
from apps.users.services.consoles import console_remove, console_token_issue

MADE: Final = "console_join_made"


def can_manage_consoles(viewer: Principal) -> bool:
    """Return whether the console's machines are this viewer's to see and change."""
    return viewer.sees_pool and viewer.may("admin")


def console_label(seen: ConsoleSeen, processes: list[Process]) -> StateLabel:
    """Return in words how a machine is."""
    if seen.row.started_at is None:
        return StateLabel("run", _("joined, not started"), "wait")
    if not seen.works:
        return StateLabel("bad", _("not seen"))
    if seen.row.unread:
        return StateLabel("warn", _("shared folders differ"))
    if any(process.state != "running" for process in processes):
        return StateLabel("warn", _("processes down"))
    return StateLabel("ok", _("running"))


def consoles_context(data: PageData) -> dict[str, Any]:
    """Return what the page shows of the machines."""
    led, processes = roles_led(), processes_by_machine(at=data.at)
    rows: list[dict[str, Any]] = []
    for seen in consoles_seen():
        own = processes.get(seen.row.machine, [])
        running = sum(process.state == "running" for process in own)
        rows.append(
            {
                "row": seen.row,
                "label": console_label(seen, own),
                "answers": seen.row.machine == settings.MACHINE_NAME,
                "leads": list_text(led.get(seen.row.machine, [])),
                "processes": gettext("{working} of {rows} running").format(working=running, rows=len(own)),
                "down": list_text(process.name for process in own if process.state != "running"),
                "unread": [
                    gettext("{setting} of {machine}: {why}").format(
                        setting=one["setting"],
                        machine=one["machine"],
                        why=colon_text(one["folder"], shown_text(one["reason"])),
                    )
                    for one in seen.row.unread
                ],
                "may_remove": not seen.works,
            }
        )
    working = sum(row["label"].tone == "ok" for row in rows)
    verdict = Verdict(
        sentence_text(plural(len(rows), "console machine")),
        gettext("All of them work.")
        if working == len(rows)
        else gettext("{working} of {all} work without trouble.").format(working=working, all=len(rows)),
    )
    return {"consoles": rows, "verdict": verdict}


@require_safe
@sign_in_required
def consoles(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the machines."""
    if not can_manage_consoles(viewer):
        raise Http404
    return consoles_page(request, viewer)


def consoles_page(request: HttpRequest, viewer: Principal, *, error: str = "") -> HttpResponse:
    """Show the machines, with a refusal where there was one."""
    data = PageData(viewer)
    return page_render(
        request,
        "consoles/page.html",
        title=_("Consoles"),
        section="consoles",
        page_key="consoles",
        data=data,
        status=422 if error else 200,
        error=error,
        **consoles_context(data),
    )


@require_POST
@sign_in_required
def console_join(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Make a join token, after the question what it opens."""
    if not can_manage_consoles(viewer):
        raise Http404
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if not is_confirm_submitted(request):
        return confirm_page_render(request, viewer, join_question())
    try:
        secret_keep(request, MADE, token=console_token_issue(by=viewer))
    except DomainError as refusal:
        return consoles_page(request, viewer, error=field_refusal_text(refusal))
    return redirect("console-joining")


def join_question() -> ConfirmPage:
    """Write the question before a token is made."""
    return ConfirmPage(
        _("Add a console machine"),
        _(
            "You get a token with which one machine, within an hour, fetches the key of sessions and the "
            "addresses of database, Redis and nodes with their passwords. Whoever has it has the pool: use "
            "it only on a machine that you trust like this one."
        ),
        _("Create the token"),
        back=reverse("consoles"),
        page=_("Consoles"),
        section="consoles",
    )


@require_safe
@sign_in_required
def console_joining(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the commands, and the join token that was just made, once."""
    if not can_manage_consoles(viewer):
        raise Http404
    made = secret_take(request, MADE)
    if not made:
        return redirect("consoles")
    return join_page_render(
        request,
        viewer,
        "consoles/joining.html",
        title=_("Add a console machine"),
        section="consoles",
        token=made["token"],
        start=f"make console JOIN={console_url(request)}",
        done=reverse("consoles"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def console_drop(request: HttpRequest, viewer: Principal, machine: str) -> HttpResponse:
    """Forget a machine that is gone, after a question."""
    if not can_manage_consoles(viewer):
        raise Http404
    if not is_confirm_submitted(request):
        question = ConfirmPage(
            gettext("Remove {machine}").format(machine=machine),
            _(
                "It is forgotten here with its processes. What it has fetched of the pool's secrets it "
                "keeps: if others may have it, change the passwords of database and Redis and SECRET_KEY."
            ),
            _("Remove"),
            back=reverse("consoles"),
            page=_("Consoles"),
            section="consoles",
        )
        return confirm_page_render(request, viewer, question)
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    try:
        console_remove(by=viewer, machine=machine)
    except NotFound:
        raise Http404 from None
    except DomainError as refusal:
        return consoles_page(request, viewer, error=refusal_text(refusal))
    return redirect("consoles")


def consoles_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield the table anew."""
    if can_manage_consoles(context.viewer):
        shown = consoles_context(context.data)
        yield fragment("dashboard/_verdict.html", verdict=shown["verdict"])
        yield fragment("consoles/_table.html", consoles=shown["consoles"])


NAV: Final = NavItem(
    "consoles", _("Consoles"), "columns", place=(6, 5), shown=lambda data: can_manage_consoles(data.viewer)
)
urlpatterns: Final = [
    path("consoles/", consoles, name="consoles"),
    path("consoles/join/", console_join, name="console-join"),
    path("consoles/joining/", console_joining, name="console-joining"),
    path("consoles/<str:machine>/remove/", console_drop, name="console-remove"),
]
LIVE: Final = {"consoles": LivePage({"process": (consoles_fragment,)})}
