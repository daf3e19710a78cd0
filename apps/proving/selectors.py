"""Reading deadlines, partitions, proofs and recoveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Prefetch

from apps.proving.models import Deadline, Partition, WindowPost
from apps.proving.states import Outlook, PostState
from apps.sectors.models import Worker
from poolsite.wire.jobs import JobKind

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from apps.miners.models import Miner
    from apps.users.principals import Principal


def deadlines_visible(viewer: Principal) -> QuerySet[Deadline]:
    """Give the deadlines that this caller may know of, with miner and partitions."""
    partitions = Prefetch("partitions", queryset=Partition.objects.order_by("index"))
    deadlines = Deadline.objects.select_related("miner__tenant").prefetch_related(partitions)
    if viewer.miners:
        deadlines = deadlines.filter(miner__actor_id__in=viewer.miners)
    return deadlines if viewer.is_operator else deadlines.filter(miner__tenant_id=viewer.own_id)


def deadlines_of(miner: Miner) -> QuerySet[Deadline]:
    """Give a miner's deadlines by index, with partitions."""
    partitions = Prefetch("partitions", queryset=Partition.objects.order_by("index"))
    return Deadline.objects.filter(miner=miner).prefetch_related(partitions).order_by("index")


def posts_of(miner: Miner, *, since_epoch: int) -> QuerySet[WindowPost]:
    """Give the proofs of a miner's windows that closed after `since_epoch`, newest first."""
    return WindowPost.objects.filter(miner=miner, close_epoch__gt=since_epoch).select_related("job")


def provers_there(*, tenant_id: int, since: datetime) -> int:
    """Count the provers of a tenant that were heard of since then."""
    return len(_provers(tenant_id=tenant_id, since=since))


def prover_stores(*, tenant_id: int, since: datetime) -> set[str] | None:
    """Give the stores of the same provers; None if there is none."""
    provers = _provers(tenant_id=tenant_id, since=since)
    return {store for prover in provers for store in prover.stores} if provers else None


def _provers(*, tenant_id: int, since: datetime) -> list[Worker]:
    workers = Worker.objects.filter(tenant_id=tenant_id, retired_at=None, is_paused=False, seen_at__gte=since)
    return [worker for worker in workers if JobKind.WINDOW_POST in worker.kinds]


@dataclass(frozen=True, slots=True)
class Look:
    """What the outlook of a window is judged by."""

    height: int
    window: int
    """Length of a window in epochs."""
    provers: int
    message_waits: dict[str, str]
    """Message id to what it waits for, in words, of messages that have not landed."""


def outlook_of(deadline: Deadline, posts: list[WindowPost], look: Look) -> tuple[str, str]:
    """Judge a deadline's present or next window: the outlook and why."""
    if deadline.live == 0:
        return Outlook.NOTHING, "no sectors"
    if not posts:
        if look.height < deadline.challenge_epoch:
            if look.provers == 0:
                return Outlook.AT_RISK, "no prover is connected"
            return Outlook.LATER, f"challenged at epoch {deadline.challenge_epoch}"
        return Outlook.WILL_LAND, "about to be proved"
    states = {post.state for post in posts}
    if states <= {PostState.LANDED}:
        return Outlook.LANDED, "proved"
    if PostState.MISSED in states:
        return Outlook.MISSED, "the window closed without a proof"
    if states <= {PostState.LANDED, PostState.NOTHING}:
        return Outlook.AT_RISK, "no sector can be proved: files are missing or damaged"
    for post in posts:
        risk = _risk_of(post, deadline, look)
        if risk:
            return Outlook.AT_RISK, risk
    return Outlook.WILL_LAND, _progress_of(posts, deadline, look)


def _risk_of(post: WindowPost, deadline: Deadline, look: Look) -> str:
    left = deadline.close_epoch - look.height
    if post.state == PostState.PROVING and look.provers == 0:
        return "no prover is connected"
    if post.state == PostState.PROVING and post.job is not None and post.job.error:
        return f"proving failed: {post.job.error}"[:200]
    if post.state in (PostState.PROVING, PostState.PROVED) and left <= look.window // 3:
        return f"not sent yet, {left} epochs left"
    if post.state == PostState.SENT and left <= look.window // 2:
        why = look.message_waits.get(post.message_id, "")
        return f"not landed yet, {left} epochs left{': ' + why if why else ''}"[:200]
    return ""


def _progress_of(posts: list[WindowPost], deadline: Deadline, look: Look) -> str:
    if any(post.state == PostState.PROVING for post in posts):
        return "being proved"
    if look.height < deadline.open_epoch:
        return "proved, waits for the window to open"
    return "sent, waits for a block"
