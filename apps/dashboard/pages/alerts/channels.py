"""Channels of alerts: a new one, test, enable, disable, edit, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.checks.selectors.alerts import channel_get, channel_visible
from apps.checks.services.channel_choices import WAITS_MIN, scope_write
from apps.checks.services.channels import (
    REPEATS_S,
    ChannelSpec,
    can_manage_channels,
    channel_add,
    channel_callback_set,
    channel_edit,
    channel_remove,
    channel_set,
    channel_test,
    push_url_write,
)
from apps.checks.services.push_services import PUSH_BY_NAME, PUSH_SERVICES, PushService
from apps.checks.states import ChannelKind
from apps.checks.table.checks import CHECKS
from apps.core import clock
from apps.core.formatting import plural
from apps.core.languages import colon_text
from apps.core.local_time import zone_names
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.first_steps import tenant_only
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.pages.alerts.page import OPS, every_text
from apps.dashboard.pickers import miner_label, tenant_choices
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Names, Text, TextList, Tick
from apps.miners.selectors.miners import miners_visible
from apps.miners.states import MinerState
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.checks.models import AlertChannel
    from apps.users.models import Tenant


PARTS: Final = ("part_1", "part_2", "part_3")
PART_LABELS: Final = {
    "workspace": _("First part of the webhook's path (T…)"),
    "webhook": _("Second part of the webhook's path (B…)"),
    "bot_token": _("The bot's token"),
    "channel": _("Channel, by its name or ID"),
    "webhook_id": _("The webhook's number"),
    "chat_id": _("The chat's number"),
    "user_key": _("User key"),
    "space": _("Space"),
    "key": _("Key"),
    "token": _("Token"),
    "user": _("User or topic (UID_… or a number)"),
}
SHOWN_PARTS: Final = ("channel", "chat_id", "user", "webhook_id", "workspace", "webhook", "space")
"""Parts of a service's URL that are typed in plain sight: they let nobody send."""
OFFERED_MAX: Final = 500
"""Tenants or miners that a form offers, each."""
PAGES: Final = {"edit": "alert-channel-settings", "callback": "alert-channel-callback"}
"""What is done with a channel on a page of its own: act and page."""


class EditForm(PageForm):
    """What can be changed of a channel: which notifications it gets, and where they go."""

    target = Text()
    secret = Text()
    repeat_s = Choice([(seconds, seconds) for seconds in REPEATS_S], initial=3600, coerce=int)
    critical_only = Tick()
    with_actions = Tick()
    language = Choice([("", ""), *settings.LANGUAGES], empty=settings.LANGUAGE_CODE)
    only_tenants = Names()
    only_miners = TextList()
    only_checks = TextList()
    wait_min = Choice([("", ""), *((minutes, minutes) for minutes in WAITS_MIN)], coerce=int, empty=0)
    quiet_from = Text()
    quiet_to = Text()
    quiet_zone = Text()
    quiet_critical = Tick()


class ChannelForm(EditForm):
    """Where notifications go, and which."""

    blamed = "name"
    name = Text()
    kind = Choice([("", ""), *ChannelKind.choices])
    service = Choice(["", *PUSH_BY_NAME])
    """A service of apprise by its name, whose URL is made of the parts; empty: the URL is given."""
    part_1 = Text()
    part_2 = Text()
    part_3 = Text()

    @property
    def spec(self) -> ChannelSpec:
        """Return the channel that was entered.  Raises BadValue."""
        given = {**self.cleaned_data}
        name, parts = given.pop("service"), [given.pop(part) for part in PARTS]
        if name:
            given |= {"kind": ChannelKind.APPRISE, "target": push_url_write(name, parts=parts)}
        return ChannelSpec(**given)


class CallbackForm(PageForm):
    """With what PagerDuty signs what it reports back."""

    callback_secret = Text()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def channel_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form for a channel of notifications, and add it."""
    if not can_manage_channels(viewer, tenant_id=None):
        raise Http404
    form = ChannelForm.of(request, service=request.GET.get("service", ""))
    if form.is_valid():
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        with form.refusals():
            channel_add(form.spec, principal=viewer)
            notice_leave(request, _("Channel added. Send a test to see that it arrives."))
            return redirect("alerts")
    return channel_form_render(request, viewer, "alerts/add.html", form, section="alerts")


def channel_form_render(
    request: HttpRequest,
    viewer: Principal,
    template: str,
    form: ChannelForm,
    *,
    section: str,
    tenant: Tenant | None = None,
) -> HttpResponse:
    """Show the form for a channel."""
    service = PUSH_BY_NAME.get(str(form.typed["service"]))
    title = gettext("Add a channel")
    return form_render(
        request,
        viewer,
        template,
        form,
        title=title if service is None else colon_text(title, service.title),
        section=section,
        kinds=ChannelKind.choices,
        services=PUSH_SERVICES,
        service=service,
        parts=() if service is None else service_parts(service),
        offered=scope_offered(viewer, tenant),
        tenant=tenant,
        **repeats_offered(),
    )


def service_parts(service: PushService) -> list[tuple[str, StrOrPromise, str]]:
    """Return the fields of a service's form: name, label, type."""
    return [
        (field, PART_LABELS[part], "text" if part in SHOWN_PARTS else "password")
        for field, part in zip(PARTS, service.parts, strict=False)
    ]


def scope_offered(viewer: Principal, tenant: Tenant | None) -> dict[str, list[tuple[str, StrOrPromise]]]:
    """Return what a channel can be limited to, by field: value and name."""
    own = viewer if tenant is None else tenant_only(viewer, tenant)
    miners = miners_visible(own).filter(state=MinerState.ACTIVE)
    offered_checks = [one for one in CHECKS if tenant is None or not (one.operator_only or one.is_pool_wide)]
    tenants = [] if tenant is not None else tenant_choices(viewer, "", OFFERED_MAX)
    return {
        "only_tenants": [(one.value, one.label) for one in tenants],
        "only_miners": [(row.address, miner_label(row)) for row in miners[:OFFERED_MAX]],
        "only_checks": [
            (one.name, one.title) for one in sorted(offered_checks, key=lambda one: str(one.title))
        ],
    }


def repeats_offered() -> dict[str, Any]:
    """Return the intervals that a form offers, and that of urgent checks."""
    offered = [(str(seconds), every_text(seconds)) for seconds in REPEATS_S]
    waits = [
        (str(minutes), plural(minutes, "minute") if minutes else gettext("at once")) for minutes in WAITS_MIN
    ]
    return {
        "repeats": offered,
        "soon": every_text(REPEATS_S[0]),
        "waits": waits,
        "zones": zone_names(),
        "languages": settings.LANGUAGES,
    }


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
    if op in PAGES:
        return redirect(PAGES[op], key)
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    channel_do(viewer, channel, op)
    return redirect("alerts")


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def channel_callback(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show where PagerDuty is to report, and set with what it signs."""
    row, back = channel_managed(viewer, key)
    if row.kind != ChannelKind.PAGERDUTY:
        raise Http404
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


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def channel_settings(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show which notifications a channel gets, and change that, or where they go."""
    row, back = channel_managed(viewer, key)
    ticks = {name: "1" for name in ("critical_only", "with_actions", "quiet_critical") if getattr(row, name)}
    chosen = {"repeat_s": row.repeat_s, "language": row.language, **scope_write(row), "quiet_critical": ""}
    form = EditForm.of(request, **chosen | ticks)
    if form.is_valid():
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        with form.refusals():
            chosen = {**form.cleaned_data}
            target, secret = chosen.pop("target") or None, chosen.pop("secret") or None
            channel_edit(principal=viewer, channel=row, target=target, secret=secret, **chosen)
            notice_leave(request, _("Channel saved."))
            return redirect(back)
    return form_render(
        request,
        viewer,
        "alerts/edit.html",
        form,
        title=gettext("Settings of {channel}").format(channel=row.name),
        section="alerts" if row.tenant is None else "tenants",
        channel=row,
        back=back,
        offered=scope_offered(viewer, row.tenant),
        **repeats_offered(),
    )


def channel_managed(viewer: Principal, key: UUID) -> tuple[AlertChannel, str]:
    """Return a channel that the viewer manages, and the address of its page.  Raises NotFound, Http404."""
    row = channel_visible(viewer, key)
    if not can_manage_channels(viewer, tenant_id=row.tenant_id):
        raise Http404
    return row, reverse("alerts") if row.tenant is None else reverse("tenant", args=[row.tenant.uuid])


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
    path("alerts/channels/<uuid:key>/settings/", channel_settings, name="alert-channel-settings"),
    path("alerts/channels/<uuid:key>/<str:op>/", channel_act, name="alert-channel-act"),
]
