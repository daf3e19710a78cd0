"""Channels of alerts: a new one, test, enable, disable, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.checks.selectors.alerts import channel_get, channel_visible
from apps.checks.services.channels import (
    REPEATS_S,
    ChannelSpec,
    can_manage_channels,
    channel_add,
    channel_callback_set,
    channel_remove,
    channel_set,
    channel_test,
)
from apps.checks.states import ChannelKind
from apps.core import clock
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.pages.alerts.page import OPS, every_text
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text

if TYPE_CHECKING:
    from uuid import UUID

    from django_stubs_ext import StrOrPromise

    from apps.checks.models import AlertChannel
    from apps.users.rules.principals import Principal


class ChannelForm(PageForm):
    """Where notifications go, and which."""

    blamed = "name"
    name = Text()
    kind = Text()
    target = Text()
    secret = Text()
    repeat_s = Text(initial="3600")
    critical_only = Text()
    with_actions = Text()

    def clean_repeat_s(self) -> int:
        """Read seconds; what is no number is none of those offered."""
        typed = self.cleaned_data["repeat_s"]
        return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 9 else -1

    def clean_critical_only(self) -> bool:
        """Read the tick."""
        return bool(self.cleaned_data["critical_only"] == "1")

    def clean_with_actions(self) -> bool:
        """Read the other one."""
        return bool(self.cleaned_data["with_actions"] == "1")


class CallbackForm(PageForm):
    """With what PagerDuty signs what it reports back."""

    callback_secret = Text()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def channel_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form for a channel of notifications, and add it."""
    if not can_manage_channels(viewer, tenant_id=None):
        raise Http404
    form = ChannelForm.of(request)
    if form.is_valid():
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        with form.refusals():
            channel_add(ChannelSpec(**form.cleaned_data), principal=viewer)
            notice_leave(request, _("Channel added. Send a test to see that it arrives."))
            return redirect("alerts")
    return channel_form_render(request, viewer, "alerts/add.html", form, section="alerts")


def channel_form_render(
    request: HttpRequest, viewer: Principal, template: str, form: ChannelForm, *, section: str, **context: Any
) -> HttpResponse:
    """Show the form for a channel."""
    return form_render(
        request,
        viewer,
        template,
        form,
        title=_("Add a channel"),
        section=section,
        kinds=ChannelKind.choices,
        repeats=[(str(seconds), every_text(seconds)) for seconds in REPEATS_S],
        soon=every_text(REPEATS_S[0]),
        **context,
    )


@require_POST
@sign_in_required
def channel_act(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Send a test, switch a channel, or remove it after a question."""
    if op not in OPS or not can_manage_channels(viewer, tenant_id=None):
        raise Http404
    channel = channel_get(key)
    if op == "remove" and not is_confirm_submitted(request):
        question = channel_question(channel, back=reverse("alerts"), page=_("Alerts"), section="alerts")
        return confirm_page_render(request, viewer, question)
    if op == "callback":
        return redirect("alert-channel-callback", key)
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    channel_do(viewer, channel, op)
    return redirect("alerts")


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def channel_callback(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show where PagerDuty is to report, and set with what it signs."""
    row = channel_visible(viewer, key)
    if not can_manage_channels(viewer, tenant_id=row.tenant_id) or row.kind != ChannelKind.PAGERDUTY:
        raise Http404
    back = reverse("alerts") if row.tenant is None else reverse("tenant", args=[row.tenant.uuid])
    form = CallbackForm.of(request)
    if form.is_valid():
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        with form.refusals():
            secret = form.cleaned_data["callback_secret"]
            channel_callback_set(principal=viewer, channel=row, secret=secret)
            notice_leave(
                request,
                _("Acknowledgements come back from now on.")
                if secret
                else _("Nothing comes back from now on."),
            )
            return redirect(back)
    return form_render(
        request,
        viewer,
        "alerts/callback.html",
        form,
        title=gettext("Acknowledgements of {channel}").format(channel=row.name),
        section="alerts" if row.tenant is None else "tenants",
        channel=row,
        back=back,
        url=(settings.CONSOLE_URL or request.build_absolute_uri("/").rstrip("/"))
        + reverse("pagerduty-event", args=[row.uuid]),
    )


def channel_do(viewer: Principal, channel: AlertChannel, op: str) -> None:
    """Do one of `OPS` with a channel.  Raises DomainError."""
    if op == "test":
        channel_test(principal=viewer, channel=channel, now=clock.now())
    elif op == "remove":
        channel_remove(principal=viewer, channel=channel)
    else:
        channel_set(principal=viewer, channel=channel, is_enabled=op == "enable")


def channel_question(channel: AlertChannel, *, back: str, page: StrOrPromise, section: str) -> ConfirmPage:
    """Return what is asked before a channel is removed."""
    return ConfirmPage(
        title=gettext("Remove {channel}?").format(channel=channel.name),
        text=_("It gets no more notifications, and those still queued for it are not sent."),
        label=_("Remove"),
        back=back,
        page=page,
        section=section,
    )


urlpatterns: Final = [
    path("alerts/channels/add/", channel_new, name="alert-channel-new"),
    path("alerts/channels/<uuid:key>/acknowledgements/", channel_callback, name="alert-channel-callback"),
    path("alerts/channels/<uuid:key>/<str:op>/", channel_act, name="alert-channel-act"),
]
