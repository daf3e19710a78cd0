"""One alert: what was found, who acknowledged it, what was done and written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.checks.findings.results import Severity
from apps.checks.selectors.alert_history import alert_acts, alert_notifications
from apps.checks.selectors.alerts import alert_entries, alert_visible
from apps.checks.services.acknowledgements import (
    COMMENT_MAX,
    HOURS,
    alert_acknowledge,
    alert_acknowledgement_end,
    alert_comment,
    can_acknowledge,
)
from apps.checks.states import AlertEntryKind
from apps.checks.table.checks import CHECKS_BY_NAME
from apps.core import clock
from apps.core.errors import DomainError, NotFound
from apps.core.formatting import plural, time_left
from apps.core.local_time import moment_text
from apps.core.reasons import shown_text
from apps.dashboard.audit_sentences import sentence_text
from apps.dashboard.forms import PageForm
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.alerts.page import alert_label, alert_todos, notification_label
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text
from apps.dashboard.todo import Todo, acknowledged_text
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.checks.models import Alert, AlertEntry, Notification
    from apps.users.models import AuditEntry


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One line of an alert's history."""

    at: datetime
    tone: str
    icon: str
    say: str
    text: str = ""
    """What was found, written or refused, as it is."""


def history_rows(viewer: Principal, alert: Alert, *, now: datetime) -> list[HistoryRow]:
    """Return what was found, sent, done and written, oldest first, as far as the viewer may see it."""
    rows = [entry_row(entry) for entry in alert_entries(alert)]
    rows += [notification_row(row) for row in alert_notifications(viewer, alert)]
    rows += [act_row(row) for row in alert_acts(viewer, alert, now=now)]
    return sorted(rows, key=lambda row: row.at)


def notification_row(row: Notification) -> HistoryRow:
    """Lay out a notification with what became of it."""
    label = notification_label(row)
    say = gettext("Notified {channel}: {event} ({state})").format(
        channel=row.channel.name, event=row.get_event_display(), state=label.word
    )
    return HistoryRow(row.created_at, label.tone, "alerts", say, shown_text(row.error))


def act_row(row: AuditEntry) -> HistoryRow:
    """Lay out a line of the audit log."""
    return HistoryRow(row.at, "idle", "audit", sentence_text(row), "")


def entry_row(entry: AlertEntry) -> HistoryRow:
    """Lay out one entry."""
    tone, icon = tone_of(entry)
    written = entry.kind == AlertEntryKind.COMMENTED
    text = entry.text if written else shown_text(entry.text)
    return HistoryRow(entry.at, tone, icon, entry_text(entry), text)


def tone_of(entry: AlertEntry) -> tuple[str, str]:
    """Return tone and icon of an entry."""
    failing = "bad" if entry.severity == Severity.CRITICAL else "warn"
    return {
        AlertEntryKind.STARTED: (failing, failing),
        AlertEntryKind.CHANGED: (failing, failing),
        AlertEntryKind.WORSENED: (failing, failing),
        AlertEntryKind.ENDED: ("ok", "ok"),
        AlertEntryKind.EXPIRED: ("warn", "wait"),
        AlertEntryKind.ACKNOWLEDGED: ("run", "people"),
        AlertEntryKind.WITHDRAWN: ("idle", "people"),
        AlertEntryKind.COMMENTED: ("idle", "messages"),
    }[AlertEntryKind(entry.kind)]


def entry_text(entry: AlertEntry) -> str:
    """Return what an entry tells of, in words."""
    objects = plural(entry.count, "object")
    if entry.kind == AlertEntryKind.ACKNOWLEDGED:
        if entry.until is None:
            return gettext("{actor} acknowledged it until it passes").format(actor=entry.actor)
        return gettext("{actor} acknowledged it until {until}").format(
            actor=entry.actor, until=moment_text(entry.until)
        )
    texts = {
        AlertEntryKind.STARTED: gettext("Started failing: {severity}, {objects}"),
        AlertEntryKind.CHANGED: gettext("Changed: {severity}, {objects}"),
        AlertEntryKind.WORSENED: gettext("Became worse: {objects}. The acknowledgement of {actor} ended"),
        AlertEntryKind.ENDED: gettext("Passes again"),
        AlertEntryKind.EXPIRED: gettext("The acknowledgement of {actor} ran out"),
        AlertEntryKind.WITHDRAWN: gettext("{actor} ended the acknowledgement"),
        AlertEntryKind.COMMENTED: gettext("{actor} commented"),
    }
    text = texts[AlertEntryKind(entry.kind)]
    return text.format(severity=shown_text(entry.severity), objects=objects, actor=entry.actor)


OPS: Final = ("acknowledge", "end", "comment")
HEADING_MAX: Final = 120


class AlertForm(PageForm):
    """What is done with an alert, one thing at a time."""

    blamed = "text"
    hours = Choice([("", ""), *((hours, hours) for hours in (*HOURS, 0))], initial=4, coerce=int, empty=-1)
    by = Text()
    text = Text()
    back = Text()


@dataclass(frozen=True, slots=True)
class AlertHead:
    """What stands above an alert's history."""

    alert: Alert
    heading: str
    todos: tuple[Todo, ...]
    """The findings that still fail, with their reasons."""
    label: StateLabel
    story: str
    """Which check fails since when, and how often."""
    acknowledged: str
    """By whom it is acknowledged, and since when; empty if by nobody."""
    until: str
    may_act: bool
    """Whether the viewer may acknowledge it, or end that."""
    mend_href: str
    """Page on which it is fixed; empty once it passes, and if `todos` have their own pages."""
    mend: str
    hours: tuple[tuple[str, str], ...]
    """For how long it can be acknowledged: value and label."""


def head_of(data: PageData, alert: Alert) -> AlertHead:
    """Lay out an alert."""
    check, is_open = CHECKS_BY_NAME.get(alert.check_name), alert.ended_at is None
    todos = alert_todos(alert, data)
    return AlertHead(
        alert=alert,
        heading=Truncator(shown_text(alert.say or alert.title)).chars(HEADING_MAX),
        todos=todos,
        label=alert_label(alert),
        story=story_text(alert),
        acknowledged=acknowledged_text(alert),
        until=until_text(alert),
        may_act=is_open and can_acknowledge(data.viewer, tenant_id=alert.tenant_id),
        mend_href=check.link.address if check is not None and is_open and not todos else "",
        mend=str(check.button) if check is not None else "",
        hours=(*((str(hours), plural(hours, "hour")) for hours in HOURS), ("0", gettext("until it passes"))),
    )


def story_text(alert: Alert) -> str:
    """Return which check fails since when, or failed until when, and how often."""
    ended_at = alert.ended_at or clock.now()
    facts = {
        "title": shown_text(alert.title),
        "began": moment_text(alert.began_at),
        "ended": moment_text(ended_at),
        "lasted": time_left((ended_at - alert.began_at).total_seconds()),
        "times": alert.times,
    }
    text = (
        gettext("Failing since {began} ({lasted}). Condition: {title}.")
        if alert.ended_at is None
        else gettext("Failed from {began} to {ended} ({lasted}). Condition: {title}.")
    )
    if alert.times > 1:
        text += " " + gettext("It failed {times} times, less than 10 minutes apart.")
    return text.format(**facts)


def until_text(alert: Alert) -> str:
    """Return until when an alert is acknowledged."""
    if alert.acknowledged_until is None:
        return gettext("until it passes; channels are not reminded unless it becomes worse.")
    return gettext("until {until}; channels are not reminded unless it becomes worse.").format(
        until=moment_text(alert.acknowledged_until)
    )


def alert_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield the head and the history of the alert that changed, or that somebody was notified of."""
    if "notification" not in context.changed and not context.has_changed("alert", context.key):
        return
    try:
        alert = alert_visible(context.viewer, context.key)
    except NotFound:
        return
    yield fragment("alerts/_head.html", head=head_of(context.data, alert))
    yield fragment("alerts/_rows.html", rows=history_rows(context.viewer, alert, now=clock.now()))


@require_safe
@sign_in_required
def alert_page(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show one alert."""
    return alert_render(request, viewer, alert_visible(viewer, key), AlertForm.of(request))


def alert_render(
    request: HttpRequest, viewer: Principal, alert: Alert, form: AlertForm, refusal: str = ""
) -> HttpResponse:
    """Show it, with what was typed where something could not be taken."""
    data = PageData(viewer)
    return page_render(
        request,
        "alerts/detail.html",
        title=_("Alert"),
        section="alerts",
        page_key=f"alert:{alert.uuid}",
        page_href=reverse("alert", args=[alert.uuid]),
        data=data,
        act_error=refusal,
        form=form,
        longest=COMMENT_MAX,
        head=head_of(data, alert),
        rows=history_rows(viewer, alert, now=clock.now()),
        may_comment=can_acknowledge(viewer, tenant_id=alert.tenant_id),
    )


@require_POST
@sign_in_required
def alert_act(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Acknowledge an alert, end that, or comment on it."""
    alert = alert_visible(viewer, key)
    if op not in OPS or not can_acknowledge(viewer, tenant_id=alert.tenant_id):
        raise Http404
    form = AlertForm.of(request)
    form.is_valid()
    try:
        alert_do(viewer, alert, op, form)
    except DomainError as error:
        return alert_render(request, viewer, alert_visible(viewer, key), form, refusal_text(error))
    if form.cleaned_data["back"] == "alerts":
        return redirect("alerts")
    return redirect("alert", alert.uuid)


def alert_do(viewer: Principal, alert: Alert, op: str, form: AlertForm) -> None:
    """Do one of `OPS`.  Raises DomainError."""
    data, now = form.cleaned_data, clock.now()
    if op == "acknowledge":
        alert_acknowledge(principal=viewer, uuid=alert.uuid, hours=data["hours"], now=now)
    elif op == "end":
        alert_acknowledgement_end(principal=viewer, uuid=alert.uuid, now=now, by=data["by"] or None)
    else:
        alert_comment(principal=viewer, uuid=alert.uuid, text=data["text"], now=now)


urlpatterns: Final = [
    path("alerts/<uuid:key>/", alert_page, name="alert"),
    path("alerts/<uuid:key>/<str:op>/", alert_act, name="alert-act"),
]
LIVE: Final = {"alert": LivePage({"alert": (alert_fragment,), "notification": (alert_fragment,)})}
