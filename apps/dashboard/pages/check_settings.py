"""One check's settings: its severity, and a mute of some hours with its reason; the operator's alone."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.checks.findings.results import Severity
from apps.checks.selectors.check_settings import check_setting
from apps.checks.services.check_settings import (
    MUTE_HOURS_MAX,
    can_set_checks,
    check_find,
    check_mute_end,
    check_mute_set,
    check_severity_set,
)
from apps.core import clock
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.number_fields import Whole
from apps.dashboard.pages.alerts.page import mute_hours_offered
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text
from apps.users.rules.principals import Principal

OPS: Final = ("severity", "mute", "unmute")


class CheckForm(PageForm):
    """What is set of a check, one thing at a time."""

    severity = Choice([("", ""), *((str(one), str(one)) for one in Severity)])
    mute_hours = Whole(least=1, most=MUTE_HOURS_MAX, initial=4, empty=0)
    mute_reason = Text()
    back = Text()


@require_safe
@sign_in_required
def check_page(request: HttpRequest, viewer: Principal, name: str) -> HttpResponse:
    """Show what is set of a check."""
    if not can_set_checks(viewer):
        raise Http404
    severity = check_setting(check_find(name).name).severity
    return check_page_render(request, viewer, name, CheckForm.of(request, severity=severity))


def check_page_render(request: HttpRequest, viewer: Principal, name: str, form: CheckForm) -> HttpResponse:
    """Show it, with what was typed where something could not be taken."""
    check, setting = check_find(name), check_setting(name)
    return form_render(
        request,
        viewer,
        "dashboard/check.html",
        form,
        title=check.title,
        section="today",
        check=check,
        muted=setting if setting.is_muted(clock.now()) else None,
        severities=[("critical", _("Critical")), ("warning", _("Warning"))],
        hours=mute_hours_offered(),
    )


@require_POST
@sign_in_required
def check_act(request: HttpRequest, viewer: Principal, name: str, op: str) -> HttpResponse:
    """Set a check's severity, mute it, or end its mute."""
    if op not in OPS or not can_set_checks(viewer):
        raise Http404
    check_find(name)
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    form = CheckForm.of(request)
    if form.is_valid():
        with form.refusals():
            check_do(viewer, name, op, form)
            notice_leave(request, _("Saved."))
            if form.cleaned_data["back"] == "alerts":
                return redirect("alerts")
            return redirect("check-settings", name)
    return check_page_render(request, viewer, name, form)


def check_do(viewer: Principal, name: str, op: str, form: CheckForm) -> None:
    """Do one of `OPS`.  Raises DomainError."""
    data = form.cleaned_data
    if op == "severity":
        check_severity_set(principal=viewer, name=name, severity=data["severity"])
    elif op == "mute":
        hours, reason = data["mute_hours"], data["mute_reason"]
        check_mute_set(principal=viewer, name=name, hours=hours, reason=reason, now=clock.now())
    else:
        check_mute_end(principal=viewer, name=name, now=clock.now())


urlpatterns: Final = [
    path("status/checks/<str:name>/", check_page, name="check-settings"),
    path("status/checks/<str:name>/<str:op>/", check_act, name="check-act"),
]
