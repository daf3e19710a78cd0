"""Counting what the pool did for each tenant, day by day, once a day is over and settled.

A day is written once, whole, for all tenants.  Whose cause a loss is is only said where it is known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import BooleanField, Count, ExpressionWrapper, F, Q

from apps.blocks.models import Round
from apps.blocks.states import RoundState
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.status import network_known
from apps.checks.models import ComponentDay, ComponentIncident, ServiceDay, TenantServiceDay
from apps.checks.selectors.service_levels import LANDING_EDGES_S
from apps.checks.services.components import RETENTION
from apps.checks.states import Component, Condition
from apps.messages.models import Message
from apps.messages.selectors.tracking import tracked_height
from apps.messages.states import MessageState
from apps.miners.selectors.days import tenants_on
from apps.proving.models import WindowPost
from apps.proving.states import PostState

SETTLED: Final = timedelta(hours=12)
"""So long after its end a day is counted: what landed is beyond any reorganisation by then."""
OPEN_MAX: Final = timedelta(days=3)
OPEN_POSTS: Final = (PostState.PROVING, PostState.PROVED, PostState.SENT, PostState.NOTHING)
BACK_MAX: Final = timedelta(days=31)
POOLS_LOSSES: Final = (RoundState.NODE_AWAY, RoundState.INTERRUPTED)
"""Outcomes of a win that only the pool causes."""
TENANTS_LOSSES: Final = (
    RoundState.PROOF_TIMEOUT,
    RoundState.PROOF_REFUSED,
    RoundState.SIGNER_AWAY,
    RoundState.SIGNER_REFUSED,
)
"""Outcomes of a win that the tenant's prover or signer causes."""

Counts = defaultdict[int, Counter[str]]
"""By tenant, what is counted by the names of the columns."""


@dataclass(frozen=True, slots=True)
class ChainClock:
    """Epochs and wall time by a head, however old it is: a pool that was stopped begins with an old one."""

    height: int
    at_s: float
    """Seconds since 1970."""
    epoch_s: int

    def starts_at(self, epoch: int) -> float:
        """Return when an epoch begins."""
        return self.at_s + (epoch - self.height) * self.epoch_s


@dataclass(frozen=True, slots=True)
class DayFacts:
    """One day, and what is known of the pool on it."""

    day: date
    clock: ChainClock
    begin_epoch: int
    end_epoch: int
    outages: tuple[tuple[float, float, bool], ...]
    """When proving or the console was impaired, in seconds since 1970, and whether it was down."""
    is_recorded: bool
    """Whether it is known how proving was, but for these times."""

    @property
    def begin(self) -> datetime:
        """Its midnight."""
        return datetime.combine(self.day, time.min, UTC)

    @property
    def end(self) -> datetime:
        """The next day's midnight."""
        return self.begin + timedelta(days=1)


@transaction.atomic
def service_day_count(*, now: datetime) -> None:
    """Count the next day that is over and settled, for every tenant; none if all are counted.

    After the pool was stopped for long the days before the last `BACK_MAX` are never counted.
    """
    ServiceDay.objects.filter(day__gt=now.date()).delete()  # of a clock that was ahead
    due = (now - SETTLED).date() - timedelta(days=1)
    last = ServiceDay.objects.order_by("-day").values_list("day", flat=True).first()
    if last is not None and last >= due:
        return
    head, network = head_current(), network_known()
    if head is None or network is None:
        return
    # An accelerated chain stands still with its machine: there its heads' arrival is what is known.
    at_s = head.arrived_at.timestamp() if network.is_devnet else float(head.timestamp)
    clock = ChainClock(head.height, at_s, network.epoch_s)
    day = due if last is None else max(last + timedelta(days=1), due - BACK_MAX)
    if _is_settled(day, clock=clock, now=now):
        ServiceDay.objects.filter(day__lt=due - RETENTION).delete()
        _day_count(day, clock=clock)


def _is_settled(day: date, *, clock: ChainClock, now: datetime) -> bool:
    """Return whether the chain is read beyond a day, and no proof of its windows is under way any more.

    A pool that was stopped reads the chain first; what nothing moves is waited for at most `OPEN_MAX`.
    """
    end = datetime.combine(day + timedelta(days=1), time.min, UTC)
    end_epoch = _epoch_from(clock, end)
    if tracked_height() < end_epoch:
        return False
    open_posts = WindowPost.objects.filter(state__in=OPEN_POSTS, close_epoch__lt=end_epoch)
    return now - end > OPEN_MAX or not open_posts.exists()


def _day_count(day: date, *, clock: ChainClock) -> None:
    """Count one day; another process that does so at this moment is waited for, and then nothing is done."""
    end = datetime.combine(day + timedelta(days=1), time.min, UTC)
    row, is_new = ServiceDay.objects.get_or_create(day=day, defaults={"end_epoch": _epoch_from(clock, end)})
    if not is_new:
        return
    before = ServiceDay.objects.filter(day=day - timedelta(days=1)).first()
    begin_epoch = _epoch_from(clock, end - timedelta(days=1)) if before is None else before.end_epoch
    facts = _day_facts(day, clock=clock, begin_epoch=begin_epoch, end_epoch=row.end_epoch)
    counts: Counts = defaultdict(Counter)
    _posts_count(facts, counts)
    _wins_count(facts, counts)
    landing = _messages_count(facts, counts)
    TenantServiceDay.objects.bulk_create(
        TenantServiceDay(day=row, tenant_id=tenant, landing_times=landing.get(tenant, []), **found)
        for tenant, found in counts.items()
    )


def _epoch_from(clock: ChainClock, at: datetime) -> int:
    """Return the first epoch that begins at a moment or after it."""
    return clock.height - int((clock.at_s - at.timestamp()) // clock.epoch_s)


def _day_facts(day: date, *, clock: ChainClock, begin_epoch: int, end_epoch: int) -> DayFacts:
    """Return what is known of a day."""
    begin = datetime.combine(day, time.min, UTC) - timedelta(hours=1)
    incidents = ComponentIncident.objects.filter(
        Q(ended_at=None) | Q(ended_at__gt=begin),
        component__in=(Component.PROVING, Component.CONSOLE),
        since__lt=begin + timedelta(hours=26),
    )
    days = {row.component: row for row in ComponentDay.objects.filter(day=day)}
    proving, console = days.get(Component.PROVING), days.get(Component.CONSOLE)
    far = (begin + timedelta(hours=26)).timestamp()
    return DayFacts(
        day=day,
        clock=clock,
        begin_epoch=begin_epoch,
        end_epoch=end_epoch,
        outages=tuple(
            (
                one.since.timestamp(),
                far if one.ended_at is None else one.ended_at.timestamp(),
                one.condition == Condition.DOWN,
            )
            for one in incidents
        ),
        # Unknown time without an outage of the console is of a backup, or of a check that broke.
        is_recorded=proving is not None and console is not None and proving.unknown_s <= console.down_s,
    )


def _posts_count(facts: DayFacts, counts: Counts) -> None:
    """Count the proofs of the windows that closed on that day."""
    closed = WindowPost.objects.order_by().filter(
        close_epoch__gte=facts.begin_epoch, close_epoch__lt=facts.end_epoch
    )
    landed = closed.filter(state=PostState.LANDED).values_list("miner_id").annotate(Count("pk"))
    had_proof = ExpressionWrapper(
        Q(proved_at__isnull=False) | Q(proof__isnull=False), output_field=BooleanField()
    )
    missed = closed.filter(state=PostState.MISSED).annotate(had_proof=had_proof)
    proven = dict(landed)
    lost = list(missed.values_list("miner_id", "open_epoch", "close_epoch", "had_proof"))
    owners = tenants_on({*proven, *(one[0] for one in lost)}, facts.day)
    for miner, count in proven.items():
        counts[owners[miner]]["posts_proven"] += count
    for miner, opens, closes, was_proven in lost:
        cause = _missed_cause(facts, opens, closes, was_proven=was_proven)
        counts[owners[miner]][f"posts_missed_{cause}"] += 1


def _missed_cause(facts: DayFacts, opens: int, closes: int, *, was_proven: bool) -> str:
    """Return whose cause a missed window is: `pool`, `tenant` or `unknown`.

    The pool's, if it was down for half of the window or more.  The tenant's, if the pool was up all the time
    and no prover handed in a proof.  Of a proof that was there and did not land nobody knows.
    """
    begin, end = facts.clock.starts_at(opens), facts.clock.starts_at(closes)
    spans = [(max(since, begin), min(until, end), is_down) for since, until, is_down in facts.outages]
    overlaps = [one for one in spans if one[0] < one[1]]
    if 2 * _covered_s((since, until) for since, until, is_down in overlaps if is_down) >= end - begin:
        return "pool"
    return "tenant" if facts.is_recorded and not overlaps and not was_proven else "unknown"


def _covered_s(spans: Iterable[tuple[float, float]]) -> float:
    """Return how long these times last together; what several cover counts once."""
    total, covered = 0.0, float("-inf")
    for since, until in sorted(spans):
        total += max(until - max(since, covered), 0)
        covered = max(covered, until)
    return total


def _wins_count(facts: DayFacts, counts: Counts) -> None:
    """Count the wins of that day by what became of them."""
    rows = Round.objects.order_by().filter(win_count__gt=0, at__gte=facts.begin, at__lt=facts.end)
    found = list(rows.values_list("miner_id", "state").annotate(Count("pk")))
    owners = tenants_on({miner for miner, _, _ in found}, facts.day)
    for miner, state, count in found:
        counts[owners[miner]][_win_column(state)] += count


def _win_column(state: str) -> str:
    if state == RoundState.INCLUDED:
        return "wins_published"
    if state in POOLS_LOSSES:
        return "wins_lost_pool"
    return "wins_lost_tenant" if state in TENANTS_LOSSES else "wins_lost_unknown"


def _messages_count(facts: DayFacts, counts: Counts) -> Mapping[int, list[int]]:
    """Count the messages that were pushed on that day; return how many landed within each limit."""
    is_landed = Q(state=MessageState.LANDED, landed_at__isnull=False)
    limits = {edge: F("created_at") + timedelta(seconds=edge) for edge in LANDING_EDGES_S}
    within: dict[str, Any] = {
        f"within_{edge}": Count("pk", filter=is_landed & Q(landed_at__lte=limit))
        for edge, limit in limits.items()
    }
    rows = Message.objects.order_by().filter(
        created_at__gte=facts.begin, created_at__lt=facts.end, tenant__isnull=False
    )
    landing = {}
    by_tenant: Any = rows.values("tenant").annotate(
        pushed=Count("pk"), landed=Count("pk", filter=is_landed), **within
    )
    for row in by_tenant:
        counts[row["tenant"]]["messages_pushed"] += row["pushed"]
        counts[row["tenant"]]["messages_landed"] += row["landed"]
        landing[row["tenant"]] = [row[name] for name in within]
    return landing
