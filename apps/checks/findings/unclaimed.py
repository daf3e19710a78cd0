"""New sectors that no host begins while none works on any: what keeps each host from it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from apps.chain.selectors.read_cache import chain_read_once
from apps.checks.findings.results import Finding, Link
from apps.checks.findings.text import at_least
from apps.core.formatting import size, time_left
from apps.sectors.models import HostReport, Job
from apps.sectors.proof_forms import parameters_error
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.states import JobState
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apps.checks.selectors.data import CheckData
    from apps.sectors.models import Worker

WAITED: Final = timedelta(minutes=15)
"""A host with a free slot and room has taken a new sector long before."""
HOSTS_NAMED: Final = 5
COUNTED_MAX: Final = 1_000


def sectors_unclaimed(data: CheckData) -> Iterator[Finding]:
    """New sectors that wait for a host, of tenants whose hosts seal nothing at all meanwhile.

    Where sectors are being sealed the others wait for their turn, which may take days.
    """
    if not data.rare.sectors_open:
        return
    jobs = Job.objects.filter(kind=JobKind.SEAL)
    if data.viewer.miners:
        jobs = jobs.filter(miner__actor_id__in=data.viewer.miners)
    if not data.viewer.is_operator:
        jobs = jobs.filter(miner__tenant_id=data.viewer.own_id)
    waiting = jobs.filter(
        state=JobState.READY, sticky_worker=None, sector__paused_at=None, updated_at__lt=data.at - WAITED
    )
    busy = Job.objects.filter(kind=JobKind.SEAL, state=JobState.LEASED).values("miner__tenant_id")
    stuck = waiting.exclude(miner__tenant_id__in=busy).order_by()
    rows = list(stuck.values_list("miner__tenant_id", "updated_at")[: COUNTED_MAX + 1])
    if not rows:
        return
    tenants, since = {tenant for tenant, _ in rows}, min(at for _, at in rows)
    hosts = [
        worker for worker in data.workers if worker.tenant_id in tenants and JobKind.SEAL in worker.kinds
    ]
    hosts = hosts[:HOSTS_NAMED]
    rooms = _rooms(hosts)
    with chain_read_once():
        why = [f"{host.name} {_begins_none(data, host, room=rooms.get(host.pk, 0))}" for host in hosts]
    yield Finding(
        "unclaimed",
        gettext("{sectors} unclaimed for {waited}").format(
            sectors=at_least(min(len(rows), COUNTED_MAX), "new sector", has_more=len(rows) > COUNTED_MAX),
            waited=time_left((data.at - since).total_seconds()),
        ),
        ("; ".join(why) or gettext("no sealing host has joined: add one under Hosts, Join a host")),
        link=Link("hosts"),
        count=min(len(rows), COUNTED_MAX),
        has_more=len(rows) > COUNTED_MAX,
    )


def _rooms(hosts: list[Worker]) -> dict[int, int]:
    """Return what disk a new sector needs on each of these hosts, in bytes, where they told it."""
    reports = HostReport.objects.filter(worker__in=hosts).values_list("worker_id", "settings")
    return {
        worker: int(one["value"])
        for worker, settings in reports
        for one in settings
        if one["key"] == "sector_room_bytes"
    }


def _begins_none(data: CheckData, host: Worker, *, room: int) -> str:
    """Return why a host begins no new sector, as far as it has told."""
    hardware = host.hardware
    free = int(hardware.get("disk_free_bytes") or 0)
    seals_elsewhere = any(disk.get("sealing") for disk in hardware.get("disks", ()))
    if worker_is_away(host, now=data.at):
        return gettext("is offline")
    if host.is_paused or host.is_draining:
        return gettext("is paused or draining")
    if error := parameters_error(hardware):
        return gettext("cannot make valid proofs: {reason}").format(reason=error)
    if free < room and not seals_elsewhere:
        return gettext("has {free} of disk space free, a new sector needs {room}").format(
            free=" ".join(size(free)), room=" ".join(size(room))
        )
    if not host.slots.get(Stage.ADD_PIECE):
        return gettext("has no slot for adding pieces, the first stage of a sector")
    return gettext("claims none: check its roles, rules, sector limit and log")
