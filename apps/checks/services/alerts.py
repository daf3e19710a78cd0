"""What an evaluation means for alerts: which checks began to fail or pass again, and who is notified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from redis.exceptions import RedisError

from apps.checks.findings.results import FINDINGS_MAX, Severity
from apps.checks.models import Alert, AlertChannel, CallbackEvent, Notification
from apps.checks.reasons import REPEATED
from apps.checks.report.report import Report, Result
from apps.checks.selectors.alerts import RUN_KEY
from apps.checks.selectors.channel_scopes import channels_told, unattended
from apps.checks.selectors.check_settings import mutes_active
from apps.checks.selectors.quiet_hours import waits_quietly
from apps.checks.services.acknowledgements import EFFECT, EXTENT, acknowledgement_check
from apps.checks.services.alert_entries import alerts_end, change_note, entry_add
from apps.checks.services.channels import REPEATS_S
from apps.checks.services.notification_texts import findings_read
from apps.checks.services.notifications import finding_describe, notification_build
from apps.checks.services.quiet_hours import quiet_hours_wait
from apps.checks.states import FAILING, AlertEntryKind, AlertEvent, ChannelKind
from apps.core.reason_fields import is_kept
from apps.core.reasons import clauses, cut
from apps.core.redis_clients import redis_client
from apps.users.models import Tenant

RETENTION: Final = timedelta(days=30)
"""Notifications that were sent are kept so long."""
ALERT_RETENTION: Final = timedelta(days=365)
"""Alerts that ended are kept so long, with their comments."""
EVENT_RETENTION: Final = timedelta(days=3)
"""Longer than an event that was reported back is taken, by whichever clock."""
FLAP_WITHIN: Final = timedelta(minutes=10)
"""A check that fails again so soon after it passed has the same alert; nobody has it acknowledged then."""
SAY_MAX: Final = 1000
NAMES_MAX: Final = 100
"""Objects of one alert whose names are kept."""
WORSE: Final = 1.25
"""A critical check is notified early once its count is this many times that of the last notification."""


def alerts_run_note(*, now: datetime) -> None:
    """Note that alerts were evaluated and sent; without Redis it is not noted."""
    with suppress(RedisError, OSError):
        redis_client().set(RUN_KEY, now.isoformat())


@transaction.atomic
def alerts_update(
    *,
    report: Report,
    pool: str,
    now: datetime,
    tenant: Tenant | None = None,
    of_miners: Mapping[int, Report] | None = None,
) -> list[Notification]:
    """Open and end alerts by an evaluation of all checks, and write each channel's notifications.

    Of a tenant it is what the checks find of what is its own, and its channels are told.  A check that fails
    again soon after it passed has the same alert.
    Run twice with the same report it writes nothing more.  `pool` names the network in notifications.
    `of_miners` has what the checks find of the miners of channels that are told of some alone, by their keys.
    """
    alerts = Alert.objects.select_for_update().filter(ended_at=None, tenant=tenant)
    open_ones = {row.check_name: row for row in alerts.order_by("pk")}
    muted = mutes_active(now) if tenant is None else {}
    report = report.apart(muted)
    failed = [result for result in report.results if not result.passed]
    lately = _ended_lately([one.check.name for one in failed], tenant=tenant, now=now)
    known = lately | open_ones
    failing = [
        _alert_record(one, known.get(one.check.name), report=report, tenant=tenant, now=now) for one in failed
    ]
    worse = {row.pk for row in failing if acknowledgement_check(row, now=now)}
    still = {row.pk for row in failing}
    alerts_end([row for row in open_ones.values() if row.pk not in still], at=now)
    rows: list[Notification] = []
    for channel in channels_told(tenant).select_for_update().order_by("pk"):
        if not channel.only_miners:
            seen = _Seen(report, failing, muted)
        elif of_miners is not None and channel.pk in of_miners:
            seen = _Seen(of_miners[channel.pk], failing, muted)
        else:
            continue  # its miners' checks were not evaluated: the next time
        if (tenant is not None and channel.tenant_id is None) or channel.only_miners:
            own_mutes = mutes_active(now) if channel.tenant_id is None else {}
            seen = _seen_apart(seen, own_mutes)
        rows += _channel_told(channel, seen, worse=worse, pool=pool, tenant=tenant, now=now)
    Notification.objects.bulk_create(rows)
    return rows


@dataclass(frozen=True, slots=True)
class _Seen:
    """An evaluation as a channel is told of it."""

    report: Report
    failing: list[Alert]
    muted: Container[str]

    @property
    def unmuted(self) -> list[Alert]:
        """Return the alerts that its mutes do not keep from it."""
        return [alert for alert in self.failing if alert.check_name not in self.muted]


def _seen_apart(seen: _Seen, muted: Container[str]) -> _Seen:
    """Return what a channel is told of a part of the pool, or without what is muted for it alone."""
    report = seen.report.apart(muted)
    found = [(alert, report.result(alert.check_name)) for alert in seen.failing]
    failing = []
    for alert, result in found:
        if result is not None and not result.passed:
            part = copy(alert)  # how it is in that part; not saved
            for name, value in _found(result, report).items():
                setattr(part, name, value)
            failing.append(part)
    return _Seen(report, failing, muted)


def _channel_told(
    channel: AlertChannel,
    seen: _Seen,
    *,
    worse: Collection[int],
    pool: str,
    tenant: Tenant | None,
    now: datetime,
) -> list[Notification]:
    """Return the unsaved notifications of a channel; those of its quiet hours wait for their end."""
    rows: list[Notification] = []
    held = _newest_events(channel, failing=seen.failing)
    if channel.kind == ChannelKind.PAGERDUTY:
        for alert in seen.failing:
            if alert.is_acknowledged and held.get(alert.pk) in FAILING:
                row = notification_build(
                    channel, alert=alert, event=AlertEvent.ACKNOWLEDGED, report=None, pool=pool, now=now
                )
                rows.append(row)
    for alert, event in _events(channel, seen=seen, held=held, worse=worse, tenant=tenant, now=now):
        row = notification_build(channel, alert=alert, event=event, report=seen.report, pool=pool, now=now)
        if (
            channel.kind == ChannelKind.PAGERDUTY
            and event in FAILING
            and (held.get(alert.pk) == AlertEvent.ACKNOWLEDGED)
        ):
            row.body["reopens"] = True
        rows.append(row)
    for row in rows:
        quiet_hours_wait(row, now=now)
    return rows


@transaction.atomic
def alerts_delete_old(*, now: datetime) -> None:
    """Delete what ended, or was sent, longer ago than it is kept."""
    Notification.objects.filter(next_try_at=None, created_at__lt=now - RETENTION).delete()
    Alert.objects.filter(ended_at__lt=now - ALERT_RETENTION).delete()
    CallbackEvent.objects.filter(at__lt=now - EVENT_RETENTION).delete()


def _ended_lately(names: Sequence[str], *, tenant: Tenant | None, now: datetime) -> dict[str, Alert]:
    """Return by check the alerts that ended so lately that one that fails now is the same."""
    rows = Alert.objects.select_for_update().filter(tenant=tenant, check_name__in=names)
    return {row.check_name: row for row in rows.filter(ended_at__gt=now - FLAP_WITHIN).order_by("pk")}


def _alert_record(
    result: Result, row: Alert | None, *, report: Report, tenant: Tenant | None, now: datetime
) -> Alert:
    """Return the open alert of a check that fails, with what was found now.

    It is as bad as the worst that it explains, whose checks stand among its keys, and how far they go.
    """
    names = [] if row is None else row.object_names
    found = {**_found(result, report), "object_names": _object_names(result, names)}
    if row is None:
        name, title = result.check.name, str(result.check.title)
        row = Alert.objects.create(
            tenant=tenant, check_name=name, title=title, began_at=now, since=now, **found
        )
        entry_add(row, kind=AlertEntryKind.STARTED, at=now, text=row.say)
        return row
    has_ended = row.ended_at is not None
    if has_ended:
        found |= {"ended_at": None, "since": now, "times": row.times + 1}
    is_coded = is_kept(row, "say", found["say"])
    if not is_coded or any(getattr(row, name) != value for name, value in found.items()):
        for name, value in found.items():
            setattr(row, name, value)
        row.save(update_fields=list(found))
        if has_ended:
            entry_add(row, kind=AlertEntryKind.STARTED, at=now, text=row.say)
        else:
            change_note(row, at=now)
    return row


def _found(result: Result, report: Report) -> dict[str, Any]:
    """Return how an alert is by what was found."""
    effects = report.explained(result.check.name)
    is_critical = any(one.check.severity is Severity.CRITICAL for one in (result, *effects))
    return {
        "say": cut(_say(result), SAY_MAX),
        "count": result.count,
        "severity": str(Severity.CRITICAL if is_critical else result.check.severity),
        "part_of": report.explained_by(result),
        "keys": [finding.key for finding in result.findings]
        + [key for one in effects for key in _effect_keys(one)],
    }


def _say(result: Result) -> str:
    """Return what is found; what several objects have alike once, with their count."""
    says = [finding_describe(finding) for finding in result.findings]
    counts = Counter(map(str, says))
    once = {str(say): say for say in says}
    return clauses(
        *(say if counts[text] == 1 else REPEATED(say=say, count=counts[text]) for text, say in once.items())
    )


def _effect_keys(result: Result) -> Iterator[str]:
    """Yield what is known of a check by the alert of its cause, which tells of it: a new one is worse.

    Of many findings the last stands for several objects: only their count tells that there are others.
    """
    name = result.check.name
    yield EFFECT + name
    if result.check.severity is Severity.CRITICAL:
        if len(result.findings) < FINDINGS_MAX:
            yield from (f"{EXTENT}{name} {finding.key}" for finding in result.findings)
        yield from (f"{EXTENT}{name} {1 << power}" for power in range(1, result.count.bit_length()))


def _object_names(result: Result, before: list[str]) -> list[str]:
    """Return the names of what the findings are about, after those that were known before."""
    links = [one.link for one in result.findings if one.link is not None]
    acts = [act for one in result.findings for act in one.acts]
    names = [arg for link in (*links, *(act.link for act in acts)) for arg in link.args]
    return list(dict.fromkeys((*before, *names, *(act.of for act in acts))))[:NAMES_MAX]


def _events(
    channel: AlertChannel,
    *,
    seen: _Seen,
    held: Mapping[int, str],
    worse: Collection[int],
    tenant: Tenant | None,
    now: datetime,
) -> Iterator[tuple[Alert, AlertEvent]]:
    """Yield what a channel is sent: a failing check at most once in `repeat_s`, even one that flaps.

    A critical one that fails anew after it passed, or has become worse, or fails for something else, waits at
    most the shortest interval, and so does one of which that is true of what it explains.  It does not wait
    at all if it explains a check more than the channel was told of.  One that
    somebody has acknowledged is not repeated; `worse` are the alerts whose acknowledgement ended with this
    evaluation as they are worse, which are told of at once.  `held` is what it was told of each last.
    What the channel is told of a cause has what it explains.
    """
    failing, names = seen.failing, {row.check_name for row in seen.failing}
    for alert in _ended_untold(channel, failing=names, tenant=tenant, now=now):
        yield alert, AlertEvent.ENDED
    last = _last_failing(channel, names=names, tenant=tenant)
    known = _keys_reported(channel, failing=failing, since=now - timedelta(seconds=channel.repeat_s))
    wanted = _wanted(channel, seen.unmuted)
    names_wanted = {one.check_name for one in wanted}
    for alert in unattended(channel, wanted, now=now):
        if alert.part_of in names_wanted:
            continue
        before = last.get(alert.check_name)
        is_untold = _is_untold(channel, before, severity=alert.severity)
        is_new = before is None or before.alert_id != alert.pk or before.created_at < alert.since
        is_new = is_new or is_untold or held.get(alert.pk) == AlertEvent.ENDED
        if alert.is_acknowledged and not is_new:
            continue
        reported = known.get(alert.check_name)
        is_other = reported is not None and not reported.issuperset(alert.keys)
        has_joined = reported is not None and any(
            key.startswith(EFFECT) and not key.startswith(EXTENT) and key not in reported
            for key in alert.keys
        )
        is_worse = is_other or (before is not None and alert.count >= WORSE * before.count)
        # With a long interval the last notification would stay "passes again", or a far lower count, for up
        # to a day while power or FIL is being lost.
        is_urgent = (is_new or is_worse) and alert.severity == Severity.CRITICAL
        wait_s = min(channel.repeat_s, REPEATS_S[0]) if is_urgent else channel.repeat_s
        # Further in the future it was written by a clock that was ahead.
        if (
            before is None
            or is_untold
            or alert.pk in worse
            or has_joined
            or abs(now - before.created_at) >= timedelta(seconds=wait_s)
        ):
            event = AlertEvent.STARTED if is_new else AlertEvent.REPEATED
            if channel.with_actions and is_new and before is not None and before.alert_id == alert.pk:
                event = AlertEvent.REOPENED
            elif channel.with_actions and not is_new and alert.pk in worse:
                event = AlertEvent.WORSENED
            yield alert, event


def _last_failing(channel: AlertChannel, *, names: Collection[str], tenant: Tenant | None) -> dict[str, Any]:
    """Return by check what a channel was told last that it fails, with the count of that as `count`."""
    sent = Notification.objects.filter(
        channel=channel, alert__tenant=tenant, alert__check_name__in=names, event__in=FAILING
    )
    sent = sent.order_by("alert__check_name", "-pk").distinct("alert__check_name")
    sent = sent.select_related("alert").defer("body").annotate(count=F("body__count"))
    return {row.alert.check_name: row for row in sent if row.alert}


def _is_untold(channel: AlertChannel, before: Notification | None, *, severity: str) -> bool:
    """Return whether what a channel is told last still waits in its quiet hours, and this may not."""
    is_critical = severity == Severity.CRITICAL
    return before is not None and before.is_held and not waits_quietly(channel, is_critical=is_critical)


def _wanted(channel: AlertChannel, alerts: Iterable[Alert]) -> list[Alert]:
    """Return the alerts of which a channel is to be told: those of its checks, as bad as it wants."""
    return [
        one
        for one in alerts
        if (not channel.critical_only or one.severity == Severity.CRITICAL)
        and (not channel.only_checks or one.check_name in channel.only_checks)
    ]


def _newest_events(channel: AlertChannel, *, failing: list[Alert]) -> dict[int, str]:
    """Return by alert what a channel was told of it last; only of those that need it.

    PagerDuty knows acknowledgements, and of an alert of some miners alone the end comes before the alert's.
    """
    if channel.kind != ChannelKind.PAGERDUTY and not channel.only_miners:
        return {}
    rows = Notification.objects.filter(channel=channel, alert__in=failing)
    rows = rows.order_by("alert", "-pk").distinct("alert")
    return dict(rows.values_list("alert", "event"))


def _keys_reported(channel: AlertChannel, *, failing: list[Alert], since: datetime) -> dict[str, set[str]]:
    """Return by check what a channel was told of since then, of critical ones that still fail."""
    critical = [alert.pk for alert in failing if alert.severity == Severity.CRITICAL]
    if not critical:
        return {}
    rows = Notification.objects.filter(channel=channel, alert__in=critical, event__in=FAILING)
    reported: dict[str, set[str]] = {}
    for name, keys in (
        rows.filter(created_at__gt=since).exclude(keys=[]).values_list("alert__check_name", "keys")
    ):
        reported.setdefault(name, set()).update(keys)
    return reported


def _ended_untold(
    channel: AlertChannel, *, failing: Collection[str], tenant: Tenant | None, now: datetime
) -> list[Alert]:
    """Return the alerts that ended, now or while the channel was off, and that it knows only as failing.

    Of a check that fails anew it knows the truth, and of several alerts of one check the last is enough.
    An alert is over for a channel of some miners when nothing is found of these any more.
    """
    notified = Notification.objects.filter(channel=channel, alert__tenant=tenant)
    known = notified.filter(event__in=FAILING).exclude(delivered_at=None, next_try_at=None, told_in=None)
    rows = Alert.objects.filter(Q(ended_at=None) | Q(ended_at__gt=now - RETENTION), tenant=tenant)
    rows = rows.exclude(check_name__in=failing)
    last = known.filter(alert=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    rows = rows.filter(Exists(known.filter(alert=OuterRef("pk")))).annotate(last_failing=Subquery(last))
    reported = notified.filter(alert=OuterRef("pk"), event=AlertEvent.ENDED, pk__gt=OuterRef("last_failing"))
    rows = rows.exclude(Exists(reported))
    later = known.filter(alert__check_name=OuterRef("check_name"), alert__gt=OuterRef("pk"))
    found: list[Alert] = list(rows.exclude(Exists(later)).order_by("ended_at", "pk"))
    if channel.only_miners:
        for row in found:
            _say_as_told(row)
    return found


@transaction.atomic
def alert_ends_write(*, pool: str, watched: Collection[Tenant], now: datetime) -> list[Notification]:
    """Write that alerts are over for those of the operator's channels that no evaluation tells of it.

    Such a channel was narrowed, one of its miners went to another tenant, or the tenant is none of `watched`,
    whose checks alone are evaluated.  Without it an incident at PagerDuty would stay open.
    """
    rows: list[Notification] = []
    own = AlertChannel.objects.filter(tenant=None, is_enabled=True)
    for channel in own.select_for_update().order_by("pk"):
        for alert in _ended_unreported(channel, now=now):
            _say_as_told(alert)
            row = notification_build(
                channel,
                alert=alert,
                event=AlertEvent.ENDED,
                report=None,
                pool=pool,
                now=now,
                is_watched=alert.tenant is None or alert.tenant in watched,
            )
            quiet_hours_wait(row, now=now)
            rows.append(row)
    Notification.objects.bulk_create(rows)
    return rows


def _ended_unreported(channel: AlertChannel, *, now: datetime) -> list[Alert]:
    """Return the alerts that ended, of whatever tenant, and that a channel knows only as failing.

    As within its scope: of a check that fails anew none, and of several alerts of one check the last.
    """
    notified = Notification.objects.filter(channel=channel)
    known = notified.filter(event__in=FAILING).exclude(delivered_at=None, next_try_at=None, told_in=None)
    last = known.filter(alert=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    rows = Alert.objects.select_related("tenant").filter(ended_at__gt=now - RETENTION)
    rows = rows.filter(Exists(known.filter(alert=OuterRef("pk")))).annotate(last_failing=Subquery(last))
    reported = notified.filter(alert=OuterRef("pk"), event=AlertEvent.ENDED, pk__gt=OuterRef("last_failing"))
    of = Coalesce(OuterRef("tenant"), 0)
    later = known.annotate(of=Coalesce("alert__tenant", 0)).filter(alert__gt=OuterRef("pk"), of=of)
    later = later.filter(alert__check_name=OuterRef("check_name"))
    anew = Alert.objects.annotate(of=Coalesce("tenant", 0)).filter(ended_at=None, of=of)
    anew = anew.filter(check_name=OuterRef("check_name"))
    rows = rows.exclude(Exists(reported)).exclude(Exists(later)).exclude(Exists(anew))
    return list(rows.order_by("ended_at", "pk"))


def _say_as_told(alert: Alert) -> None:
    """Put into an alert what a channel was told of it last: it is to hear that this is over, and no more."""
    sent = Notification.objects.get(pk=getattr(alert, "last_failing"))  # noqa: B009  # annotated
    alert.say = clauses(*findings_read(sent)[0]) or alert.say
