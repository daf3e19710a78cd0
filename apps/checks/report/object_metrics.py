"""Metrics of single miners, senders, wallets and hosts: METRICS_OBJECTS of each kind, the rest as one sum."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

from apps.checks.report.families import gauges_of
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.object_figures import (
    hosts_by_size,
    miners_by_power,
    senders_by_work,
    wallets_by_gas,
)
from apps.core.clock import DAY
from poolsite.filecoin.amounts import FIL

if TYPE_CHECKING:
    from prometheus_client.core import Metric

GAS_DAYS: Final = timedelta(days=6)
"""The gas of today and of these days before decides which senders and wallets have a series of their own."""


def objects_figures(data: CheckData) -> Iterator[Metric]:
    """Yield the metrics of all kinds of objects, read in four statements."""
    most = settings.METRICS_OBJECTS
    if not most:
        return
    yield from miners_figures(data, most)
    yield from senders_figures(data, most)
    yield from hosts_figures(data, most)


def miners_figures(data: CheckData, most: int) -> Iterator[Metric]:
    """Yield power, money, sectors, windows and wins of each miner."""
    network = data.network
    since_epoch = data.head.height - network.proving_period if data.head and network else 0
    rows = miners_by_power(most=most, since=data.at - DAY, since_epoch=since_epoch)
    power = {"raw": "raw_power", "quality": "qa_power"}
    yield _by(rows, "miner_power_bytes", power)
    for name in ("balance", "available", "locked", "pledge", "fee_debt"):
        money = ((row.label,) for row in rows), (int(getattr(row, name)) / FIL for row in rows)
        yield gauges_of(f"miner_{name}_fil", zip(*money, strict=True))
    yield _by(rows, "miner_sectors", {"active": "active", "faulty": "faulty"})
    yield _by(rows, "miner_window_proofs", {"landed": "proven", "missed": "missed"})
    if network is not None:
        margins = [((row.label,), row.margin * network.epoch_s) for row in rows if row.margin is not None]
        yield gauges_of("miner_window_margin_seconds", margins)
    yield _by(rows, "miner_wins", {"included": "won", "lost": "lost"})
    expected = {key: luck[1].expected for key, luck in data.lucks.items()}
    sums = (((row.label,), sum(expected.get(key, 0.0) for key in row.keys)) for row in rows)
    yield gauges_of("miner_wins_expected", sums)


def senders_figures(data: CheckData, most: int) -> Iterator[Metric]:
    """Yield messages and gas of each sender, and the balance of each wallet."""
    today = data.at.astimezone(UTC).date()
    rows = senders_by_work(most=most, today=today, since_day=today - GAS_DAYS)
    yield _by(rows, "sender_messages", {"waiting": "waiting", "in_flight": "in_flight"})
    ages = [
        ((row.label, state), _age_s(data, first))
        for row in rows
        for state, first in (("waiting", row.first_waiting), ("in_flight", row.first_in_flight))
    ]
    yield gauges_of("sender_oldest_seconds", ages)
    yield gauges_of("sender_gas_fil_today", (((row.label,), int(row.gas) / FIL) for row in rows))
    balances = wallets_by_gas(most=most, since_day=today - GAS_DAYS)
    yield gauges_of("wallet_balance_fil", (((label,), int(held) / FIL) for label, held in balances))


def hosts_figures(data: CheckData, most: int) -> Iterator[Metric]:
    """Yield age of the last heartbeat, tasks, failures and free disk of each host."""
    rows = hosts_by_size(most=most, since=data.at - DAY)
    names = [(row.tenant, row.label) for row in rows]
    yield gauges_of("host_seen_seconds", zip(names, (_age_s(data, row.seen_at) for row in rows), strict=True))
    yield gauges_of("host_tasks", zip(names, (row.tasks for row in rows), strict=True))
    yield gauges_of("host_failures", zip(names, (row.failed for row in rows), strict=True))
    named = list(zip(names, rows, strict=True))
    yield gauges_of("host_disk_free_bytes", [(name, row.free) for name, row in named if row.free is not None])
    yield gauges_of(
        "host_disk_free_ratio", [(name, row.share) for name, row in named if row.share is not None]
    )


def _by(rows: list[Any], name: str, values: dict[str, str]) -> Metric:
    """Return a metric with a second label; `values` maps each of its values to a field of the rows."""
    return gauges_of(
        name, (((row.label, key), getattr(row, field)) for row in rows for key, field in values.items())
    )


def _age_s(data: CheckData, at: datetime | None) -> float:
    return 0.0 if at is None else max((data.at - at).total_seconds(), 0.0)
