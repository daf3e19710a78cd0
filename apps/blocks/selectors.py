"""Reads of block production: who mines, rounds and blocks for a viewer."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.core.cache import cache
from django.db.models import Count, Exists, IntegerField, Min, OuterRef, Q, Sum, Value
from django.db.models.functions import Extract, Floor, TruncDay
from django.utils.translation import gettext
from redis.exceptions import RedisError

from apps.blocks.luck import Luck, epochs_to_win, luck_of
from apps.blocks.models import Block, F3Lease, MiningDay, Round
from apps.blocks.states import LOSSES, NotDrawn, RoundState, WhyNot
from apps.chain.chain_status import network_known
from apps.chain.link import link_to
from apps.chain.selectors import head_current, nodes_enabled, nodes_for_reading
from apps.chain.states import STATES_FOREIGN, NodeRole
from apps.core import clock
from apps.core.compiled import Compiled
from apps.core.errors import NotFound
from apps.gateway.routes import host_account
from apps.miners.models import Miner
from apps.miners.selectors import miners_visible, reward_estimate, winning_hosts
from apps.miners.states import MinerState
from apps.sectors.models import Sector
from apps.users.models import MinerGrant, SignerGrant
from poolsite.filecoin.election import BLOCKS_PER_EPOCH

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from django.db.models import QuerySet

    from apps.chain.link import NodeLink
    from apps.miners.models import RewardEstimate
    from apps.users.principals import Principal

VESTING_PERCENT: Final = 75
"""Of a reward: it vests over 180 days, a 180th each day.  Source: FIP-0004."""
UNDRAWN: Final = Q(win_count=0) & ~Q(state=RoundState.NO_WIN)
"""Rounds of which nobody knows whether they would have been won."""


UNBEGUN_EPOCHS: Final = 3
UNBEGUN_S: Final = 60
"""A service that is restarted has drawn again by then, on a chain of short epochs too."""
FIRST_ROUND: Final = timedelta(hours=1)
"""After its first power a miner waits for the lookback of the election."""
LUCK_DAYS: Final = (1, 7, 30)
"""Spans of luck, in days: a short one shows a drought early, a long one a small lack."""
LUCK_SHARED_S: Final = 60
COURSE_DAYS: Final = 30
COURSE_SPANS: Final = 48


@dataclass(frozen=True, slots=True)
class WinCounts:
    """Wins of a span by what became of them; the others are still on their way."""

    all: int
    included: int
    lost: int


@dataclass(frozen=True, slots=True)
class MiningMiner:
    """A miner that blocks are made for."""

    row: Miner
    account: str
    """Under whose name its signer is asked."""
    may_sign: bool
    """Whether its tenant was granted the worker's key."""
    prover: str
    """The account whose provers are asked: the tenant, or the one host that holds the role."""


def _mining() -> QuerySet[Miner]:
    """Return the miners with power whose people want blocks, with the word whether their tenants may sign."""
    wanted = MinerGrant.objects.filter(
        actor_id=OuterRef("actor_id"), tenant=OuterRef("tenant"), open_mining=True, deleted_at=None
    )
    granted = SignerGrant.objects.filter(
        address=OuterRef("worker"), tenant=OuterRef("tenant"), deleted_at=None
    )
    return (
        Miner.objects.select_related("tenant")
        .filter(Exists(wanted), state=MinerState.ACTIVE, qa_power__gt=0)
        .annotate(may_sign=Exists(granted))
        .order_by("pk")
    )


MINING: Final[Compiled[Any]] = Compiled("miners_mining", _mining)


def miners_mining() -> list[MiningMiner]:
    """Return the miners with power whose people want blocks."""
    miners = MINING.rows()
    if not miners:
        return []
    hosts = winning_hosts([row.pk for row in miners], now=clock.now())
    return [
        MiningMiner(
            row,
            row.tenant.name,
            row.may_sign,
            row.tenant.name if row.pk not in hosts else host_account(row.tenant.name, hosts[row.pk]),
        )
        for row in miners
    ]


def worker_granted(*, tenant_id: int, worker: str) -> bool:
    """Return whether a tenant was granted a key."""
    return SignerGrant.objects.filter(tenant_id=tenant_id, address=worker, deleted_at=None).exists()


def block_links() -> tuple[list[NodeLink], list[NodeLink]]:
    """Return the nodes that blocks are made with, those kept for it first, and all that get them."""
    nodes = nodes_enabled()
    reading = sorted(nodes_for_reading(nodes), key=lambda node: node.role != NodeRole.WINNING)
    submit = [node for node in nodes if node.state not in STATES_FOREIGN]
    return [link_to(node.url, node.token) for node in reading], [
        link_to(node.url, node.token) for node in submit
    ]


def f3_leases(miners: Collection[Miner]) -> list[F3Lease]:
    """Return how these miners take part in fast finality, of those that were asked to; by miner."""
    return list(F3Lease.objects.filter(miner__in=miners).select_related("miner").order_by("miner_id"))


def f3_links() -> list[NodeLink]:
    """Return the nodes that may vote for miners, those kept for blocks first."""
    return block_links()[0]


def rounds_of(miner: Miner, *, first: int | None = None, last: int | None = None) -> QuerySet[Round]:
    """Return a miner's rounds, newest first, between two epochs."""
    rows = Round.objects.filter(miner=miner).order_by("-epoch")
    if first is not None:
        rows = rows.filter(epoch__gte=first)
    return rows if last is None else rows.filter(epoch__lte=last)


def blocks_of(miners: Sequence[Miner]) -> QuerySet[Block]:
    """Return the blocks that were made for these miners, newest first."""
    rows = Block.objects.select_related("round__miner__tenant").filter(round__miner__in=miners)
    return rows.order_by("-height", "-pk")


def miners_on(miners: Iterable[Miner]) -> set[int]:
    """Return the keys of the miners that blocks are made for once they have power."""
    rows = {(row.actor_id, row.tenant_id): row.pk for row in miners if row.actor_id is not None}
    grants = MinerGrant.objects.filter(
        actor_id__in=[actor_id for actor_id, _ in rows], open_mining=True, deleted_at=None
    )
    return {rows[key] for key in grants.values_list("actor_id", "tenant_id") if key in rows}


def miners_unbegun(miners: Sequence[Miner], *, since_epoch: int, now: datetime) -> list[Miner]:
    """Return those of these miners whose people want blocks and that have no round since an epoch.

    A miner that has never had one counts once it has been proving for `FIRST_ROUND`.
    """
    wanted = miners_on(miners)
    drawn = set(
        Round.objects.filter(miner__in=wanted, epoch__gt=since_epoch)
        .order_by()
        .values_list("miner_id", flat=True)
        .distinct()
    )
    silent = [one for one in miners if one.pk in wanted - drawn and one.works_at(since_epoch)]
    if not silent:
        return []
    earlier = Round.objects.filter(miner=OuterRef("pk"))
    proving = Sector.objects.filter(miner=OuterRef("pk"), active=True, active_since__lt=now - FIRST_ROUND)
    due = Miner.objects.filter(Exists(earlier) | Exists(proving), pk__in=[miner.pk for miner in silent])
    keys = set(due.values_list("pk", flat=True))
    return [miner for miner in silent if miner.pk in keys]


@dataclass(frozen=True, slots=True)
class MiningStatus:
    """Whether a miner takes part in the election now, and when it may expect to win."""

    is_on: bool
    why_not: str
    """Of `NotDrawn`; empty while its rounds are drawn."""
    expected: float
    """Wins an epoch."""
    to_win_s: float | None
    """Mean time to the next win; None while none is to be expected."""

    @property
    def reason(self) -> str:
        """Why not, in words."""
        return str(NotDrawn(self.why_not).label) if self.why_not else ""


def mining_status_of(
    miner: Miner,
    *,
    is_on: bool,
    latest: Round | None,
    is_unbegun: bool,
    reward: RewardEstimate | None,
    epoch_s: float,
    height: int | None,
) -> MiningStatus:
    """Return how a miner stands, by its newest round; without one by the chain's estimate of power."""
    expected = 0.0
    if miner.has_min_power and latest is not None and latest.expected:
        expected = latest.expected
    elif miner.has_min_power and reward is not None and reward.power.value:
        expected = BLOCKS_PER_EPOCH * miner.qa_power / reward.power.value
    is_ours = height is None or miner.works_at(height)
    why = _why_not(miner, is_on=is_on, is_ours=is_ours, latest=latest, is_unbegun=is_unbegun)
    mean = None if why else epochs_to_win(expected)
    return MiningStatus(is_on, why, expected, None if mean is None else mean * epoch_s)


def _why_not(miner: Miner, *, is_on: bool, is_ours: bool, latest: Round | None, is_unbegun: bool) -> str:
    found = (
        (miner.actor_id is None or miner.state != MinerState.ACTIVE, NotDrawn.NOT_ACTIVE),
        (not is_ours, NotDrawn.ELSEWHERE),
        (not is_on, NotDrawn.MINING_OFF),
        (not miner.qa_power, NotDrawn.NO_POWER),
        (not miner.has_min_power, NotDrawn.BELOW_MINIMUM),
        (is_unbegun, NotDrawn.NOT_BEGUN),
        (latest is not None and latest.why_not == WhyNot.BARRED, NotDrawn.BARRED),
        (latest is not None and latest.why_not == WhyNot.NO_POWER, NotDrawn.POWER_TOO_NEW),
    )
    return next((str(why) for holds, why in found if holds), "")


def mining_status(miner: Miner, *, now: datetime) -> MiningStatus:
    """Return how one miner stands."""
    head, network = head_current(), network_known()
    since = None if head is None or network is None else head.height - undrawn_epochs(network.epoch_s)
    return mining_status_of(
        miner,
        is_on=bool(miners_on([miner])),
        latest=rounds_of(miner).first(),
        is_unbegun=since is not None and bool(miners_unbegun([miner], since_epoch=since, now=now)),
        reward=reward_estimate(),
        epoch_s=30.0 if network is None else network.epoch_s,
        height=None if head is None else head.height,
    )


def undrawn_epochs(epoch_s: float) -> int:
    """Return after how many epochs without a round nobody draws them."""
    return max(UNBEGUN_EPOCHS, math.ceil(UNBEGUN_S / max(epoch_s, 1)))


def lucks(miners: Iterable[Miner], *, now: datetime, days: Sequence[int]) -> dict[int, dict[int, Luck]]:
    """Return each miner's luck in the last days, by its key and their number."""
    keys = [miner.pk for miner in miners]
    wins: dict[tuple[int, int], int] = {}
    expected: dict[tuple[int, int], float] = {}
    first = {count: now - timedelta(days=count) for count in days}
    of_rounds = Round.objects.filter(miner__in=keys, at__gte=min(first.values())).order_by()
    sums = {f"wins_{count}": Sum("win_count", filter=Q(at__gte=since)) for count, since in first.items()} | {
        f"drawn_{count}": Sum("expected", filter=Q(at__gte=since) & ~UNDRAWN)
        for count, since in first.items()
    }
    rows: Iterable[Any] = of_rounds.values("miner_id").annotate(**sums)
    for row in rows:
        for count in days:
            wins[row["miner_id"], count] = row[f"wins_{count}"] or 0
            expected[row["miner_id"], count] = row[f"drawn_{count}"] or 0.0
    of_days = MiningDay.objects.filter(miner__in=keys, day__gte=min(first.values()).date())
    for day in of_days.values("miner_id", "day", "expected"):
        for count, since in first.items():
            if day["day"] >= since.date():
                key = day["miner_id"], count
                expected[key] = expected.get(key, 0.0) + day["expected"]
    return {
        key: {count: luck_of(wins.get((key, count), 0), expected.get((key, count), 0.0)) for count in days}
        for key in keys
    }


def lucks_shared(miners: Iterable[Miner], *, now: datetime) -> dict[int, dict[int, Luck]]:
    """Return the luck of `LUCK_DAYS`, at most a minute old: a pool has half a million rounds a day."""
    rows = list(miners)
    names = {row.pk: f"blocks-luck-{row.pk}" for row in rows}
    found: dict[str, dict[int, Luck]] = {}
    with suppress(RedisError, OSError):
        found = cache.get_many(list(names.values()))
    missing = [row for row in rows if names[row.pk] not in found]
    read = lucks(missing, now=now, days=LUCK_DAYS) if missing else {}
    with suppress(RedisError, OSError):
        cache.set_many({names[key]: luck for key, luck in read.items()}, LUCK_SHARED_S)
    return {row.pk: read[row.pk] if row.pk in read else found[names[row.pk]] for row in rows}


@dataclass(slots=True)
class MiningSpan:
    """What a part of a course brought."""

    start_s: float
    """Seconds since 1970."""
    wins: int = 0
    expected: float = 0.0
    reward: int = 0
    """attoFIL of the blocks on the chain, less penalties."""


def mining_course(miners: Sequence[Miner], *, now: datetime) -> list[MiningSpan]:
    """Return wins, expectation and rewards of the last month by day; of a young pool in `COURSE_SPANS`."""
    since = now - timedelta(days=COURSE_DAYS)
    rounds = Round.objects.filter(miner__in=miners, at__gte=since).order_by()
    days = MiningDay.objects.filter(miner__in=miners, day__gte=since.date()).order_by("day")
    oldest = rounds.aggregate(at=Min("at"))["at"]
    if oldest is None:
        return []
    first = oldest.timestamp()
    width = max((now.timestamp() - first) / COURSE_SPANS, 1.0)
    if earliest := days.first():
        width = 86_400.0
        first = min(datetime.combine(earliest.day, time(), tzinfo=UTC).timestamp(), first // width * width)
    count = int((now.timestamp() - first) // width) + 1
    spans = [MiningSpan(first + index * width) for index in range(count)]
    place = Floor((Extract("at", "epoch") - Value(first)) / Value(width), output_field=IntegerField())
    sums = rounds.annotate(place=place).values("place")
    totals: Iterable[Any] = sums.annotate(
        wins=Sum("win_count"),
        drawn=Sum("expected", filter=~UNDRAWN),
        brought=Sum("block__reward", filter=Q(state=RoundState.INCLUDED)),
        fined=Sum("block__penalty", filter=Q(state=RoundState.INCLUDED)),
    )
    for row in totals:
        span = spans[min(max(row["place"], 0), count - 1)]
        span.wins += row["wins"]
        span.expected += row["drawn"] or 0.0
        span.reward += int(row["brought"] or 0) - int(row["fined"] or 0)
    for day, expected in days.values_list("day").annotate(expected=Sum("expected")):
        at = datetime.combine(day, time(), tzinfo=UTC).timestamp()
        spans[min(max(int((at - first) // width), 0), count - 1)].expected += expected
    return spans


def rewards_by_day(miners: Sequence[Miner], *, since: datetime) -> list[tuple[datetime, int]]:
    """Return the rewards of blocks on the chain by the day that they were won on."""
    rows = Block.objects.filter(
        round__miner__in=miners, round__state=RoundState.INCLUDED, round__at__gte=since, reward__isnull=False
    )
    by_day = rows.order_by().values_list(TruncDay("round__at")).annotate(sum=Sum("reward"))
    return sorted((day, int(reward)) for day, reward in by_day)


@dataclass(frozen=True, slots=True)
class Undrawn:
    """Rounds of one miner of which nobody knows whether they would have been won."""

    miner_id: int
    rounds: int
    expected: float
    last: Round


def rounds_undrawn(miners: Sequence[Miner], *, since: datetime) -> list[Undrawn]:
    """Return the miners that could not be drawn, those with most expected wins first."""
    rows = Round.objects.filter(miner__in=miners, win_count=0, at__gte=since, state__in=LOSSES)
    found: dict[int, list[Round]] = {}
    for row in rows.order_by("epoch").defer("steps"):
        found.setdefault(row.miner_id, []).append(row)
    undrawn = [Undrawn(key, len(of), sum(row.expected for row in of), of[-1]) for key, of in found.items()]
    return sorted(undrawn, key=lambda one: (-one.expected, -one.rounds))


def round_get(viewer: Principal, uuid: str) -> Round:
    """Return one round of a miner that the viewer may see.  Raises NotFound."""
    rows = Round.objects.select_related("miner", "block").filter(miner__in=miners_visible(viewer))
    row = rows.filter(uuid=uuid).first()
    if row is None:
        raise NotFound(gettext("there is no such round"))
    return row


def rounds_latest(miners: Sequence[Miner], *, epochs: int) -> dict[int, list[Round]]:
    """Return the rounds of the newest epochs by the miner's key, oldest first."""
    own = Round.objects.filter(miner__in=miners)
    last = own.order_by("-at").values_list("epoch", flat=True).first()
    found: dict[int, list[Round]] = {}
    if last is not None:
        rows = own.filter(epoch__gt=last - epochs).order_by("epoch").defer("steps")
        for row in rows:
            found.setdefault(row.miner_id, []).append(row)
    return found


def rounds_won(miners: Sequence[Miner]) -> QuerySet[Round]:
    """Return the wins of these miners, newest first."""
    rows = Round.objects.select_related("miner", "block").filter(miner__in=miners, win_count__gt=0)
    return rows.order_by("-epoch", "-pk")


def wins_lost(miners: Sequence[Miner], *, since: datetime) -> list[Round]:
    """Return the wins that brought no block since a moment, newest first."""
    return list(rounds_won(miners).filter(at__gte=since, state__in=[*LOSSES, RoundState.ORPHANED]))


def wins_count(miners: Sequence[Miner], *, since: datetime) -> WinCounts:
    """Count the wins since a moment by what became of them."""
    is_lost = Q(state__in=[*LOSSES, RoundState.ORPHANED])
    counts = (
        rounds_won(miners)
        .filter(at__gte=since)
        .aggregate(
            all=Count("pk"),
            included=Count("pk", filter=Q(state=RoundState.INCLUDED)),
            lost=Count("pk", filter=is_lost),
        )
    )
    return WinCounts(**counts)


def rewards_since(miners: Sequence[Miner], *, since: datetime) -> tuple[int, int]:
    """Return what blocks on the chain brought since a moment, less penalties, and how much of it vests."""
    sums = Block.objects.filter(
        round__miner__in=miners, round__state=RoundState.INCLUDED, round__at__gte=since
    ).aggregate(reward=Sum("reward"), penalty=Sum("penalty"))
    brought = (sums["reward"] or 0) - (sums["penalty"] or 0)
    return brought, brought * VESTING_PERCENT // 100
