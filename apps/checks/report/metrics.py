"""Figures of the pool for Prometheus, read from the database at each scrape; `metric_table` names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Count, F, Min

from apps.blocks.selectors.rounds import signing_margin_s, wins_by_outcome
from apps.chain.states import NodeCondition
from apps.checks.report.cache import report_last
from apps.checks.report.families import family, gauge, gauges
from apps.checks.report.object_metrics import objects_figures
from apps.checks.selectors.alerts import alerts_open
from apps.checks.selectors.data import CheckData
from apps.core.disk import disk_spaces
from apps.core.processes import PROCESS_STATES
from apps.gateway.selectors.connections import provers_connected, signers_connected
from apps.messages.models import Sender
from apps.messages.selectors.messages import messages_open
from apps.proving.models import WindowPost
from apps.proving.states import Forecast, PostState
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.amounts import FIL
from poolsite.wire.pipeline import NEXT_STAGE

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class PoolCollector:
    """Everything that `/metrics` tells of the whole pool."""

    def collect(self) -> Iterator[Metric]:
        """Read the figures; raises DatabaseError, which becomes a 503."""
        data = CheckData(SYSTEM)
        yield from checks_figures(data)
        yield from chain_figures(data)
        yield from messages_figures(data)
        yield from proving_figures(data)
        yield from blocks_figures(data)
        yield from hosts_figures(data)
        yield from objects_figures(data)
        yield gauges("disk_free_bytes", disk_figures())


def checks_figures(data: CheckData) -> Iterator[Metric]:
    """The list of checks, to alert on."""
    found, cost, held = (family(f"check_{name}") for name in ("findings", "fil_per_day", "acknowledged"))
    alerts = alerts_open(data.viewer)
    report = report_last(data)
    for result in report.results:
        alert = alerts.get(result.check.name)
        held.add_metric([result.check.name], float(alert is not None and alert.is_acknowledged))
        found.add_metric([result.check.name, str(result.check.severity)], result.count)
        own = sum(one.per_day for one in result.findings if not one.is_part)
        cost.add_metric([result.check.name], own / FIL)
    yield found
    yield cost
    yield held
    age_s = (data.at - report.at).total_seconds() if report.is_evaluated else inf
    yield gauge("checks_age_seconds", max(age_s, 0.0))


def chain_figures(data: CheckData) -> Iterator[Metric]:
    """Heads and nodes."""
    if data.head is not None:
        age_s = (data.at - data.head.arrived_at).total_seconds()
        yield gauge("head_height", data.head.height)
        yield gauge("head_age_seconds", age_s)
        yield gauge("base_fee_attofil", float(data.head.base_fee))
    nodes = Counter(str(node.condition).lower() for node in data.nodes)
    conditions = (name.lower() for name in NodeCondition.values)
    yield gauges("nodes", nodes, labels=conditions)


def messages_figures(data: CheckData) -> Iterator[Metric]:
    """Messages by state and age, and nonce gaps."""
    rows = messages_open(SYSTEM).select_related(None).order_by()
    found = {
        state: (count, first)
        for state, count, first in rows.values_list("state").annotate(
            count=Count("pk"), first=Min("created_at")
        )
    }
    names = {"UNFILLED": "waiting", "FILLED": "in_flight"}
    counts = {name: found.get(state, (0, None))[0] for state, name in names.items()}
    ages = {
        name: (data.at - found[state][1]).total_seconds() if state in found else 0.0
        for state, name in names.items()
    }
    yield gauges("messages", counts)
    yield gauges("messages_oldest_seconds", ages)
    yield gauge("messages_stuck", data.messages_waiting.stuck)
    gaps = Sender.objects.exclude(gap_nonce=None).count()
    yield gauge("nonce_gaps", gaps)


def proving_figures(data: CheckData) -> Iterator[Metric]:
    """Deadlines with their margins, faults, and sectors."""
    rows = data.deadlines.values()
    forecasts = Counter(str(row.forecast) for row in rows if row.live)
    yield gauges("deadlines", forecasts, labels=Forecast.values)
    yield gauge("sectors_active", sum(miner.active_sectors for miner in data.miners))
    yield gauge("sectors_faulty", sum(miner.faulty_sectors for miner in data.miners))
    found = {stage.lower(): count for stage, count in data.sector_counts.items()}
    stages = (str(clock.stage).lower() for clock in NEXT_STAGE.values())
    yield gauges("sectors_sealing", found, labels=stages)
    if data.clock is None or data.network is None:
        return
    clock = data.clock
    closes = [row.close_epoch for row in rows if row.live and row.close_epoch > clock.epoch]
    if closes:
        left_s = clock.left_s(min(closes))
        yield gauge("deadline_next_close_seconds", left_s)
    since = clock.epoch - data.network.proving_period
    landed = WindowPost.objects.filter(
        miner__in=[miner.pk for miner in data.miners], state=PostState.LANDED, open_epoch__gte=since
    )
    margin = landed.aggregate(least=Min(F("close_epoch") - F("landed_height")))["least"]
    if margin is not None:
        yield gauge("deadline_margin_seconds", margin * data.network.epoch_s)


def blocks_figures(data: CheckData) -> Iterator[Metric]:
    """Wins of the last 24 hours against those expected, and the time that their blocks had left."""
    since = data.at - timedelta(days=1)
    wins = {state.lower(): count for state, count in wins_by_outcome(data.miners, since=since).items()}
    yield gauges("wins", wins)
    expected = sum(luck[1].expected for luck in data.lucks.values())
    yield gauge("wins_expected", expected)
    undrawn = sum(one.rounds for one in data.rounds_not_run)
    yield gauge("rounds_undrawn", undrawn)
    margin = signing_margin_s(data.miners, since=since)
    if margin is not None:
        yield gauge("block_margin_seconds", margin)


def disk_figures() -> dict[str, float]:
    """Return the free bytes of each disk by a folder of the pool that is on it."""
    return {str(space.place or settings.VAR): space.free for space in disk_spaces()}


def hosts_figures(data: CheckData) -> Iterator[Metric]:
    """Hosts, processes, and who is connected to the hub."""
    found = data.host_counts
    hosts = {"online": found.all - found.away, "offline": found.away}
    yield gauges("hosts", hosts)
    processes = Counter(process.state for process in data.processes)
    yield gauges("processes", processes, labels=PROCESS_STATES)
    hub = {"signer": signers_connected(SYSTEM).count(), "prover": provers_connected(SYSTEM).count()}
    yield gauges("hub_connections", hub)
