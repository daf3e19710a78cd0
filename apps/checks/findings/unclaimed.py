"""New sectors that no host begins: what keeps each host from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from apps.chain.selectors.read_cache import chain_read_once
from apps.checks import reasons
from apps.checks.findings.parts import host_part
from apps.checks.findings.results import Finding, Link
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.waiting_sectors import (
    HostRules,
    SealingHosts,
    WaitingSectors,
    hosts_of_waiting,
    sealing_hosts,
    sectors_waiting,
    tenants_sealing,
)
from apps.core.formatting import size
from apps.core.reasons import as_reason, clauses, counted, cut, lasting, listed
from apps.sectors.models import Job, Worker
from apps.sectors.rules.hardware import sealing_disks
from apps.sectors.selectors.hosts import worker_is_away, worker_machine
from apps.sectors.selectors.proof_forms import parameters_error
from apps.sectors.selectors.shared_stores import shared_room
from apps.sectors.selectors.stores import stores_room, stores_visible
from apps.sectors.states import JobState
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import Stage
from poolsite.wire.stores import StoreCondition
from poolsite.wire.sums import stored_bytes

HOSTS_NAMED: Final = 5
ERROR_MAX: Final = 130
"""Characters of what a host said last."""


def sectors_unclaimed(data: CheckData) -> Iterator[Finding]:
    """New sectors that wait for a host while hosts seal nothing at all, or that none of them may begin.

    Others wait for their turn, which may take days.
    """
    if not data.rare.sectors_open or not (waiting := sectors_waiting(data.viewer, at=data.at)):
        return
    sealing = tenants_sealing()
    farm = sealing_hosts(waiting, at=data.at)
    stuck = [one for one in waiting if one.tenant_id not in sealing or not farm.may_ever_begin(one)]
    if not stuck:
        return
    hosts = hosts_of_waiting({one.tenant_id for one in stuck}, HOSTS_NAMED)
    with chain_read_once():
        why = [
            reasons.IS(name=host.name, what=_begins_none(data, host, rules, farm=farm, stuck=stuck))
            for host, rules in hosts.items()
        ]
    count = sum(one.count for one in stuck)
    yield Finding(
        "unclaimed",
        reasons.UNCLAIMED(
            sectors=counted(count, "new sector"), waited=lasting((data.at - stuck[0].since).total_seconds())
        ),
        (clauses(*why) or reasons.NO_HOST()),
        link=Link("hosts"),
        count=count,
        # Beyond those that are named there may be hosts with another reason.
        needs=tuple((host_part(host.tenant_id, worker_machine(host)),) for host in hosts)
        if len(hosts) < HOSTS_NAMED
        else (),
    )


def _begins_none(
    data: CheckData,
    host: Worker,
    rules: HostRules,
    *,
    farm: SealingHosts,
    stuck: Sequence[WaitingSectors],
) -> str:
    """Return why a host begins none of its tenant's sectors that are stuck, as far as it has told."""
    own = [one for one in stuck if one.tenant_id == host.tenant_id]
    needs = stored_bytes(min(one.size for one in own))
    return (
        _state_text(data, host)
        or _barred_text(rules, farm=farm, own=own)
        or _disk_text(host, room=_whole(rules.settings, "sector_room_bytes"))
        or _slot_text(host)
        or _limit_text(host, most=_whole(rules.settings, "sectors_max"))
        or _stores_text(host, needs=needs)
        or _promised_text(data, host, needs=needs)
        or _last_text(host)
    )


def _state_text(data: CheckData, host: Worker) -> str:
    """Return why a host claims nothing at all; empty where it claims."""
    if worker_is_away(host, now=data.at):
        return reasons.OFFLINE()
    if host.is_paused:
        return reasons.IS_PAUSED()
    if host.is_draining:
        return reasons.IS_DRAINING()
    error = parameters_error(host.hardware)
    return reasons.PROOFS_INVALID(reason=as_reason(error)) if error else ""


def _slot_text(host: Worker) -> str:
    """Return that a host has no slot for a sector's first stage; empty where it has."""
    if host.slots.get(Stage.ADD_PIECE):
        return ""
    return reasons.NO_FIRST_SLOT()


def _last_text(host: Worker) -> str:
    """Return where to look if nothing is known to keep a host from it."""
    if host.last_error:
        return reasons.LAST_ERROR(error=cut(as_reason(host.last_error), ERROR_MAX))
    return reasons.CLAIMS_NONE()


def _whole(settings: Mapping[str, str], key: str) -> int:
    """Return a setting that is a whole number; 0 where the host told none, or something else."""
    try:
        return max(int(settings.get(key, "")), 0)
    except ValueError:
        return 0


def _barred_text(rules: HostRules, *, farm: SealingHosts, own: Sequence[WaitingSectors]) -> str:
    """Return which role or rule bars a host from all of these sectors; empty where it may begin some."""
    if any(farm.may_begin(rules, one) for one in own):
        return ""
    first = own[0]
    if not farm.has_role(rules, first):
        return reasons.NO_ROLE(role=first.role.value, miner=str(first.miner))
    kind = reasons.CLIENTS_DATA() if first.has_data else reasons.ZEROS()
    return reasons.ACCEPTS_NONE(kind=kind, miner=str(first.miner), size=" ".join(size(first.size)))


def _disk_text(host: Worker, *, room: int) -> str:
    """Return that no disk on which a host seals has room for one more sector; empty where one has."""
    free = max(free for free, _ in sealing_disks(host.hardware))
    if free >= room:
        return ""
    return reasons.DISK_LACKS(free=" ".join(size(free)), room=" ".join(size(room)))


def _limit_text(host: Worker, *, most: int) -> str:
    """Return that a host has as many sectors as it is allowed to; empty where it may have more."""
    over = (JobState.DONE, JobState.FAILED)
    jobs = Job.objects.filter(kind=JobKind.SEAL, sticky_worker=host).exclude(state__in=over)
    if not most or (count := jobs.count()) < most:
        return ""
    return reasons.LIMIT_REACHED(count=counted(count, "sector"), most=most)


def _stores_text(host: Worker, *, needs: int) -> str:
    """Return why the stores of a host take no further sector; empty where they do, or it told of none."""
    conditions = set(host.attachments.values_list("condition", flat=True))
    if conditions and StoreCondition.READY not in conditions:
        return reasons.NO_STORE()
    room = shared_room(host)
    if room is None or room.left_bytes >= needs:
        return ""
    return reasons.STORES_SHARED(
        stores=listed(room.stores),
        free=" ".join(size(room.free_bytes)),
        sectors=counted(room.coming, "sector"),
        coming=" ".join(size(room.coming_bytes)),
    )


def _promised_text(data: CheckData, host: Worker, *, needs: int) -> str:
    """Return that what a host's stores have free is promised to copies; empty where enough of it is not.

    What one store was promised is free in no other on its disk.
    """
    held = host.attachments.order_by().values("store")
    own = list(stores_visible(data.viewer, now=data.at).filter(pk__in=held))
    promised, free = sum(one.reserved_bytes for one in own), stores_room(own)[0]
    if not promised or free >= needs:
        return ""
    return reasons.STORES_PROMISED(free=" ".join(size(free)), promised=" ".join(size(promised)))
