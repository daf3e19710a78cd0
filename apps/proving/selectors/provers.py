"""Reading which provers of a tenant are online, and which hosts are proving now."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from apps.core.compiled import Compiled
from apps.proving.models import ProofAttempt, WindowPost
from apps.proving.states import OPEN_ATTEMPTS, PostState
from apps.sectors.models import Job, Worker
from apps.sectors.selectors.proof_forms import forms_here, proofs_made
from poolsite.wire.jobs import JobKind


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
    """Return the workers of a tenant that may get jobs of a kind and were heard of since then.

    A claim gives nothing to a host that makes no proofs of a form that the network takes.
    """
    online = [worker for worker in WORKERS_ONLINE.rows(tenant=tenant_id, since=since) if kind in worker.kinds]
    forms = forms_here() if online else None
    return [one for one in online if forms is None or not forms.isdisjoint(proofs_made(one.hardware))]


WORKERS_ONLINE: Final[Compiled[Worker]] = Compiled(
    "workers_heard",
    lambda tenant, since: Worker.objects.filter(
        tenant_id=tenant, retired_at=None, is_paused=False, seen_at__gte=since
    ),
    tenant="bigint",
    since="timestamptz",
)


def job_miners(job: str) -> list[int]:
    """Return the key of the miner that a job is of; empty if there is none."""
    return list(Job.objects.filter(uuid=job).values_list("miner_id", flat=True))


def hosts_proving(miners: Collection[int]) -> dict[tuple[int, int, int], str]:
    """Return who is at the proofs of open windows, by miner, deadline and opening."""
    open_posts = WindowPost.objects.filter(miner__in=miners, state=PostState.PROVING)
    rows = ProofAttempt.objects.filter(post__in=open_posts, state__in=OPEN_ATTEMPTS).exclude(job__worker=None)
    found: dict[tuple[int, int, int], set[str]] = {}
    names = ("post__miner_id", "post__deadline_index", "post__open_epoch", "job__worker__name")
    for miner, index, opened, host in rows.values_list(*names):
        found.setdefault((miner, index, opened), set()).add(host)
    return {key: ", ".join(sorted(hosts)) for key, hosts in found.items()}
