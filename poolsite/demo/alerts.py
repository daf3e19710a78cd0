"""Channels, alerts that are over, service levels of the parts, and statements of tenants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from apps.checks import reasons as found
from apps.checks.models import (
    Alert,
    AlertChannel,
    AlertEntry,
    ComponentDay,
    ComponentIncident,
    ComponentStatus,
    Maintenance,
    Notification,
    ServiceDay,
    ServiceTargets,
)
from apps.checks.services.service_days import service_day_count
from apps.checks.states import AlertEntryKind, AlertEvent, ChannelKind, Component, Condition
from apps.checks.table.checks import CHECKS_BY_NAME
from apps.core.clock import DAY_S
from apps.core.models import Backup
from apps.core.reasons import Reason, counted, lasting
from apps.users.rules.encryption import text_encrypt
from poolsite.demo.world import World, midnight, rows_write

PAST: Final = (
    (2, 95, "hosts_away", "warning", found.HOSTS_AWAY(away="basalt-sealer-1")),
    (
        3,
        240,
        "windows_missed",
        "critical",
        found.WINDOWS_MISSED(deadlines=counted(2, "deadline"), group="basalt"),
    ),
    (6, 30, "wins_lost", "warning", found.WINS_LOST(wins=counted(1, "win"), group="delta")),
    (9, 55, "messages_stuck", "warning", found.PRICED_OUT(many=counted(1, "message"))),
    (11, 18, "hosts_away", "warning", found.HOSTS_AWAY(away="delta-sealer-2")),
    (17, 70, "nodes_unhealthy", "critical", found.NODES_AWAY(nodes=counted(1, "node"))),
    (17, 64, "wins_lost", "warning", found.WINS_LOST(wins=counted(4, "win"), group="ember")),
    (23, 400, "stores_filling", "warning", found.STORE_FILLING(store="cedar-store-1", left=lasting(DAY_S))),
    (30, 26, "messages_failed", "warning", found.FAILED_LATELY(many=counted(2, "message"), failed_hours=24)),
    (
        33,
        610,
        "windows_at_risk",
        "warning",
        found.WINDOWS_AT_RISK(deadlines=counted(1, "deadline"), group="fjord"),
    ),
    (
        41,
        120,
        "windows_missed",
        "critical",
        found.WINDOWS_MISSED(deadlines=counted(3, "deadline"), group="aurora"),
    ),
    (52, 33, "signers_away", "critical", found.SIGNERS_AWAY(addresses=found.ADDRESSES(count=1))),
    (64, 48, "hosts_away", "warning", found.HOSTS_AWAY(away="aurora-sealer-2")),
    (77, 90, "balances_short", "warning", found.RUNWAY(balances=counted(1, "balance"))),
)
"""Days ago, minutes that it lasted, check, severity, what was found."""
OUTAGES: Final = {
    (Component.PROVING, 3): (Condition.DOWN, 14_400),
    (Component.CHAIN, 17): (Condition.DOWN, 4_200),
    (Component.BLOCKS, 17): (Condition.DEGRADED, 3_900),
    (Component.PROVING, 41): (Condition.DEGRADED, 7_200),
    (Component.SEALING, 23): (Condition.DEGRADED, 24_000),
}
"""By component and days ago: how it was, and for how many seconds."""


def alerts_make(world: World) -> None:
    """Make channels, alerts that are over with their notifications, and the status page's days."""
    channels = [
        AlertChannel(
            uuid=world.uuid(),
            name=name,
            kind=ChannelKind.WEBHOOK,
            target=text_encrypt(f"https://chat.example/hooks/{name}"),
            is_enabled=False,
        )
        for name in ("operators", "night shift")
    ]
    rows_write(AlertChannel, channels)
    alerts = [_alert(world, past) for past in reversed(PAST) if past[0] < world.scale.days]
    rows_write(Alert, alerts)
    rows_write(AlertEntry, [entry for alert in alerts for entry in _entries(alert)])
    notes = [note for place, alert in enumerate(alerts) for note in _notes(world, alert, channels[place % 2])]
    rows_write(Notification, notes)
    Backup.objects.create(
        taken_at=world.now - timedelta(hours=6),
        machine="console-1",
        folder="/backups/daily",
        dump_bytes=48 << 20,
    )
    _components(world)
    _service(world)


def _alert(world: World, past: tuple[int, int, str, str, Reason]) -> Alert:
    days, minutes, check, severity, say = past
    began = world.now - timedelta(days=days, hours=4)
    is_critical = severity == "critical"
    return Alert(
        uuid=world.uuid(),
        check_name=check,
        title=str(CHECKS_BY_NAME[check].title),
        severity=severity,
        say=say,
        count=1,
        began_at=began,
        since=began,
        ended_at=began + timedelta(minutes=minutes),
        acknowledged_at=began + timedelta(minutes=6) if is_critical else None,
        acknowledged_by="operator" if is_critical else "",
    )


def _entries(alert: Alert) -> Iterator[AlertEntry]:
    """Yield the history of an alert; who acknowledged it says what was done."""
    lines = [(alert.began_at, AlertEntryKind.STARTED, "", alert.say)]
    if alert.acknowledged_at is not None:
        later = alert.acknowledged_at + timedelta(minutes=9)
        lines += [
            (alert.acknowledged_at, AlertEntryKind.ACKNOWLEDGED, "operator", ""),
            (later, AlertEntryKind.COMMENTED, "operator", "Restarted it, watching the next window"),
        ]
    if alert.ended_at is not None:
        lines.append((alert.ended_at, AlertEntryKind.ENDED, "", ""))
    for at, kind, actor, text in lines:
        yield AlertEntry(
            alert=alert, at=at, kind=kind, actor=actor, text=text, severity=alert.severity, count=1
        )


def _notes(world: World, alert: Alert, channel: AlertChannel) -> Iterator[Notification]:
    """Yield what a channel was told of an alert, as long as that is kept."""
    if world.now - alert.began_at > timedelta(days=29):
        return
    for event, at in ((AlertEvent.STARTED, alert.began_at), (AlertEvent.ENDED, alert.ended_at or world.now)):
        yield Notification(
            uuid=world.uuid(),
            channel=channel,
            alert=alert,
            event=event,
            text=alert.say,
            body={},
            created_at=at,
            attempts=1,
            delivered_at=at + timedelta(seconds=2),
        )


def _components(world: World) -> None:
    rows, incidents = [], []
    for component in Component:
        for place, day in enumerate(world.days):
            ago = len(world.days) - 1 - place
            length = DAY_S if ago else int((world.now - midnight(day)).total_seconds())
            condition, bad = OUTAGES.get((component, ago), (Condition.UP, 0))
            bad = min(bad, length)
            is_down = condition == Condition.DOWN
            rows.append(
                ComponentDay(
                    component=component,
                    day=day,
                    up_s=length - bad,
                    down_s=bad if is_down else 0,
                    degraded_s=0 if is_down else bad,
                )
            )
            if bad:
                since = midnight(day) + timedelta(hours=6)
                incidents.append(
                    ComponentIncident(
                        uuid=world.uuid(),
                        component=component,
                        condition=condition,
                        effect="",
                        since=since,
                        ended_at=since + timedelta(seconds=bad),
                        note="Cause found and mended.",
                        noted_at=since + timedelta(seconds=bad),
                    )
                )
    rows_write(ComponentDay, rows)
    rows_write(ComponentIncident, incidents)
    _status(world)


def _status(world: World) -> None:
    """Write that each component is up since the last outage, and work that is over."""
    now = world.now
    rows_write(
        ComponentStatus,
        [
            ComponentStatus(
                component=one,
                condition=Condition.UP,
                since=now - timedelta(days=3),
                evaluated_at=now,
                counted_until=now,
            )
            for one in Component
        ],
    )
    Maintenance.objects.create(
        uuid=world.uuid(),
        text="Move of the Frankfurt rack to another power feed",
        components=[str(Component.SEALING)],
        starts_at=now - timedelta(days=12),
        ends_at=now - timedelta(days=12) + timedelta(hours=3),
        created_at=now - timedelta(days=15),
    )


def _service(world: World) -> None:
    """Promise tenants something, and count the days of the last month as the pool does."""
    rows_write(
        ServiceTargets,
        [
            ServiceTargets(
                tenant=tenant,
                from_month=world.first_day.replace(day=1),
                posts_percent=99,
                wins_percent=95,
                console_percent=99,
                landing_s=300,
            )
            for tenant in world.tenants
        ],
    )
    span = min(31, world.scale.days - 2)
    day = (world.now - timedelta(days=span + 1)).date()
    ServiceDay.objects.create(day=day, end_epoch=world.height_at(midnight(day) + timedelta(days=1)))
    for _ in range(span):
        service_day_count(now=world.now)
