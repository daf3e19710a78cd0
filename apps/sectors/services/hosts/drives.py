"""A host's drives for layers, begun anew: which sectors lose layers by it, and the order to the host."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from apps.core.errors import Conflict
from apps.core.formatting import plural
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.sectors.models import Sector, Worker, WorkerCommand
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.selectors.restored import sectors_recovery
from apps.sectors.services.audit import worker_audit
from apps.sectors.states import JobState
from apps.users.rules.principals import Principal
from poolsite.filecoin.porep.parameters import ChallengeRule, seal_parameters
from poolsite.wire.commands import Operation
from poolsite.wire.pipeline import SectorState, Stage

LABELLED: Final = (
    SectorState.PC1_DONE,
    SectorState.PC2_DONE,
    SectorState.PERSISTED,
    SectorState.PRECOMMIT_SENT,
    SectorState.PRECOMMIT_LANDED,
    SectorState.SEED_ASSIGNED,
)
"""States of sectors whose C1 has yet to read their layers."""
ORDER_LASTS: Final = timedelta(minutes=10)
"""An order that its host has not carried out by then is withdrawn."""


class DrivesNotReset(Conflict):
    """The drives of a host stay as they are."""

    code = "drives_not_reset"

    def __init__(self, reason: str, *, field: str = "worker_id") -> None:
        super().__init__(reason, field=field)


@dataclass(frozen=True, slots=True)
class LostLayers:
    """Sectors whose layers may lie on a host's drives: the console does not know where each one's do."""

    labelling: tuple[Sector, ...]
    """In PC1: they begin it anew by themselves."""
    labelled: tuple[Sector, ...]
    """Their C1 will lack the layers: somebody sends them back to PC1."""

    @property
    def count(self) -> int:
        """Return how many they are."""
        return len(self.labelling) + len(self.labelled)


def drives_reset_plan(worker: Worker, *, now: datetime) -> LostLayers:
    """Return which sectors may lose layers if a host begins anew on its drives.  Raises DrivesNotReset."""
    if worker.hardware.get("batch_size") is None:
        raise DrivesNotReset(gettext("the host's file names no drives in [layers]"))
    if worker_is_away(worker, now=now):  # what it does meanwhile would be lost as well
        raise DrivesNotReset(gettext("the host is offline: what it labels meanwhile is not known"))
    if sectors_recovery() is not None:
        raise DrivesNotReset(
            gettext("sectors are being read back after a restore: wait until recovery is complete")
        )
    if worker.commands.filter(op=Operation.RESET_DRIVES, done_at=None).exists():
        raise DrivesNotReset(gettext("the host has yet to carry out the last order"))
    return _layers_lost(worker)


@transaction.atomic
def drives_reset(
    worker: Worker, *, by: Principal, now: datetime, count: int | None = None, reason: str = ""
) -> LostLayers:
    """Order a host to begin anew on its drives; all layers on them are lost.

    Raises DrivesNotReset, also if more than the `count` sectors that somebody has confirmed may lose layers.
    """
    Worker.objects.select_for_update(of=("self",), no_key=True).get(pk=worker.pk)
    lost = drives_reset_plan(worker, now=now)
    if count is not None and lost.count > count:
        raise DrivesNotReset(
            gettext("{sectors} may lose layers now, not {count}: review it and confirm again").format(
                sectors=plural(lost.count, "sector"), count=count
            ),
            field="sectors",
        )
    WorkerCommand.objects.create(worker=worker, op=Operation.RESET_DRIVES, actor=by.actor)
    names = [f"{one.miner} / {one.number}" for one in (*lost.labelling, *lost.labelled)]
    after = {"sectors": names} | ({"reason": reason} if reason else {})
    worker_audit(by, action="worker.reset_drives", worker=worker, after=after)
    publish(Change("worker", worker.pk, worker.tenant_id))
    return lost


def drives_orders_withdraw(orders: Iterable[WorkerCommand], *, now: datetime) -> set[int]:
    """Withdraw orders that are too old: what a host has labelled since is not lost.  Return their keys."""
    assert connection.in_atomic_block, "the orders are withdrawn before the host is told of any"
    withdrawn = {
        one.pk for one in orders if one.op == Operation.RESET_DRIVES and now - one.created_at > ORDER_LASTS
    }
    if withdrawn:
        WorkerCommand.objects.filter(pk__in=withdrawn).delete()
    return withdrawn


def _layers_lost(worker: Worker) -> LostLayers:
    """Return the sectors whose layers may lie on a host's drives."""
    over = (JobState.DONE, JobState.FAILED)
    sectors = Sector.objects.filter(job__sticky_worker=worker).exclude(job__state__in=over)
    sectors = sectors.select_related("miner").order_by("miner__actor_id", "number")
    return LostLayers(
        labelling=tuple(sectors.filter(job__stage=Stage.PC1)),
        labelled=tuple(one for one in sectors.filter(state__in=LABELLED) if _needs_layers(one)),
    )


def _needs_layers(sector: Sector) -> bool:
    """Return whether a labelled sector's C1 reads layers, instead of synthetic proofs made after PC2."""
    is_synthetic = seal_parameters(sector.seal_proof).rule is ChallengeRule.SYNTHETIC
    return not is_synthetic or sector.state == SectorState.PC1_DONE
