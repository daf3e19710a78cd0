"""What was told of the pool: channels, alerts that are over, how its parts were, what each tenant got."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

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
from apps.core.models import Backup
from apps.users.rules.encryption import text_encrypt
from poolsite.demo.world import World, midnight, rows_write

PAST: Final = (
    (2, 95, "hosts_away", "warning", "basalt-sealer-1 offline"),
    (3, 240, "windows_missed", "critical", "2 windows closed without a proof"),
    (6, 30, "wins_lost", "warning", "1 win lost in 24 h: no connected signer has the key"),
    (9, 55, "messages_stuck", "warning", "1 message waits for a higher fee"),
    (11, 18, "hosts_away", "warning", "delta-sealer-2 offline"),
    (17, 70, "nodes_unhealthy", "critical", "lotus-frankfurt not responding"),
    (17, 64, "wins_lost", "warning", "4 wins lost in 24 h: no node responds"),
    (23, 400, "stores_filling", "warning", "cedar-store-1: less than a sector is free"),
    (30, 26, "messages_failed", "warning", "2 messages failed with exit code 16"),
    (33, 610, "windows_at_risk", "warning", "proofs land later than usual: base fee 0.7 nanoFIL"),
    (41, 120, "windows_missed", "critical", "1 window closed without a proof"),
    (52, 33, "signers_away", "critical", "signer of ember offline"),
    (64, 48, "hosts_away", "warning", "aurora-sealer-2 offline"),
    (77, 90, "balances_short", "warning", "fjord worker 31 pays for 2 more days"),
)
"""Days ago, minutes that it lasted, check, severity, what was found."""
DAY_S: Final = 86_400


def told_make(world: World) -> None:
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
    alerts, entries, notes = [], [], []
    for days, minutes, check, severity, say in PAST:
        if days >= world.scale.days:
            continue
        began = world.now - timedelta(days=days, hours=4)
        ended = began + timedelta(minutes=minutes)
        alert = Alert(
            uuid=world.uuid(),
            check_name=check,
            title=str(CHECKS_BY_NAME[check].title),
            severity=severity,
            say=say,
            count=1,
            began_at=began,
            since=began,
            ended_at=ended,
            acknowledged_at=began + timedelta(minutes=6) if severity == "critical" else None,
            acknowledged_by="operator" if severity == "critical" else "",
        )
        alerts.append(alert)
        entries.append(
            AlertEntry(
                alert=alert, at=began, kind=AlertEntryKind.STARTED, text=say, severity=severity, count=1
            )
        )
        if severity == "critical":
            at = began + timedelta(minutes=6)
            entries += [
                AlertEntry(
                    alert=alert,
                    at=at,
                    kind=AlertEntryKind.ACKNOWLEDGED,
                    actor="operator",
                    severity=severity,
                    count=1,
                ),
                AlertEntry(
                    alert=alert,
                    at=at + timedelta(minutes=9),
                    kind=AlertEntryKind.COMMENTED,
                    actor="operator",
                    text="Restarted it, watching the next window",
                    severity=severity,
                    count=1,
                ),
            ]
        entries.append(
            AlertEntry(alert=alert, at=ended, kind=AlertEntryKind.ENDED, severity=severity, count=0)
        )
        for event, at in ((AlertEvent.STARTED, began), (AlertEvent.ENDED, ended)):
            if days < 30:
                notes.append(
                    Notification(
                        uuid=world.uuid(),
                        channel=channels[days % 2],
                        alert=alert,
                        event=event,
                        text=say,
                        body={},
                        created_at=at,
                        attempts=1,
                        delivered_at=at + timedelta(seconds=2),
                    )
                )
    rows_write(Alert, alerts)
    rows_write(AlertEntry, entries)
    rows_write(Notification, notes)
    Backup.objects.create(
        taken_at=world.now - timedelta(hours=6),
        machine="console-1",
        folder="/backups/daily",
        dump_bytes=48 << 20,
    )
    _components(world)
    _service(world)


def _components(world: World) -> None:
    rows, incidents = [], []
    outages = {
        (Component.PROVING, 3): (Condition.DOWN, 14_400),
        (Component.CHAIN, 17): (Condition.DOWN, 4_200),
        (Component.BLOCKS, 17): (Condition.DEGRADED, 3_900),
        (Component.PROVING, 41): (Condition.DEGRADED, 7_200),
        (Component.SEALING, 23): (Condition.DEGRADED, 24_000),
    }
    for component in Component:
        for place, day in enumerate(world.days):
            ago = len(world.days) - 1 - place
            length = DAY_S if ago else int((world.now - midnight(day)).total_seconds())
            condition, bad = outages.get((component, ago), (Condition.UP, 0))
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
