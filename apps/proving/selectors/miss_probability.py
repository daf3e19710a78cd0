"""How likely a window is missed, estimated from how long reading, proving and landing took on its hosts.

With measured times of n proofs (r_i to read, p_i to prove) and m landings (l_j epochs), a proof that is begun
at epoch b misses its window with the share of the n*m pairs for which

    b + ceil((r_i * sectors / sectors_i + p_i * partitions / partitions_i) * turns / epoch) + l_j > close - 1

`turns` is how often the hosts in charge must begin anew for all proofs of the deadline.  Of a proof that is
under way only those measured times count that are longer than it already takes; with none left it takes as
long again.  The proofs of one deadline miss independently.  docs/proving/forecast.md has it in words.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from apps.proving.models import Deadline, ProofAttempt, WindowPost
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.states import AttemptKind, AttemptState, PostState
from apps.sectors.states import JobState

SAMPLES_MAX: Final = 100
"""Newest proofs and landings that are read."""
AT_ONCE: Final = 2
"""Proofs that a prover makes at a time: workers/prover/loop.py."""


@dataclass(frozen=True, slots=True)
class ProofTime:
    """What one proof took."""

    read_s: float
    prove_s: float
    sectors: int
    partitions: int

    def seconds(self, sectors: int, partitions: int) -> float:
        """Return what a proof of another size would have taken."""
        return self.read_s * sectors / self.sectors + self.prove_s * partitions / self.partitions


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured lately for one tenant."""

    proofs: tuple[ProofTime, ...]
    landings: tuple[int, ...]
    """Epochs between sending and landing, ascending."""

    @property
    def count(self) -> int:
        """Return how many measurements the smaller of the two has."""
        return min(len(self.proofs), len(self.landings))


def proof_times_read(tenant_id: int, *, hosts: Collection[str]) -> Measured:
    """Read the times of a tenant's latest proofs on these hosts, and of its latest landings."""
    attempts = ProofAttempt.objects.filter(
        state=AttemptState.USED, kind=AttemptKind.FIRST, post__miner__tenant_id=tenant_id
    )
    rows = attempts.order_by("-pk").values_list("job__result", "post__partitions", "host")[:SAMPLES_MAX]
    proofs = []
    for result, partitions, host in rows:
        sectors = int((result or {}).get("sectors") or 0)
        if host in hosts and sectors and partitions:
            read_s = int(result.get("read_ms") or 0) / 1000
            total_s = max(int(result.get("ms") or 0) / 1000, read_s)
            proofs.append(ProofTime(read_s, total_s - read_s, sectors, len(partitions)))
    posts = WindowPost.objects.filter(
        miner__tenant_id=tenant_id, state=PostState.LANDED, sent_height__isnull=False
    )
    landed = posts.order_by("-pk").values_list("sent_height", "landed_height")[:SAMPLES_MAX]
    waits = sorted(max(height - (sent or 0), 0) for sent, height in landed if height is not None)
    return Measured(tuple(proofs), tuple(waits))


def miss_probability_estimate(
    deadline: Deadline, *, posts: Sequence[WindowPost], context: ProvingContext, times: Measured, hosts: int
) -> float | None:
    """Return the probability that a proof of the deadline's window does not land; None while not measured."""
    if not times.count or not deadline.live:
        return None
    last = deadline.close_epoch - 1
    if not posts:
        begin = max(context.head.height, deadline.challenge_epoch)
        parts = max(deadline.partitions_count, 1)
        most = min(context.network.posted_partitions_max, parts)
        jobs = ceil(parts / most)
        turns = ceil(jobs / max(hosts * AT_ONCE, 1))
        sectors = ceil(deadline.live * most / parts)
        ends = [
            begin + ceil(one.seconds(sectors, most) * turns / context.network.epoch_s) for one in times.proofs
        ]
        return _share_late(_not_before_open(ends, deadline, context), times.landings, last)
    good = 1.0
    for post in posts:
        good *= 1 - _post_misses(post, deadline, context, times, last)
    return 1 - good


def _post_misses(
    post: WindowPost, deadline: Deadline, context: ProvingContext, times: Measured, last: int
) -> float:
    height = context.head.height
    if post.state == PostState.LANDED:
        return 0.0
    if post.state == PostState.MISSED:
        return 1.0
    if post.state == PostState.SENT:
        since = height - (post.sent_height if post.sent_height is not None else height)
        left = [wait - since for wait in times.landings if wait > since] or [max(since, 1)]
        return _share_late([height], sorted(left), last)
    if post.state == PostState.PROVED:
        return _share_late(_not_before_open([height], deadline, context), times.landings, last)
    sectors = ceil(deadline.live * len(post.partitions) / max(deadline.partitions_count, 1))
    epochs = [
        ceil(one.seconds(max(sectors, 1), max(len(post.partitions), 1)) / context.network.epoch_s)
        for one in times.proofs
    ]
    first = post.attempt(AttemptKind.FIRST)
    claimed = None
    if first is not None and first.work.state == JobState.LEASED:
        claimed = first.work.claimed_height
    since = 0 if claimed is None else height - claimed
    left = [took - since for took in epochs if took > since] or [max(since, 1)]
    return _share_late(
        _not_before_open([height + took for took in left], deadline, context), times.landings, last
    )


def _not_before_open(ends: Sequence[int], deadline: Deadline, context: ProvingContext) -> list[int]:
    """Return when proofs are sent that are ready at these epochs."""
    opened = deadline.open_epoch + context.network.confidences.submit
    return [max(end, opened) for end in ends]


def _share_late(ends: Sequence[int], landings: Sequence[int], last: int) -> float:
    """Return the share of pairs of an end and a landing that come after the last epoch."""
    late = sum(len(landings) - bisect_right(landings, last - end) for end in ends)
    return late / (len(ends) * len(landings))
