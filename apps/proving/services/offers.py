"""To which hosts a proof is offered: those that read all stores of its sectors and failed the least at it.

The nearest host claims first: one that lacks a store would report its sectors as faulty within milliseconds,
and win the next attempt as well.  With a store lost no host reads all: those come first that read the most.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Count, Q

from apps.messages.selectors.recovery import recovery_row
from apps.miners.selectors.roles import role_is_in_force, roles_of
from apps.miners.states import RoleKind
from apps.proving.rules.stall_detection import QUIET_MIN
from apps.proving.selectors.provers import provers_online
from apps.proving.states import AttemptState, RecoveryState
from apps.sectors.models import Job, JobEvent, Sector
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.damocles import damocles_planned
from apps.sectors.selectors.hosts import worker_machine
from apps.sectors.states import JobState
from poolsite.wire.jobs import JobKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from apps.miners.models import Miner
    from apps.proving.models import Recovery, WindowPost
    from apps.proving.rules.proving_context import ProvingContext
    from apps.sectors.models import Worker


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
    hosts = _claimants(miner, context)
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
        Q(job__proof_attempt__state=AttemptState.FAILED) | Q(job__result__faults__0__isnull=False),
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
    events = JobEvent.objects.filter(of, Q(event="FAIL") | Q(event="COMPLETE") & was_in_vain)
    return Counter(events.exclude(worker=None).values_list("worker_id", flat=True))


def _claimants(miner: Miner, context: ProvingContext) -> list[Worker]:
    """Return the hosts that may claim a miner's proofs now, damocles-workers too."""
    since, kind = _heard_since(context), JobKind.WINDOW_POST
    planned = damocles_planned(miner.tenant_id, kind, now=context.now)
    others = [host for host in planned if host.seen_at >= since and not host.is_paused]
    hosts = [*provers_in_charge_list(miner, context=context), *_in_charge(others, miner, context)]
    return [host for host in hosts if not host.is_draining]


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
    if not roles:
        return hosts
    restored_at = recovery_row().restored_at
    held = {role.host for role in roles if role_is_in_force(role, now=context.now, restored_at=restored_at)}
    return [host for host in hosts if worker_machine(host) in held]


def _numbers(job: Job) -> set[int]:
    return {int(sector["number"]) for sector in job.inputs.get("sectors", ())}


def _heard_since(context: ProvingContext) -> datetime:
    return context.now - timedelta(seconds=sealing_policy().worker_away_s)
