"""Alerts: channels are added, tested, switched and removed by the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.checks.selectors import channel_get
from apps.checks.services.channels import (
    REPEATS_S,
    channel_add,
    channel_remove,
    channel_set,
    channel_test,
)
from apps.checks.states import ChannelKind
from apps.core import clock, formatting
from apps.core.errors import DomainError, NotFound
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.fragments.alerts import alerts_context
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required

if TYPE_CHECKING:
    from uuid import UUID

    from apps.checks.models import AlertChannel
    from apps.users.principals import Principal

OPS: Final = ("test", "enable", "disable", "remove")
FIELDS: Final = ("name", "kind", "target", "secret", "repeat_s", "critical_only")


@require_safe
@sign_in_required
def alerts(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Channels, alerts and notifications; the operator's alone."""
    if not viewer.is_operator:
        raise Http404
    data = PageData(viewer)
    return page_render(
        request,
        "alerts/list.html",
        title="Alerts",
        section="alerts",
        page_key="alerts",
        data=data,
        may_create=viewer.may("admin"),
        **alerts_context(data),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def channel_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Ask where notifications go, and add the channel."""
    if not (viewer.is_operator and viewer.may("admin")):
        raise Http404
    form: dict[str, Any] = {name: request.POST.get(name, "").strip() for name in FIELDS}
    errors: dict[str, str] = {}
    if request.method == "POST":
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        try:
            channel_add(principal=viewer, **_form_read(form))
        except DomainError as refusal:
            errors[refusal.field or "name"] = refusal.reason
        else:
            return redirect("alerts")
    return page_render(
        request,
        "alerts/add.html",
        title="Add a channel",
        section="alerts",
        page_key="",
        data=PageData(viewer),
        status=422 if errors else 200,
        form=form,
        errors=errors,
        kinds=ChannelKind.choices,
        repeats=[(str(seconds), formatting.time_left(seconds)) for seconds in REPEATS_S],
    )


def _form_read(form: dict[str, str]) -> dict[str, Any]:
    repeat = form["repeat_s"]
    return {
        **form,
        "repeat_s": int(repeat) if repeat.isascii() and repeat.isdigit() and len(repeat) < 9 else -1,
        "critical_only": form["critical_only"] == "1",
    }


@require_POST
@sign_in_required
def channel_act(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Send a test, switch a channel, or remove it after a question."""
    if op not in OPS or not (viewer.is_operator and viewer.may("admin")):
        raise Http404
    try:
        channel = channel_get(key)
    except NotFound:
        raise Http404 from None
    if op == "remove" and not is_confirm_submitted(request):
        return confirm_page_render(request, viewer, _ask(channel))
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if op == "test":
        channel_test(principal=viewer, channel=channel, now=clock.now())
    elif op == "remove":
        channel_remove(principal=viewer, channel=channel)
    else:
        channel_set(principal=viewer, channel=channel, is_enabled=op == "enable")
    return redirect("alerts")


def _ask(channel: AlertChannel) -> ConfirmPage:
    return ConfirmPage(
        title=f"Remove {channel.name}?",
        text="It is notified no more, and what waits for it is not sent.",
        label="Remove",
        back=reverse("alerts"),
        page="Alerts",
        section="alerts",
    )
