"""Reading deadlines, partitions, proofs and recoveries."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from django.conf import settings
from django.db.models import Count, Exists, F, Max, OuterRef, Prefetch, Q
from django.utils.translation import gettext, ngettext

from apps.core.compiled import Compiled
from apps.proving.due import WAITS_TO_OPEN
from apps.proving.models import (
    CheckRun,
    Deadline,
    Dispute,
    FaultDeclaration,
    Partition,
    PostNote,
    ProofAttempt,
    ProvingSettings,
    SectorCheck,
    WindowPost,
)
from apps.proving.policy import LIMITS, ProvingPolicy
from apps.proving.states import OPEN_ATTEMPTS, AttemptKind, AttemptState, Forecast, PostState
from apps.sectors.models import Worker
from poolsite.wire.jobs import JobKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from django.db.models import QuerySet

    from apps.miners.models import Miner


POST_FIELDS: Final = ("miner_id", "deadline_index", "open_epoch", "close_epoch", "state", "landed_height")
"""What a strip needs of a proof; the proof itself is long."""
AMBER: Final = 0.05
"""From this probability of a miss on a deadline is at risk."""
NOTES_TOLD: Final = 20
"""Notes that are read at once."""


def deadlines_of(miner: Miner) -> QuerySet[Deadline]:
    """Return a miner's deadlines by index, with partitions."""
    partitions = Prefetch("partitions", queryset=Partition.objects.order_by("index"))
    return Deadline.objects.filter(miner=miner).prefetch_related(partitions).order_by("index")


def deadline_keys(miner_id: int, *, index: int) -> list[int]:
    """Return the key of a miner's deadline; empty before it is known."""
    return list(Deadline.objects.filter(miner_id=miner_id, index=index).values_list("pk", flat=True))


def miners_of_deadlines(keys: Collection[str]) -> QuerySet[Deadline, int]:
    """Return the keys of the miners whose deadlines these are."""
    return Deadline.objects.filter(pk__in=keys).values_list("miner_id", flat=True).distinct()


def sectors_faulty(miners: Iterable[Miner | int]) -> dict[tuple[int, int], bool]:
    """Return faulty sectors by the miner's key and the number; True for those declared recovered."""
    rows = Partition.objects.filter(deadline__miner__in=miners, deadline__faulty__gt=0)
    return {
        (miner, number): number in recovering
        for miner, faulty, recovering in rows.values_list("deadline__miner_id", "faulty", "recovering")
        for number in faulty
    }


class Fault(NamedTuple):
    """A faulty sector."""

    miner_id: int
    deadline_index: int
    number: int
    since: int
    """Epoch of the head at which it was first seen faulty."""
    is_recovering: bool
    """Whether it is declared recovered."""


def faults_of(deadlines: Collection[Deadline]) -> list[Fault]:
    """Return the faulty sectors of these deadlines."""
    rows = {row.pk: row for row in deadlines}
    parts = Partition.objects.filter(deadline__in=list(rows)).exclude(faulty=[]).order_by("deadline", "index")
    fields = parts.values_list("deadline_id", "faulty", "faulty_since", "recovering")
    return [
        Fault(row.miner_id, row.index, number, seen, number in back)
        for pk, faulty, since, recovering in fields
        for row, back in [(rows[pk], set(recovering))]
        for number in faulty
        # one of before this was written down counts from the deadline's oldest
        for seen in [since.get(str(number), row.faulty_since or 0)]
    ]


def sectors_bad(miners: Collection[int], *, with_faulty: bool = False) -> list[SectorCheck]:
    """Return the sectors of these miners whose files were found missing or damaged, if not faulty yet."""
    rows = list(SectorCheck.objects.filter(is_good=False, miner__in=miners).order_by("miner_id", "number"))
    if not rows or with_faulty:
        return rows
    faulty = sectors_faulty({row.miner_id for row in rows})
    return [row for row in rows if (row.miner_id, row.number) not in faulty]


def posts_of(miner: Miner, *, since_epoch: int) -> QuerySet[WindowPost]:
    """Return the proofs of a miner's windows that closed after `since_epoch`, newest first."""
    return WindowPost.objects.filter(miner=miner, close_epoch__gt=since_epoch)


def posts_opened(miners: Collection[int], *, since_epoch: int) -> QuerySet[WindowPost]:
    """Return the proofs of windows of several miners that opened since an epoch, without what is long."""
    return WindowPost.objects.filter(miner__in=miners, open_epoch__gte=since_epoch).only(*POST_FIELDS)


def windows_missed(miners: Collection[int], *, since_epoch: int) -> dict[tuple[int, int], str]:
    """Return the windows that closed without a proof after `since_epoch`, by miner pk and deadline index.

    Each with the last reason why it was not proved.
    """
    rows = WindowPost.objects.filter(state=PostState.MISSED, close_epoch__gt=since_epoch, miner__in=miners)
    found = rows.order_by("open_epoch", "part").values_list("miner_id", "deadline_index", "error")
    return {(miner, index): error for miner, index, error in found}


def posts_tried(miner: Miner, *, open_after: int, since_epoch: int) -> QuerySet[WindowPost]:
    """Return the proofs of windows that close after an epoch, and those since another one that had trouble.

    The proofs themselves and what their jobs work on, which are long, are left in the database.
    """
    is_open = Q(close_epoch__gt=open_after)
    had_trouble = Q(close_epoch__gt=since_epoch) & Exists(PostNote.objects.filter(post=OuterRef("pk")))
    posts = WindowPost.objects.filter(is_open | had_trouble, miner=miner)
    attempts = attempts_open("job__worker").defer("proof", "job__inputs", "job__proof")
    return posts.defer("proof").prefetch_related(attempts_prefetch(attempts)).order_by("-open_epoch", "part")


def attempts_open(*related: str) -> QuerySet[ProofAttempt]:
    """Return the attempts that may still lead to a proof, with what belongs to them."""
    return ProofAttempt.objects.filter(state__in=OPEN_ATTEMPTS).select_related(*related)


def attempts_prefetch(attempts: QuerySet[ProofAttempt]) -> Prefetch[str, QuerySet[ProofAttempt], str]:
    """Return what reads these attempts together with the proofs that they are for."""
    return Prefetch("attempts", queryset=attempts)


def notes_of(posts: Iterable[WindowPost]) -> list[PostNote]:
    """Return what was noted about these proofs lately, the newest first."""
    rows = PostNote.objects.filter(post__in=[post.pk for post in posts]).select_related("post")
    return list(rows.defer("post__proof").order_by("-pk")[:NOTES_TOLD])


def provers_online_count(*, tenant_id: int, since: datetime) -> int:
    """Count the provers of a tenant that were heard of since then."""
    return len(provers_online(tenant_id=tenant_id, since=since))


def prover_stores(*, tenant_id: int, since: datetime) -> set[str] | None:
    """Return the stores of the same provers; None if there is none."""
    provers = provers_online(tenant_id=tenant_id, since=since)
    return {store for prover in provers for store in prover.stores} if provers else None


def backup_provers(holder: Worker | None, *, tenant_id: int, since: datetime) -> list[Worker]:
    """Return the other provers of a tenant that read the same stores, and can make the same proof."""
    provers = provers_online(tenant_id=tenant_id, since=since)
    stores = set(holder.stores) if holder is not None else set()
    return [prover for prover in provers if prover != holder and stores <= set(prover.stores)]


def provers_online(*, tenant_id: int, since: datetime, kind: JobKind = JobKind.WINDOW_POST) -> list[Worker]:
    """Return the workers of a tenant that take jobs of a kind and were heard of since then."""
    return [worker for worker in HEARD.rows(tenant=tenant_id, since=since) if kind in worker.kinds]


HEARD: Final[Compiled[Worker]] = Compiled(
    "workers_heard",
    lambda tenant, since: Worker.objects.filter(
        tenant_id=tenant, retired_at=None, is_paused=False, seen_at__gte=since
    ),
    tenant="bigint",
    since="timestamptz",
)


@dataclass(frozen=True, slots=True)
class ForecastContext:
    """What the forecast of a window is judged by."""

    height: int
    window: int
    """Length of a window in epochs."""
    provers: int
    message_waits: dict[str, str]
    """Message id to what it waits for, in words, of messages that have not landed."""


def forecast_of(deadline: Deadline, posts: list[WindowPost], context: ForecastContext) -> tuple[str, str]:
    """Judge a deadline's present or next window: the forecast and why."""
    if deadline.live == 0:
        return Forecast.NOTHING, "no sectors"
    if not posts:
        return _forecast_unproved(deadline, context)
    states = {post.state for post in posts}
    if states <= {PostState.LANDED}:
        left_out = _left_out(posts)
        return Forecast.LANDED, f"proved, {left_out}" if left_out else "proved"
    if PostState.MISSED in states:
        return Forecast.MISSED, "the window closed without a proof"
    if states <= {PostState.LANDED, PostState.NOTHING}:
        return Forecast.AT_RISK, "no sector can be proved: files are missing or damaged"
    for post in posts:
        risk = _risk_of(post, deadline, context) or _foreseen(deadline)
        if risk:
            return Forecast.AT_RISK, risk
    return Forecast.WILL_LAND, _progress_of(posts, deadline, context)


def _forecast_unproved(deadline: Deadline, context: ForecastContext) -> tuple[str, str]:
    if context.height >= deadline.challenge_epoch:
        return Forecast.WILL_LAND, "about to be proved"
    risk = _foreseen(deadline) if context.provers else "no prover is connected"
    if risk:
        return Forecast.AT_RISK, risk
    return Forecast.LATER, gettext("challenged at epoch {challenge_epoch}").format(
        challenge_epoch=deadline.challenge_epoch
    )


def _foreseen(deadline: Deadline) -> str:
    """Return what the last look ahead found: what is lacking, or that measured times are too long."""
    if deadline.lacks:
        return "; ".join(deadline.lacks.values())[:200]
    if deadline.miss is not None and deadline.miss >= AMBER:
        return gettext("{miss:.0%} chance of missing the window, from measured times").format(
            miss=deadline.miss
        )
    return ""


def _risk_of(post: WindowPost, deadline: Deadline, context: ForecastContext) -> str:
    left = deadline.close_epoch - context.height
    if post.state == PostState.PROVING and context.provers == 0:
        return "no prover is connected"
    first = post.attempt(AttemptKind.FIRST) if post.state == PostState.PROVING else None
    if first is not None and first.work.error:
        return gettext("proving failed: {error}").format(error=first.work.error)[:200]
    if first is not None and first.state == AttemptState.STALLED:
        return gettext("partition {partitions}: {reason}").format(
            partitions=", ".join(map(str, post.partitions)), reason=first.reason
        )[:200]
    if post.state == PostState.PROVING and post.tries:
        words = ngettext("{tries} attempt failed: {error}", "{tries} attempts failed: {error}", post.tries)
        return words.format(tries=post.tries, error=post.error)[:200]
    if post.state == PostState.NOTHING:
        return gettext("partition {partitions}: {error}").format(
            partitions=", ".join(map(str, post.partitions)), error=post.error
        )[:200]
    if post.state == PostState.PROVED and post.skipped:
        return _left_out([post])
    if post.state in (PostState.PROVING, PostState.PROVED) and left <= context.window // 3:
        return gettext("not sent yet, {left} epochs left").format(left=left)
    if post.state == PostState.SENT and left <= context.window // 2:
        why = context.message_waits.get(post.message_id, "")
        words = gettext("not landed yet, {left} epochs left").format(left=left)
        return f"{words}: {why}"[:200] if why else words
    return ""


def _left_out(posts: list[WindowPost]) -> str:
    count = sum(len(numbers) for post in posts for numbers in post.skipped.values())
    words = ngettext(
        "{count} sector is left out: its files cannot be read",
        "{count} sectors are left out: their files cannot be read",
        count,
    )
    return words.format(count=count) if count else ""


def _progress_of(posts: list[WindowPost], deadline: Deadline, context: ForecastContext) -> str:
    if any(post.state == PostState.PROVING for post in posts):
        return "being proved"
    if context.height < deadline.open_epoch:
        return WAITS_TO_OPEN
    return "sent, waiting for a block"


@dataclass(frozen=True, slots=True)
class Margin:
    """What became of one window."""

    margin: int | None
    """Epochs between its last landing and its close; None before all have landed."""
    missed: bool


def margins_of(miner: Miner, *, since_epoch: int) -> dict[tuple[int, int], Margin]:
    """Return what became of a miner's windows, by deadline and opening: one query over sums."""
    rows = WindowPost.objects.filter(miner=miner, open_epoch__gte=since_epoch).order_by()
    sums = rows.values("deadline_index", "open_epoch").annotate(
        close=Max("close_epoch"),
        landed=Max("landed_height"),
        proofs=Count("pk"),
        good=Count("pk", filter=Q(state=PostState.LANDED)),
        missed=Count("pk", filter=Q(state=PostState.MISSED)),
    )
    return {
        (row["deadline_index"], row["open_epoch"]): Margin(
            row["close"] - row["landed"] if row["good"] == row["proofs"] and row["landed"] else None,
            row["missed"] > 0,
        )
        for row in sums
    }


def hosts_proving(miners: Collection[int]) -> dict[tuple[int, int, int], str]:
    """Return who is at the proofs of open windows, by miner, deadline and opening."""
    open_posts = WindowPost.objects.filter(miner__in=miners, state=PostState.PROVING)
    rows = ProofAttempt.objects.filter(post__in=open_posts, state__in=OPEN_ATTEMPTS).exclude(job__worker=None)
    found: dict[tuple[int, int, int], set[str]] = {}
    names = ("post__miner_id", "post__deadline_index", "post__open_epoch", "job__worker__name")
    for miner, index, opened, host in rows.values_list(*names):
        found.setdefault((miner, index, opened), set()).add(host)
    return {key: ", ".join(sorted(hosts)) for key, hosts in found.items()}


def checks_latest(miners: Iterable[Miner], *, index: int | None = None) -> QuerySet[CheckRun]:
    """Return the looks at sectors of these miners, newest first; those of one deadline."""
    rows = CheckRun.objects.filter(miner__in=miners).select_related("miner").order_by("-pk")
    return rows if index is None else rows.filter(deadline_index=index)


def sector_checks(miner: Miner, numbers: Collection[int]) -> dict[int, list[SectorCheck]]:
    """Return what was last found of these sectors' files, by number; of several stores the first by name."""
    found: dict[int, list[SectorCheck]] = {}
    for row in SectorCheck.objects.filter(miner=miner, number__in=numbers).order_by("number", "store"):
        found.setdefault(row.number, []).append(row)
    return found


def declarations_latest(miners: Iterable[Miner], *, since_epoch: int) -> list[FaultDeclaration]:
    """Return the declarations of faults for windows that open after an epoch, newest first."""
    rows = FaultDeclaration.objects.filter(miner__in=miners, open_epoch__gt=since_epoch)
    return list(rows.select_related("miner").order_by("-pk")[:NOTES_TOLD])


def disputes_latest(miners: Iterable[Miner | int], *, since_height: int) -> list[Dispute]:
    """Return the disputes of proofs of these miners since a height, newest first."""
    rows = Dispute.objects.filter(miner__in=miners, height__gt=since_height)
    return list(rows.select_related("miner").order_by("-height", "-pk")[:NOTES_TOLD])


def deadline_of(miner: Miner, index: int) -> Deadline | None:
    """Return one deadline of a miner with its partitions; None before it is known."""
    return deadlines_of(miner).filter(index=index).first()


def deadline_index_of(miner: Miner, number: int) -> int | None:
    """Return the deadline in which a live sector of a miner is proved."""
    rows = Partition.objects.filter(deadline__miner=miner, live__contains=[number])
    return rows.values_list("deadline__index", flat=True).first()


def posts_of_deadline(miner: Miner, index: int) -> list[WindowPost]:
    """Return the last proofs of a deadline, newest first, without what is long."""
    rows = WindowPost.objects.filter(miner=miner, deadline_index=index).defer("proof")
    return list(rows.order_by("-open_epoch", "part")[:NOTES_TOLD])


def proving_policy(miner_id: int | None = None) -> ProvingPolicy:
    """Return what is in force for a miner; without one, for the pool."""
    rows = ProvingSettings.objects.filter(Q(miner=None) | Q(miner=miner_id))
    return _laid_over(rows.order_by(F("miner").asc(nulls_first=True)))


def recover_limits(miner_ids: Collection[int]) -> dict[int, int]:
    """Return for each miner how many faulty sectors of a deadline are declared recovered for one window."""
    rows = ProvingSettings.objects.filter(Q(miner=None) | Q(miner__in=miner_ids), recover_max__isnull=False)
    own: dict[int | None, int | None] = dict(rows.values_list("miner", "recover_max"))
    usual = own.get(None) or pool_policy_default().recover_max
    return {miner_id: own.get(miner_id) or usual for miner_id in miner_ids}


def pool_policy_default() -> ProvingPolicy:
    """Return what is in force where nobody has set anything."""
    return _laid_over(())


def proving_settings_own(miner_id: int | None) -> dict[str, int]:
    """Return what was set for a miner, or for the pool."""
    row = ProvingSettings.objects.filter(miner=miner_id).first()
    return {name: value for name in LIMITS if (value := getattr(row, name, None)) is not None}


def _laid_over(rows: Iterable[ProvingSettings]) -> ProvingPolicy:
    policy = dataclasses.replace(ProvingPolicy(), **getattr(settings, "PROVING", {}))
    for row in rows:
        own = {name: value for name in LIMITS if (value := getattr(row, name)) is not None}
        policy = dataclasses.replace(policy, **own)
    return policy
