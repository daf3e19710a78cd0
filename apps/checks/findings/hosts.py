"""Checks of the hosts that seal and prove: silent, short of disk, paused, slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from apps.checks.findings.acts import hosts_resume
from apps.checks.findings.links import hosts_link
from apps.checks.findings.results import Finding, Link
from apps.checks.findings.text import named
from apps.checks.selectors.exposure import deposits_of
from apps.core.formatting import percent, plural, size, time_left
from apps.core.languages import clauses_text
from apps.core.stored_texts import stored_text
from apps.sectors.rules.hardware import disk_share, disk_space, has_lost_folder, is_short_of_disk
from apps.sectors.selectors.hosts import proves_windows, stages_served, worker_is_away
from apps.sectors.selectors.sectors import DEPOSIT_OVER, sectors_bound
from poolsite.wire.pipeline import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from apps.checks.selectors.data import CheckData
    from apps.sectors.models import Worker

ERROR_MAX: Final = 130
"""Characters of what an away host said last: which version is to be upgraded, or what broke."""


def hosts_away(data: CheckData) -> Iterator[Finding]:
    """Hosts that have sent no heartbeat for a while."""
    away = [worker for worker in data.workers if worker_is_away(worker, now=data.at)]
    if away:
        silent = (data.at - max(worker.seen_at for worker in away)).total_seconds()
        sizes, count = _bound(data, away)
        lone = _provers_lone(data, away)
        text = _bound_text(count, len(sizes), lone=lone)
        if lone_c2 := _c2_lone(data, away):
            text = gettext(
                "no other host has a slot for C2: restart {lone}, or give another host one"
            ).format(lone=named(lone_c2)) + (f"; {text}" if count or lone else "")
        why = gettext("last seen {silent} ago; {count}").format(silent=time_left(silent), count=text)
        if refused := next((worker for worker in away if worker.last_error), None):
            why = gettext("{host}: {error}; {why}").format(
                host=refused.name, error=stored_text(refused.last_error)[:ERROR_MAX], why=why
            )
        deposits = deposits_of(data, sizes)
        yield Finding(
            "away",
            gettext("{away} offline").format(away=named([worker.name for worker in away])),
            why,
            link=hosts_link(away),
            count=len(away),
            at_risk=deposits,
            deposits=deposits,
        )


def _bound(data: CheckData, away: Sequence[Worker]) -> tuple[list[int], int]:
    """Return the sizes of the sectors with a deposit that wait for silent hosts, and how many wait at all."""
    rows = sectors_bound(data.viewer, away).select_related(None).order_by()
    bound = list(rows.values_list("state", "precommit_epoch", "sector_size"))
    paid = [size for state, epoch, size in bound if epoch is not None and state not in DEPOSIT_OVER]
    return paid, len(bound)


def _provers_lone(data: CheckData, away: Sequence[Worker]) -> list[str]:
    """Return the names of silent provers in whose tenant no other host proves windows."""
    served = {
        worker.tenant_id
        for worker in data.workers
        if proves_windows(worker) and not worker.is_paused and not worker_is_away(worker, now=data.at)
    }
    return [one.name for one in away if proves_windows(one) and one.tenant_id not in served]


def _c2_lone(data: CheckData, away: Sequence[Worker]) -> list[str]:
    """Return the names of silent hosts without which the others of their tenant seal, and prove nothing."""
    served = stages_served(data.workers, now=data.at)
    tenants = {tenant for tenant, _ in served}
    return [
        one.name
        for one in away
        if one.slots.get(Stage.C2) and one.tenant_id in tenants and (one.tenant_id, Stage.C2) not in served
    ]


def _bound_text(count: int, paid: int, *, lone: Sequence[str]) -> str:
    """Return what waits for hosts that are silent: only they have the files of what they were sealing."""
    if lone:
        proofs = gettext("no window is proven without {lone}: restart it").format(lone=named(lone))
        return clauses_text((proofs, _bound_text(count, paid, lone=()))) if count else proofs
    if not count:
        return gettext("no sector depends on it; its other jobs go to other hosts")
    at_stake = gettext(", {paid} with a deposit on chain").format(paid=paid) if paid else ""
    return gettext(
        "{sectors} in progress{at_stake}; no other host has the files: restart it, or retire it so that "
        "others start them over"
    ).format(sectors=plural(count, "sector"), at_stake=at_stake)


def hosts_short_of_disk(data: CheckData) -> Iterator[Finding]:
    """Hosts without room for more sectors."""
    short = [
        worker
        for worker in data.workers
        if not worker_is_away(worker, now=data.at) and is_short_of_disk(worker.hardware)
    ]
    if short:
        worst = min(short, key=lambda worker: disk_share(worker.hardware) or 0.0)
        free = " ".join(size(disk_space(worst.hardware)[0]))
        share = percent(disk_share(worst.hardware) or 0.0, 1)
        why = gettext(
            "{worst}: {free} free, {share}; no new sector starts there until space is freed"
        ).format(worst=worst.name, free=free, share=share)
        say = gettext("{short} low on disk space").format(short=named([worker.name for worker in short]))
        yield Finding("disk", say, why, link=hosts_link(short), count=len(short))


def host_folders_away(data: CheckData) -> Iterator[Finding]:
    """Hosts that go on without the folder in which they keep settings, stores and what they are sealing."""
    for worker in data.workers:
        if not worker_is_away(worker, now=data.at) and has_lost_folder(worker.hardware):
            folder = next((disk["folder"] for disk in worker.hardware.get("disks", ())), "")
            yield Finding(
                f"folder-{worker.pk}",
                gettext("{worker} cannot read its own folder").format(worker=worker.name),
                gettext(
                    "{folder} is not readable: no sector starts there, and orders for its stores are not "
                    "saved; mount its disk, then restart the host"
                ).format(folder=folder or gettext("its folder")),
                link=Link("host", (str(worker.uuid),)),
            )


def hosts_paused(data: CheckData) -> Iterator[Finding]:
    """Hosts that claim no new work because somebody told them so."""
    idle = [
        worker
        for worker in data.workers
        if (worker.is_paused or worker.is_draining) and not worker_is_away(worker, now=data.at)
    ]
    if idle:
        texts = [f"{worker.name} {'paused' if worker.is_paused else 'draining'}" for worker in idle]
        why = gettext("no new work is claimed until resumed")
        if count := sectors_bound(data.viewer, idle).count():
            why = gettext(
                "{why}; {sectors} in progress there: a drained host finishes those that it has labelled, "
                "a paused one holds them"
            ).format(why=why, sectors=plural(count, "sector"))
        link = hosts_link(idle, "state=paused" if all(worker.is_paused for worker in idle) else "")
        yield Finding("hosts-paused", named(texts), why, link=link, count=len(idle), acts=hosts_resume(idle))


def hosts_slow(data: CheckData) -> Iterator[Finding]:
    """Hosts that take much longer than the others for the same stage."""
    here = [worker for worker in data.workers if not worker_is_away(worker, now=data.at)]
    speeds = data.host_speeds
    slow = [worker for worker in here if worker.pk in speeds and speeds[worker.pk].slow is not None]
    if slow:
        why = gettext("a stage takes at least 1.5 times as long as on the other hosts")
        say = gettext("{slow} slow").format(slow=named([worker.name for worker in slow]))
        yield Finding("hosts-slow", say, why, link=hosts_link(slow), count=len(slow))
