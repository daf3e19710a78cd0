"""Alerts: the checks that fail since when, who works on them, and what was sent to which channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Severity
from apps.checks.selectors.alerts import (
    alerts_recent,
    channel_fault,
    channels_undelivered,
    channels_visible,
    notifications_recent,
    target_shown,
)
from apps.checks.selectors.channel_scopes import tenants_left
from apps.checks.selectors.check_settings import mutes_active
from apps.checks.services.acknowledgements import can_acknowledge
from apps.checks.services.channel_choices import quiet_describe, scope_write
from apps.checks.services.channels import REPEATS_S, can_manage_channels
from apps.checks.services.check_settings import can_set_checks
from apps.checks.states import ChannelKind
from apps.checks.table.checks import CHECKS_BY_NAME
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.core.local_time import minute_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Action, Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData, data_in_scope
from apps.dashboard.registry import NavItem
from apps.dashboard.scope import scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import Todo, acknowledged_text, checked_text, cost_text, todo_of
from apps.miners.selectors.scope import SCOPE
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.checks.models import Alert, AlertChannel, CheckSetting, Notification


ALERTS_SHOWN: Final = 30
NOTIFICATIONS_SHOWN: Final = 20
MUTE_HOURS: Final = (1, 4, 8, 24, 72, 168)
"""For how long a check can be muted."""
OPS: Final = ("test", "enable", "disable", "edit", "callback", "remove")
"""What is done with a channel."""


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """One channel in the table."""

    name: str
    kind: str
    target: str
    """Where they go, without what may be a secret."""
    what: str
    """Which notifications it gets, and how often."""
    delivery: str
    """Why the last attempt failed, or when one was last delivered; empty before the first."""
    word: StateLabel
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert in the table."""

    row: Alert
    label: StateLabel
    lasted: float
    """Seconds since it began, until it ended."""
    acknowledged: str
    """By whom it is acknowledged; empty if by nobody."""
    todos: tuple[Todo, ...] = ()
    """The findings that still fail, with their reasons; empty for an ended or another tenant's alert."""
    parts: tuple[Alert, ...] = ()
    """Alerts of what its check explains."""
    cost: str = ""
    """The cost together with these, where there are any."""
    can_acknowledge: bool = False
    """Whether the viewer may acknowledge it, or end that."""
    mute_href: str = ""
    """The page on which the viewer mutes its check, or ends that; empty: not open, or the viewer may not."""
    muted: str = ""
    """Until when the operator's channels are not told of it, and why; empty: they are."""


def alert_row(row: Alert, *, at: datetime, data: PageData | None = None) -> AlertRow:
    """Lay out an alert; with `data`, also the findings that fail now."""
    lasted = ((row.ended_at or at) - row.began_at).total_seconds()
    todos = () if data is None else alert_todos(row, data)
    return AlertRow(row, alert_label(row), lasted, acknowledged_text(row), todos)


def alert_rows(data: PageData) -> list[AlertRow]:
    """Lay out the newest alerts, each open one with those of what its check explains.

    Of open ones the critical stand first, then what costs most.
    """
    found = recent(data)
    open_ones = {row.check_name for row in found if row.ended_at is None}
    parts: dict[str, list[Alert]] = {}
    for row in found:
        if row.ended_at is None and row.part_of in open_ones:
            parts.setdefault(row.part_of, []).append(row)
    whole = [row for row in found if row not in parts.get(row.part_of, ())]
    costs, texts = _costs_of(data)
    whole.sort(  # what ended stays in its order
        key=lambda row: (
            row.ended_at is not None,
            row.ended_at is None and (row.severity, -costs[row.check_name]),
        )
    )
    mutes = mutes_active(data.at) if data.viewer.sees_pool else {}
    may_mute = can_set_checks(data.viewer)
    rows = []
    for row in whole:
        shown = alert_row(row, at=data.at, data=data)
        if row.ended_at is None:
            mute = mutes.get(row.check_name)
            shown = replace(
                shown,
                parts=tuple(parts.get(row.check_name, ())),
                cost=texts.get(row.check_name, "") if row.check_name in parts else "",
                can_acknowledge=can_acknowledge(data.person, tenant_id=row.tenant_id),
                mute_href=reverse("check-act", args=[row.check_name, "mute" if mute is None else "unmute"])
                if may_mute and row.check_name in CHECKS_BY_NAME
                else "",
                muted=muted_text(mute) if mute is not None else "",
            )
        rows.append(shown)
    return rows


def recent(data: PageData) -> list[Alert]:
    """Return the alerts that are shown; of a miner those of its tenant that are about it."""
    miner = next(iter(data.miners), None) if data.is_of_miner else None
    if miner is None:
        return [] if data.is_of_miner else alerts_recent(data.viewer, ALERTS_SHOWN)
    failing = {row.check.name for row in data.report.results if not row.passed}
    return alerts_recent(data.of_tenant, ALERTS_SHOWN, failing=failing, of=miner.address)


def _costs_of(data: PageData) -> tuple[Counter[str], dict[str, str]]:
    """Return what the incidents of each cause cost together, as attoFIL and in words."""
    per_day: Counter[str] = Counter()
    at_risk: Counter[str] = Counter()
    open_ended: set[str] = set()
    for one in data.report.incidents:
        name = one.cause.check.name
        per_day[name] += one.per_day
        at_risk[name] += one.at_risk
        open_ended |= {name} if one.has_more else set()
    texts = {name: cost_text(per_day[name], at_risk[name], has_more=name in open_ended) for name in per_day}
    return per_day + at_risk, texts


def muted_text(mute: CheckSetting) -> str:
    """Return until when a check is muted, and why."""
    until = minute_text(mute.muted_until) if mute.muted_until is not None else ""
    return gettext("Muted until {until}: {reason}").format(until=until, reason=mute.mute_reason)


def alert_todos(alert: Alert, data: PageData) -> tuple[Todo, ...]:
    """Return the findings that an open alert is about; none if it is another tenant's than the viewer's."""
    if alert.ended_at is not None or alert.tenant_id != (
        None if data.viewer.sees_pool else data.viewer.own_id
    ):
        return ()
    return tuple(todo_of(one, data) for one in data.report.found if one.check.name == alert.check_name)


def channel_row(row: AlertChannel, *, is_failing: bool, hrefs: Mapping[str, str]) -> ChannelRow:
    """Lay out a channel; `hrefs` are the addresses of what the viewer may do with it."""
    word = StateLabel("ok", _("on")) if row.is_enabled else StateLabel("idle", _("off"), "pause")
    if is_failing and row.is_enabled:
        word = StateLabel("bad", _("not delivered"))
    labels: dict[str, StrOrPromise] = {
        **({"test": _("Send test"), "disable": _("Disable")} if row.is_enabled else {"enable": _("Enable")}),
        "edit": _("Edit…"),
        **({"callback": _("Acknowledgements…")} if row.kind == ChannelKind.PAGERDUTY else {}),
        "remove": _("Remove…"),
    }
    actions = tuple(Action(op, label, hrefs[op]) for op, label in labels.items() if op in hrefs)
    return ChannelRow(
        row.name,
        str(row.get_kind_display()),
        target_shown(row),
        channel_what(row),
        delivery_text(row),
        word,
        actions,
    )


def delivery_text(row: AlertChannel) -> str:
    """Return how delivery to a channel went last."""
    error, at = channel_fault(row), getattr(row, "delivered_at", None)
    if error:
        return gettext("Last attempt: {error}").format(error=shown_text(error))
    return gettext("Last delivered {at}").format(at=minute_text(at)) if at is not None else ""


def channel_what(row: AlertChannel) -> str:
    """Return which notifications a channel gets, and how often."""
    level = gettext("critical checks") if row.critical_only else gettext("all checks")
    every = every_text(row.repeat_s)
    what = gettext("{level}, each at most once every {every} while it fails").format(level=level, every=every)
    if row.repeat_s > REPEATS_S[0]:
        what += gettext("; critical ones that fail again or become worse: at most once every {soon}").format(
            soon=every_text(REPEATS_S[0])
        )
    if row.language != settings.LANGUAGE_CODE:
        language = dict(settings.LANGUAGES).get(row.language, row.language)
        what += gettext("; in {language}").format(language=language)
    what += scope_text(row)
    if row.callback_secret:
        what += gettext("; acknowledgements come back")
    if row.with_actions:
        what += gettext("; acknowledgements and comments")
    return what


def scope_text(row: AlertChannel) -> str:
    """Return of what alone a channel is told, and when it is not."""
    chosen, tenants = scope_write(row), tenants_left(row)
    parts = [
        (tenants, gettext("; only of tenants {names}")),
        (chosen["only_miners"], gettext("; only of miners {names}")),
        (
            [str(CHECKS_BY_NAME[name].title) for name in chosen["only_checks"] if name in CHECKS_BY_NAME],
            gettext("; only of checks {names}"),
        ),
    ]
    text = "".join(part.format(names=list_text(names)) for names, part in parts if names)
    if row.only_tenants and not tenants:
        text += gettext("; of no tenant, as none of those chosen is left")
    if row.wait_min:
        text += gettext("; only of what nobody has acknowledged for {time}").format(
            time=plural(row.wait_min, "minute")
        )
    if quiet := quiet_describe(chosen):
        text += (
            gettext("; quiet {hours}, critical checks too")
            if row.quiet_critical
            else gettext("; quiet {hours}, but for critical checks")
        ).format(hours=quiet)
    return text


def hrefs_of(row: AlertChannel) -> dict[str, str]:
    """Return the addresses of what is done with one of the operator's channels."""
    return {op: reverse("alert-channel-act", args=[row.uuid, op]) for op in OPS}


def every_text(seconds: int) -> str:
    """`15 min`, `6 h`."""
    if seconds % 3600:
        return formatting.time_left(seconds)
    return gettext("{hours} h").format(hours=seconds // 3600)


def alert_label(row: Alert) -> StateLabel:
    """Return in words how a check is."""
    if row.ended_at is not None:
        return StateLabel("ok", _("passes again"))
    return StateLabel("bad" if row.severity == Severity.CRITICAL else "warn", shown_text(row.severity))


def notification_label(row: Notification) -> StateLabel:
    """Return in words where a notification is."""
    if row.delivered_at is not None:
        return StateLabel("ok", _("delivered"))
    if row.is_held or row.told_in is not None:
        return StateLabel("run", _("quiet hours"), "pause")
    if row.next_try_at is None:
        return StateLabel("bad", _("failed"))
    return (
        StateLabel("warn", gettext("{attempts} failed").format(attempts=plural(row.attempts, "attempt")))
        if row.attempts
        else StateLabel("run", _("queued"))
    )


def alerts_verdict(data: PageData, channels: Sequence[AlertChannel]) -> Verdict:
    """Return one sentence: how many checks fail, and how many channels are notified."""
    report = data.report
    failed = len(report.results) - report.passed
    say = (
        ngettext("{count} check fails.", "{count} checks fail.", failed).format(count=failed)
        if failed
        else gettext("All checks pass.")
    )
    if notified := sum(row.is_enabled for row in channels):
        recipients = gettext("Notifications go to {channels}.").format(channels=plural(notified, "channel"))
    elif channels:
        recipients = gettext("Nobody is notified: every channel is off.")
    elif not data.viewer.is_operator:
        recipients = gettext("Nobody is notified: the tenant has no channel.")
    else:
        recipients = gettext("Nobody is notified: add a channel.")
    return Verdict(say, recipients, checked_text(report))


def mute_hours_offered() -> list[tuple[str, str]]:
    """Return for how long a check can be muted from its row: value and label."""
    return [(str(hours), plural(hours, "hour")) for hours in MUTE_HOURS]


def alerts_context(data: PageData) -> dict[str, Any]:
    """Everything on the page; the operator's channels are no tenant's."""
    is_operator = data.viewer.is_operator
    channels = list(channels_visible(data.of_tenant))
    if is_operator:
        channels = [row for row in channels if row.tenant_id is None]
    sent = notifications_recent(NOTIFICATIONS_SHOWN) if is_operator else []
    return {
        "verdict": alerts_verdict(data, channels),
        "channels": channel_rows(data, channels) if is_operator else [],
        "alerts": alert_rows(data),
        "mute_hours": mute_hours_offered(),
        "notifications": [(row, notification_label(row)) for row in sent],
    }


def channel_rows(data: PageData, channels: Sequence[AlertChannel]) -> list[ChannelRow]:
    """Lay out the operator's channels."""
    failing = {row.pk for row in channels_undelivered(data.at)}
    may_act = can_manage_channels(data.viewer, tenant_id=None)
    return [
        channel_row(row, is_failing=row.pk in failing, hrefs=hrefs_of(row) if may_act else {})
        for row in channels
    ]


def alerts_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield the verdict and the tables; buttons of channels stay, they change by a click alone."""
    shown = alerts_context(context.data)
    yield fragment("dashboard/_verdict.html", verdict=shown["verdict"])
    yield fragment("alerts/_alerts.html", alerts=shown["alerts"], mute_hours=shown["mute_hours"])
    if context.data.viewer.is_operator:
        yield fragment("alerts/_notifications.html", notifications=shown["notifications"])


def scope_note(data: PageData) -> str:
    """Return what the page does not show in a scope."""
    whole = gettext("Alerts of the whole pool and its channels are shown without it.")
    if not data.is_of_miner:
        return whole if data.person.sees_pool else ""
    own = gettext("An alert is a tenant's: these are those that are about the miner.")
    return f"{own} {whole}" if data.person.sees_pool else own


@require_safe
@sign_in_required
def alerts(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Alerts; for the operator also channels and notifications, for which tenants have their own page."""
    data = data_in_scope(viewer, scope_chosen(request))
    return page_render(
        request,
        "alerts/list.html",
        title=_("Alerts"),
        section="alerts",
        page_key="alerts",
        data=data,
        scoped=SCOPE,
        scope_note=scope_note(data),
        may_create=can_manage_channels(viewer, tenant_id=None),
        is_operator=data.viewer.is_operator,
        **alerts_context(data),
    )


NAV: Final = NavItem("alerts", _("Alerts"), "alerts", place=(1, 2), jump="a")
urlpatterns: Final = [
    path("alerts/", alerts, name="alerts"),
]
LIVE: Final = {
    "alerts": LivePage(
        {"notification": (alerts_fragment,), "alert": (alerts_fragment,)},
        findings=alerts_fragment,
        is_scoped=True,
    )
}
