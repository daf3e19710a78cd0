"""New sectors that no host begins: what keeps each host from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from django.utils.translation import gettext

from apps.chain.selectors.read_cache import chain_read_once
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
from apps.core.formatting import plural, size, time_left
from apps.core.languages import clauses_text, list_text
from apps.core.stored_texts import stored_text
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
            f"{host.name} {_begins_none(data, host, rules, farm=farm, stuck=stuck)}"
            for host, rules in hosts.items()
        ]
    count = sum(one.count for one in stuck)
    yield Finding(
        "unclaimed",
        gettext("{sectors} unclaimed for {waited}").format(
            sectors=plural(count, "new sector"),
            waited=time_left((data.at - stuck[0].since).total_seconds()),
        ),
        (clauses_text(why) or gettext("no sealing host has joined: add one under Hosts, Join a host")),
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
        return gettext("is offline: restart it")
    if host.is_paused:
        return gettext("is paused: resume it")
    if host.is_draining:
        return gettext("is draining: resume it")
    error = parameters_error(host.hardware)
    return gettext("cannot make valid proofs: {reason}").format(reason=error) if error else ""


def _slot_text(host: Worker) -> str:
    """Return that a host has no slot for a sector's first stage; empty where it has."""
    if host.slots.get(Stage.ADD_PIECE):
        return ""
    return gettext("has no slot for adding pieces, the first stage of a sector")


def _last_text(host: Worker) -> str:
    """Return where to look if nothing is known to keep a host from it."""
    if host.last_error:
        return gettext("claims none; its last error: {error}").format(
            error=stored_text(host.last_error)[:ERROR_MAX]
        )
    return gettext("claims none: see its log, and whether its sealing threads are free")


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
        return gettext("does not hold the role {role} of {miner}: see Roles on the miner's page").format(
            role=first.role.value, miner=first.miner
        )
    kind = gettext("sectors with clients' data") if first.has_data else gettext("sectors of zeros")
    return gettext(
        "accepts no {kind} of {miner} with {size}: change allowed_miners, allowed_sizes, enable_deals or "
        "disable_cc in its settings, or a thread's plan"
    ).format(kind=kind, miner=first.miner, size=" ".join(size(first.size)))


def _disk_text(host: Worker, *, room: int) -> str:
    """Return that no disk on which a host seals has room for one more sector; empty where one has."""
    free = max(free for free, _ in sealing_disks(host.hardware))
    if free >= room:
        return ""
    return gettext("has {free} of disk space free, a new sector needs {room}").format(
        free=" ".join(size(free)), room=" ".join(size(room))
    )


def _limit_text(host: Worker, *, most: int) -> str:
    """Return that a host has as many sectors as it is allowed to; empty where it may have more."""
    over = (JobState.DONE, JobState.FAILED)
    jobs = Job.objects.filter(kind=JobKind.SEAL, sticky_worker=host).exclude(state__in=over)
    if not most or (count := jobs.count()) < most:
        return ""
    return gettext("has {count} unfinished, its setting sectors_max allows {most}").format(
        count=plural(count, "sector"), most=most
    )


def _stores_text(host: Worker, *, needs: int) -> str:
    """Return why the stores of a host take no further sector; empty where they do, or it told of none."""
    conditions = set(host.attachments.values_list("condition", flat=True))
    if conditions and StoreCondition.READY not in conditions:
        return gettext("has no store that accepts sectors: see Storage")
    room = shared_room(host)
    if room is None or room.left_bytes >= needs:
        return ""
    return gettext(
        "shares {stores} with other hosts: {free} free, and {sectors} in progress will need {coming}: "
        "add a store"
    ).format(
        stores=list_text(room.stores),
        free=" ".join(size(room.free_bytes)),
        sectors=plural(room.coming, "sector"),
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
    return gettext("has {free} free in its stores besides {promised} that is promised to copies").format(
        free=" ".join(size(free)), promised=" ".join(size(promised))
    )
