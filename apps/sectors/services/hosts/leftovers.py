"""What hosts find in their sealing folders without a job: what of it may go, and orders to remove it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from msgspec import to_builtins

from apps.core.errors import BadValue
from apps.core.formatting import plural
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import quoted
from apps.miners.models import Miner
from apps.sectors.models import HostReport, Sector, Worker, WorkerCommand
from apps.sectors.selectors.hosts import host_report
from apps.sectors.selectors.leftovers import OwnStores
from apps.sectors.selectors.restored import sectors_recovery
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.audit import worker_audit
from apps.sectors.services.stores.leftover_removals import chain_numbers_read
from apps.sectors.services.stores.moves import changes_open
from apps.users.rules.principals import Principal
from poolsite.wire.commands import Operation
from poolsite.wire.hosts import SealingLeftover
from poolsite.wire.pipeline import SectorState


@dataclass(frozen=True, slots=True)
class Leftover:
    """A sector in a sealing folder that no job of its host knows."""

    miner_id: int
    number: int
    folder: str
    size: int
    sector: Sector | None
    """Its row in the pool."""
    is_ordered: bool
    """Whether the host was told to remove it and has not said yet that it did."""
    error: str
    """Why it could not be removed last."""

    @property
    def id(self) -> str:
        """Return what names it on its host."""
        return f"{self.folder}/{self.name}"

    @property
    def name(self) -> str:
        """Return the name of its files."""
        return f"s-t0{self.miner_id}-{self.number}"


@dataclass(frozen=True, slots=True)
class PlannedLeftover:
    """A leftover, and why it stays; empty: it goes."""

    leftover: Leftover
    refusal: str = ""


class BadLeftovers(BadValue):
    """Leftovers that cannot be removed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, field="leftovers")


def leftovers_note(worker: Worker, *, reported: Sequence[SealingLeftover] | None) -> None:
    """Store what a host has found; None is no news."""
    if reported is not None:
        HostReport.objects.update_or_create(worker=worker, defaults={"leftovers": to_builtins(reported)})


def sealing_orders_note(worker: Worker, *, done: Collection[str], errors: Mapping[str, str]) -> None:
    """Note why a host could not remove what it was told to."""
    for command in worker.commands.filter(
        uuid__in=[one for one in done if errors.get(one)], done_at=None, op=Operation.REMOVE_SEALING
    ):
        command.error = quoted(errors[str(command.uuid)], by="host")
        command.save(update_fields=["error"])


def sealing_leftovers_list(worker: Worker) -> list[Leftover]:
    """Return what a host has told last, with the rows of the pool; the largest first."""
    report = host_report(worker)
    reported = [] if report is None else report.leftovers
    if not reported:
        return []
    numbers: dict[int, set[int]] = defaultdict(set)
    for one in reported:
        numbers[one["miner_id"]].add(one["number"])
    rows = {
        (miner_id, row.number): row
        for miner_id, of_miner in numbers.items()
        for row in Sector.objects.filter(
            miner__actor_id=miner_id, tenant_id=worker.tenant_id, number__in=of_miner
        ).select_related("miner")
    }
    orders = {
        (row.args["folder"], row.args["miner_id"], row.args["number"]): row
        for row in worker.commands.filter(op=Operation.REMOVE_SEALING).order_by("pk")
    }
    found = []
    for one in reported:
        order = orders.get((one["folder"], str(one["miner_id"]), str(one["number"])))
        found.append(
            Leftover(
                **one,
                sector=rows.get((one["miner_id"], one["number"])),
                is_ordered=order is not None and order.done_at is None,
                error="" if order is None or order.done_at is None else order.error,
            )
        )
    return found


def sealing_leftovers_plan(
    worker: Worker, *, ids: Collection[str] | None, work: SealingContext
) -> list[PlannedLeftover]:
    """Return which of a host's leftovers may be removed, and of the others why not; None: of all.

    Raises BadLeftovers, NodeRefused, NodeUnavailable.
    """
    found = [one for one in sealing_leftovers_list(worker) if ids is None or one.id in ids]
    if not found:
        raise BadLeftovers(gettext("the host reports none of them"))
    plan = {one.id: PlannedLeftover(one, why) for one, why in _refusals(worker, found, now=work.now)}
    by_miner: dict[int, list[Leftover]] = defaultdict(list)
    for planned in plan.values():
        one = planned.leftover
        is_proven = one.sector is not None and one.sector.state == SectorState.PROVING
        if not planned.refusal and not is_proven:  # a proven sector's own files were checked
            by_miner[one.miner_id].append(one)
    for miner_id, of_miner in by_miner.items():
        known = chain_numbers_read(miner_id, numbers=[one.number for one in of_miner], work=work)
        for one in of_miner:
            if one.number in known:
                plan[one.id] = PlannedLeftover(one, gettext("the sector is on chain"))
    return list(plan.values())


def sealing_leftovers_remove(
    worker: Worker,
    *,
    ids: Collection[str],
    by: Principal,
    work: SealingContext,
    reason: str = "",
    count: int | None = None,
) -> list[PlannedLeftover]:
    """Order a host to remove these leftovers, for good; those that stay are named.

    Raises BadLeftovers if none can go, or not the `count` that somebody has confirmed; NodeRefused,
    NodeUnavailable.
    """
    plan = sealing_leftovers_plan(worker, ids=ids, work=work)
    with transaction.atomic():
        pks = [one.leftover.sector.pk for one in plan if one.leftover.sector is not None]
        list(Sector.objects.select_for_update(of=("self",)).filter(pk__in=pks).order_by("pk"))
        may = {one.leftover.id for one in plan if not one.refusal}
        current = [one for one in sealing_leftovers_list(worker) if one.id in may]
        again = {one.id: why for one, why in _refusals(worker, current, now=work.now)}
        plan = [
            one
            if one.refusal
            else PlannedLeftover(one.leftover, again.get(one.leftover.id, gettext("it no longer exists")))
            for one in plan
        ]
        chosen = [one.leftover for one in plan if not one.refusal]
        if not chosen:
            raise BadLeftovers(plan[0].refusal)
        if count is not None and len(chosen) != count:
            raise BadLeftovers(
                gettext("this now applies to {leftovers}, not {count}: review it and confirm again").format(
                    leftovers=plural(len(chosen), "leftover"), count=count
                )
            )
        for one in chosen:
            args = {"folder": one.folder, "miner_id": str(one.miner_id), "number": str(one.number)}
            WorkerCommand.objects.create(
                worker=worker, op=Operation.REMOVE_SEALING, args=args, actor=by.actor
            )
        after: dict[str, Any] = {"sectors": sorted(one.id for one in chosen)}
        after |= {"bytes": sum(one.size for one in chosen)} | ({"reason": reason} if reason else {})
        worker_audit(by, action="worker.remove_leftovers", worker=worker, after=after)
        publish(Change("worker", worker.pk, worker.tenant_id))
    return plan


def sealing_orders_withdraw(worker: Worker, *, orders: Collection[WorkerCommand], now: datetime) -> set[int]:
    """Withdraw orders by which files of a sector would go that are wanted by now; return their keys.

    Between an order and the host's answer lie hours if the host is away.
    """
    assert connection.in_atomic_block, "the orders are withdrawn before the host is told of any"
    removals = {
        (one.args["folder"], one.args["miner_id"], one.args["number"]): one
        for one in orders
        if one.op == Operation.REMOVE_SEALING
    }
    if not removals:
        return set()
    leftovers = [
        Leftover(
            miner_id=int(miner_id),
            number=int(number),
            folder=folder,
            size=0,
            sector=Sector.objects.select_related("miner")
            .filter(miner__actor_id=int(miner_id), tenant_id=worker.tenant_id, number=int(number))
            .first(),
            is_ordered=False,
            error="",
        )
        for folder, miner_id, number in removals
    ]
    refused = [one for one, why in _refusals(worker, leftovers, now=now, is_ordered=True) if why]
    withdrawn = {removals[one.folder, str(one.miner_id), str(one.number)].pk for one in refused}
    WorkerCommand.objects.filter(pk__in=withdrawn).delete()
    return withdrawn


def _refusals(
    worker: Worker, found: Sequence[Leftover], *, now: datetime, is_ordered: bool = False
) -> list[tuple[Leftover, str]]:
    """Return leftovers with why they stay, whatever the chain says; empty: they may go.

    With `is_ordered` the orders themselves keep them from nothing.
    """
    if sectors_recovery() is not None:
        why = gettext("sectors are being read back after a restore: wait until recovery is complete")
        return [(one, why) for one in found]
    sectors = [one.sector for one in found if one.sector is not None]
    own = OwnStores(sectors, now=now)
    changes = {} if is_ordered else changes_open(sectors)
    miners = set(
        Miner.objects.filter(
            tenant_id=worker.tenant_id, actor_id__in={one.miner_id for one in found}
        ).values_list("actor_id", flat=True)
    )
    removals = set(
        WorkerCommand.objects.filter(
            op=Operation.REMOVE, done_at=None, worker__retired_at=None, worker__tenant_id=worker.tenant_id
        ).values_list("args__miner_id", "args__number")
    )
    return [
        (one, _refusal(one, worker, own=own, changes=changes, miners=miners, removals=removals))
        for one in found
    ]


def _refusal(
    one: Leftover,
    worker: Worker,
    *,
    own: OwnStores,
    changes: dict[int, str],
    miners: Collection[int | None],
    removals: Collection[tuple[str, str]],
) -> str:
    """Return why a leftover stays; empty: it may go."""
    if one.miner_id not in miners:
        return gettext("f0{miner_id} is not a miner of {tenant}: remove it on the host").format(
            miner_id=one.miner_id, tenant=worker.tenant.name
        )
    if one.is_ordered or (str(one.miner_id), str(one.number)) in removals:
        return gettext("it is being removed")
    sector = one.sector
    if sector is None:
        return ""
    if sector.state == SectorState.TERMINATED and sector.removal_asked_at is None:
        return gettext("remove its files with *Remove files…* on its own page")
    if sector.removal_asked_at is None and sector.state not in (SectorState.PROVING, SectorState.ABORTED):
        return gettext("it is being sealed")
    if sector.pk in changes:
        return changes[sector.pk]
    is_wanted = sector.state == SectorState.PROVING and sector.removal_asked_at is None
    return own.fault(sector) if is_wanted else ""
