"""Checks of the hosts that seal and prove: silent, short of disk, paused, slow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.db.models import Count, Max, Q, QuerySet
from django.utils.translation import gettext_noop

from apps.checks import reasons
from apps.checks.findings.acts import ACTS_MAX, hosts_resume
from apps.checks.findings.links import hosts_link
from apps.checks.findings.parts import host_part, prover_part
from apps.checks.findings.results import Finding
from apps.checks.findings.text import NAMED, grouped, named
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import deposits_of
from apps.core.formatting import percent, size
from apps.core.reasons import MARKED, as_reason, clauses, colon, counted, cut, lasting
from apps.sectors.models import Worker
from apps.sectors.rules.hardware import (
    FOLDER_LOST,
    PERHAPS_SHORT,
    disk_share,
    disk_space,
    is_short_of_disk,
)
from apps.sectors.selectors.host_groups import (
    BRIEF,
    first_names,
    hosts_briefly,
    hosts_gone,
    hosts_here,
    hosts_told,
    hosts_with_slots,
    stages_served,
    tenants_proving,
)
from apps.sectors.selectors.host_speed import host_speeds
from apps.sectors.selectors.sectors import DEPOSIT_OVER, sectors_bound
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import Stage

FACTS: Final = ("uuid", "tenant_id", "host", "name", "hardware")
PARTS_MAX: Final = 1_000
"""Hosts of one finding by which others know that they are of the same cause."""
ERROR_MAX: Final = 130
"""Characters of what an away host said last: which version is to be upgraded, or what broke."""


def hosts_away(data: CheckData) -> Iterator[Finding]:
    """Hosts that have sent no heartbeat for a while."""
    if not (count := data.host_counts.away):
        return
    away = hosts_gone(data.viewer, now=data.at)
    first = hosts_briefly(away, NAMED)
    newest = away.order_by().aggregate(seen_at=Max("seen_at"))["seen_at"] or data.at
    silent = (data.at - newest).total_seconds()
    paid, waiting = _bound(data, away)
    lone = _provers_lone(data, away)
    text = _bound_text(waiting, sum(paid.values()), lone=lone)
    if lone_c2 := _c2_lone(data, away):
        text = clauses(reasons.C2_LONE(lone=lone_c2), text if waiting or lone else "")
    why: str = reasons.LAST_SEEN(silent=lasting(silent), count=text)
    for refused in hosts_briefly(away.exclude(last_error=""), 1):
        why = clauses(colon(refused.name, cut(as_reason(refused.last_error), ERROR_MAX)), why)
    deposits = deposits_of(data, paid)
    yield Finding(
        "away",
        reasons.HOSTS_AWAY(away=named([one.name for one in first], count)),
        why,
        link=hosts_link(first),
        count=count,
        at_risk=deposits,
        deposits=deposits,
        breaks=(*hosts_parts(away), *_proofs_parts(data, away)),
    )


def _host_part(host: Worker) -> str:
    return host_part(host.tenant_id, host.host or host.name)


def hosts_parts(hosts: QuerySet[Worker]) -> tuple[str, ...]:
    """Return the names of hosts as parts, by their machines, as roles have them."""
    rows = hosts.order_by().values_list("tenant_id", "name", "host")[:PARTS_MAX]
    return tuple(dict.fromkeys(host_part(tenant, host or name) for tenant, name, host in rows))


def _proofs_parts(data: CheckData, away: QuerySet[Worker]) -> tuple[str, ...]:
    """Return the provers of the miners that nobody proves for while these hosts are silent."""
    served = tenants_proving(data.viewer, now=data.at)
    silent = away.filter(kinds__contains=[JobKind.WINDOW_POST]).exclude(tenant__in=served.distinct())
    tenants = set(silent.order_by().values_list("tenant_id", flat=True).distinct())
    return tuple(prover_part(miner) for miner in data.miners if miner.tenant_id in tenants)


def _bound(data: CheckData, away: QuerySet[Worker]) -> tuple[dict[int, int], int]:
    """Return how many sectors with a deposit wait for silent hosts, by size, and how many wait at all."""
    has_deposit = Q(precommit_epoch__isnull=False) & ~Q(state__in=DEPOSIT_OVER)
    rows = sectors_bound(data.viewer, away).select_related(None).order_by().values_list("sector_size")
    bound = list(rows.annotate(Count("pk"), paid=Count("pk", filter=has_deposit)))
    return {size: paid for size, _, paid in bound if paid}, sum(count for _, count, _ in bound)


def _provers_lone(data: CheckData, away: QuerySet[Worker]) -> str:
    """Name the silent provers in whose tenant no other host proves windows; empty where there are none."""
    served = tenants_proving(data.viewer, now=data.at)
    return _some_named(
        away.filter(kinds__contains=[JobKind.WINDOW_POST]).exclude(tenant__in=served.distinct())
    )


def _c2_lone(data: CheckData, away: QuerySet[Worker]) -> str:
    """Name the silent hosts without which the others of their tenant seal, and prove nothing."""
    served = stages_served(data.viewer, now=data.at)
    tenants = {tenant for tenant, _ in served} - {tenant for tenant, stage in served if stage == Stage.C2}
    return _some_named(hosts_with_slots(away.filter(tenant__in=tenants), Stage.C2)) if tenants else ""


def _some_named(hosts: QuerySet[Worker]) -> str:
    """Name the first of some hosts, and say how many more there are; empty without any."""
    first = first_names(hosts, NAMED + 1)
    return named(first, hosts.count() if len(first) > NAMED else len(first)) if first else ""


def _bound_text(count: int, paid: int, *, lone: str) -> str:
    """Return what waits for hosts that are silent: only they have the files of what they were sealing."""
    if lone:
        proofs = reasons.PROVER_LONE(lone=lone)
        return clauses(proofs, _bound_text(count, paid, lone="")) if count else proofs
    if not count:
        return reasons.NOTHING_BOUND()
    at_stake = reasons.DEPOSITS_PAID(paid=paid) if paid else ""
    return reasons.SECTORS_BOUND(sectors=counted(count, "sector"), at_stake=at_stake)


def hosts_short_of_disk(data: CheckData) -> Iterator[Finding]:
    """Hosts without room for more sectors."""
    if not data.host_counts.perhaps_short:
        return
    here = hosts_told(hosts_here(data.viewer, now=data.at), PERHAPS_SHORT)
    short = [worker for worker in here.only(*FACTS) if is_short_of_disk(worker.hardware)]
    if short:
        worst = min(short, key=lambda worker: disk_share(worker.hardware) or 0.0)
        free = " ".join(size(disk_space(worst.hardware)[0]))
        share = percent(disk_share(worst.hardware) or 0.0, 1)
        why = reasons.DISK_SHORT_OF(worst=worst.name, free=free, share=share)
        say = reasons.DISK_SHORT(short=named([worker.name for worker in short]))
        breaks = tuple(map(_host_part, short))
        yield Finding("disk", say, why, link=hosts_link(short), count=len(short), breaks=breaks)


def host_folders_away(data: CheckData) -> Iterator[Finding]:
    """Hosts that go on without the folder in which they keep settings, stores and what they are sealing."""
    if not data.host_counts.folder_lost:
        return
    lost = hosts_told(hosts_here(data.viewer, now=data.at), FOLDER_LOST)
    for group in grouped(list(lost.only(*FACTS))):
        worker = group[0]
        folder = next((disk["folder"] for disk in worker.hardware.get("disks", ())), "")
        yield Finding(
            f"folder-{worker.pk}",
            reasons.FOLDER_AWAY(worker=named([one.name for one in group])),
            reasons.FOLDER_UNREADABLE(folder=folder or reasons.ITS_FOLDER()),
            link=hosts_link(group),
            count=len(group),
            breaks=tuple(map(_host_part, group)),
        )


def hosts_paused(data: CheckData) -> Iterator[Finding]:
    """Hosts that claim no new work because somebody told them so."""
    if not (count := data.host_counts.paused):
        return
    idle = hosts_here(data.viewer, now=data.at).filter(Q(is_paused=True) | Q(is_draining=True))
    first = hosts_briefly(idle, max(NAMED, ACTS_MAX))
    paused, draining = MARKED(text=gettext_noop("paused")), MARKED(text=gettext_noop("draining"))
    texts = [reasons.IS(name=one.name, what=paused if one.is_paused else draining) for one in first]
    why = reasons.NOTHING_CLAIMED()
    if bound := sectors_bound(data.viewer, idle).count():
        why = reasons.SECTORS_HELD(why=why, sectors=counted(bound, "sector"))
    has_draining = idle.filter(is_paused=False).exists()
    link = hosts_link(first, "" if has_draining else "state=paused")
    acts, breaks = hosts_resume(first), hosts_parts(idle)
    yield Finding("hosts-paused", named(texts, count), why, link=link, count=count, acts=acts, breaks=breaks)


def hosts_slow(data: CheckData) -> Iterator[Finding]:
    """Hosts that take much longer than the others for the same stage."""
    lagging = [key for key, speed in host_speeds(data.viewer).items() if speed.slow is not None]
    slow = list(hosts_here(data.viewer, now=data.at).filter(pk__in=lagging).only(*BRIEF)) if lagging else []
    if slow:
        why = reasons.HOSTS_SLOW_CAUSE()
        say = reasons.HOSTS_SLOW(slow=named([worker.name for worker in slow]))
        yield Finding("hosts-slow", say, why, link=hosts_link(slow), count=len(slow))
