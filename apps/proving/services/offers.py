"""To which hosts a proof is offered: those that read all stores of its sectors and failed the least at it.

The nearest host claims first: one that lacks a store would report its sectors as faulty within milliseconds,
and win the next attempt as well.  With a store lost no host reads all: those come first that read the most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Q, QuerySet

from apps.messages.selectors.recovery import recovery_row
from apps.miners.models import Miner, Role
from apps.miners.selectors.roles import role_is_in_force, roles_of, roles_of_miners
from apps.miners.states import RoleKind
from apps.proving.models import Recovery, WindowPost
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.rules.stall_detection import QUIET_MIN
from apps.proving.selectors.provers import provers_online
from apps.proving.states import AttemptState, RecoveryState
from apps.sectors.models import Job, JobEvent, Sector, Worker
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.damocles_hosts import damocles_planned
from apps.sectors.selectors.hosts import worker_machine
from apps.sectors.states import JobState
from poolsite.wire.jobs import JobKind

POST_IN_VAIN: Final = Q(job__proof_attempt__state=AttemptState.FAILED) | Q(
    job__result__faults__0__isnull=False
)
"""A result of a window's proof that was of no use."""


def provers_in_charge_list(miner: Miner, *, context: ProvingContext) -> list[Worker]:
    """Return the provers that were heard of lately and may prove windows of a miner."""
    provers = provers_online(tenant_id=miner.tenant_id, since=_heard_since(context))
    return _in_charge(provers, miner, context)


def offer_find(
    miner: Miner, *, numbers: Collection[int], failures: Counter[int], context: ProvingContext
) -> list[int] | None:
    """Return the keys of the hosts that are asked to prove sectors; None: whichever comes first.

    `failures` says how often each host, by its key, has failed at this already.  Of the hosts that read all
    stores those come first that have failed the least: where only one reads them, it is asked again.
    """
    return _hosts_choose(_claimants(miner, context), miner, numbers=numbers, failures=failures)


def post_offers_find(
    wanted: Mapping[WindowPost, Collection[int]], *, context: ProvingContext
) -> dict[WindowPost, list[int] | None]:
    """Return what `offer_find` does for each of some proofs of these sectors; asks once for all of them."""
    miners = {post.miner_id: post.miner for post in wanted}
    tenants: dict[int, list[Worker]] = {}
    for miner in miners.values():
        if miner.tenant_id not in tenants:
            tenants[miner.tenant_id] = _hosts_heard(miner.tenant_id, context)
    roles: dict[int, list[Role]] = {}
    for role in roles_of_miners([key for key, miner in miners.items() if tenants[miner.tenant_id]]):
        if role.kind == RoleKind.WINDOW:
            roles.setdefault(role.miner_id, []).append(role)
    hosts = {
        key: [
            host
            for host in _in_force(tenants[miner.tenant_id], roles.get(key, []), context)
            if not host.is_draining
        ]
        for key, miner in miners.items()
    }
    # One host alone is asked whatever it has failed at.
    failures = _posts_failures([post for post in wanted if len(hosts[post.miner_id]) > 1])
    return {
        post: _hosts_choose(
            hosts[post.miner_id], post.miner, numbers=numbers, failures=failures.get(_window(post), Counter())
        )
        for post, numbers in wanted.items()
    }


def _hosts_choose(
    hosts: list[Worker], miner: Miner, *, numbers: Collection[int], failures: Counter[int]
) -> list[int] | None:
    if len(hosts) <= 1:
        return None
    # Where all read the same stores, which sectors lie where makes no difference.
    is_same = len({frozenset(host.stores) for host in hosts}) == 1
    read = {}
    if not is_same or any(host.is_damocles for host in hosts):
        read = _sectors_read(hosts, miner, numbers)
    able = [host for host in hosts if host.pk in read] or hosts
    least = min((failures[host.pk] for host in able), default=0)
    chosen = [host for host in able if failures[host.pk] == least]
    most = max((read.get(host.pk, 0) for host in chosen), default=0)
    chosen = [host for host in chosen if read.get(host.pk, 0) == most]
    return None if len(chosen) == len(hosts) else sorted(host.pk for host in chosen)


def has_other_host(post: WindowPost, *, job: Job, context: ProvingContext) -> bool:
    """Return whether a host beside the one that ended a job is to be asked for the same proof first."""
    hosts, failures = _claimants(post.miner, context), post_failures_count(post)
    read = _sectors_read(hosts, post.miner, _numbers(job))
    able = [host for host in hosts if host.pk in read and not failures[host.pk]]
    return any(host.name != job.result.get("worker") for host in able)


def offer_renew(job: Job, *, failures: Callable[[], Counter[int]], context: ProvingContext) -> None:
    """Offer a job that nobody has to the hosts that are able now; after two epochs whoever comes gets it.

    Changes only a job that was offered to some hosts, or that a host has given back.  `failures` gives what
    `offer_find` takes: it is read for such a job alone.
    """
    if job.state != JobState.READY or (job.offered_to is None and not job.attempts):
        return
    offered_to = None
    if context.now - job.updated_at < timedelta(seconds=QUIET_MIN * context.network.epoch_s):
        offered_to = offer_find(job.miner, numbers=_numbers(job), failures=failures(), context=context)
    if offered_to != job.offered_to:
        Job.objects.filter(pk=job.pk, state=JobState.READY).update(offered_to=offered_to)


def post_failures_count(post: WindowPost) -> Counter[int]:
    """Return how often each host, by its key, failed to prove a window, or some of its sectors."""
    return _failures_count(
        Q(
            job__proof_attempt__post__miner=post.miner_id,
            job__proof_attempt__post__deadline_index=post.deadline_index,
            job__proof_attempt__post__open_epoch=post.open_epoch,
        ),
        POST_IN_VAIN,
    )


def recovery_failures_count(recovery: Recovery) -> Counter[int]:
    """Return how often each host, by its key, has failed to prove faulty sectors of a partition."""
    return _failures_count(
        Q(
            job__recovery__miner=recovery.miner_id,
            job__recovery__partition_index=recovery.partition_index,
            job__recovery__deadline_index=recovery.deadline_index,
            job__recovery__open_epoch=recovery.open_epoch,
        ),
        Q(job__recovery__state=RecoveryState.FAILED),
    )


def _failures_count(of: Q, was_in_vain: Q) -> Counter[int]:
    """Count jobs that hosts gave up, and results that were of no use."""
    return Counter(_failures(of, was_in_vain).values_list("worker_id", flat=True))


def _failures(of: Q, was_in_vain: Q) -> QuerySet[JobEvent]:
    events = JobEvent.objects.filter(of, Q(event="FAIL") | Q(event="COMPLETE") & was_in_vain)
    return events.exclude(worker=None)


def _window(post: WindowPost) -> tuple[int, int, int]:
    return post.miner_id, post.deadline_index, post.open_epoch


def _posts_failures(posts: Sequence[WindowPost]) -> dict[tuple[int, int, int], Counter[int]]:
    """Return what `post_failures_count` does, by window."""
    found: dict[tuple[int, int, int], Counter[int]] = {}
    if posts:
        of = Q(
            job__proof_attempt__post__miner__in={post.miner_id for post in posts},
            job__proof_attempt__post__open_epoch__in={post.open_epoch for post in posts},
        )
        place = [f"job__proof_attempt__post__{name}" for name in ("miner", "deadline_index", "open_epoch")]
        for *window, host in _failures(of, POST_IN_VAIN).values_list(*place, "worker_id"):
            found.setdefault((window[0], window[1], window[2]), Counter())[host] += 1
    return found


def _claimants(miner: Miner, context: ProvingContext) -> list[Worker]:
    """Return the hosts that may claim a miner's proofs now, damocles-workers too."""
    hosts = _in_charge(_hosts_heard(miner.tenant_id, context), miner, context)
    return [host for host in hosts if not host.is_draining]


def _hosts_heard(tenant_id: int, context: ProvingContext) -> list[Worker]:
    """Return the hosts of a tenant that may get proofs and were heard of lately, damocles-workers too."""
    since, kind = _heard_since(context), JobKind.WINDOW_POST
    planned = damocles_planned(tenant_id, kind, now=context.now)
    others = [host for host in planned if host.seen_at >= since and not host.is_paused]
    return [*provers_online(tenant_id=tenant_id, since=since), *others]


def _sectors_read(hosts: list[Worker], miner: Miner, numbers: Collection[int]) -> dict[int, int]:
    """Return by host's key how many of some sectors it reads, of those whose store is known.

    Of the hosts that read them all; where there is none, of those that read any.  A damocles-worker does not
    say what it reads, and has to read all stores.
    """
    rows = Sector.objects.filter(miner=miner, number__in=numbers).exclude(store="").order_by()
    stores = dict(rows.values_list("store").annotate(Count("pk")))
    total = sum(stores.values())
    read = {
        host.pk: total if host.is_damocles else sum(stores.get(name, 0) for name in set(host.stores))
        for host in hosts
    }
    least = total if total in read.values() else 1
    return {host: count for host, count in read.items() if count >= least}


def _in_charge(hosts: list[Worker], miner: Miner, context: ProvingContext) -> list[Worker]:
    """Return those of some hosts that the roles of a miner let prove its windows."""
    roles = list(roles_of(miner).filter(kind=RoleKind.WINDOW)) if hosts else []
    return _in_force(hosts, roles, context)


def _in_force(hosts: list[Worker], roles: Sequence[Role], context: ProvingContext) -> list[Worker]:
    if not roles:
        return hosts
    restored_at = recovery_row().restored_at
    held = {role.host for role in roles if role_is_in_force(role, now=context.now, restored_at=restored_at)}
    return [host for host in hosts if worker_machine(host) in held]


def _numbers(job: Job) -> set[int]:
    return {int(sector["number"]) for sector in job.inputs.get("sectors", ())}


def _heard_since(context: ProvingContext) -> datetime:
    return context.now - timedelta(seconds=sealing_policy().worker_away_s)
