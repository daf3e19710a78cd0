"""A miner whose sectors are checked before a cut-off at epoch 960, and the host that checks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.core import clock
from apps.miners.models import Miner
from apps.proving.models import Deadline, FaultDeclaration
from apps.proving.services.check_results import checks_collect
from apps.proving.services.checks import checks_begin
from apps.proving.services.fault_declarations import declarations_advance, declarations_begin
from apps.sectors.models import Worker
from apps.sectors.services.jobs.reports import job_complete
from poolsite.wire.job_reports import BadSector, Complete
from poolsite.wire.jobs import Assignment, JobKind
from tests import factories
from tests.people import tenant
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import look, miner
from tests.unit.apps.sectors.sealing import claim

CUTOFF = 960
AHEAD, AGAIN = CUTOFF - 20, CUTOFF - 6
OPENS = CUTOFF + 15
KINDS = (JobKind.WINDOW_POST, JobKind.SECTOR_CHECK)


def waiting(numbers: Sequence[int] = (1, 2), *, faulty: Sequence[int] = (), **data: Any) -> Miner:
    """A miner with one deadline of one partition, of which the cut-off comes at 960."""
    of = miner(**data)
    Deadline.objects.all().delete()
    row = factories.deadline(of, live=len(numbers), open_epoch=OPENS, faulty=len(faulty))
    factories.partition(row, all_sectors=list(numbers), live=list(numbers), faulty=list(faulty))
    return of


def checker(name: str = "p", *, stores: Sequence[str] = ("store-1",)) -> Worker:
    """A prover that looks at sectors too."""
    return factories.worker(name, kinds=list(KINDS), stores=list(stores))


def looked(
    host: Worker,
    bad: Sequence[int] = (),
    *,
    height: int,
    chain: OneDeadline | None = None,
    elsewhere: str = "",
) -> set[int]:
    """A head: looks begin, the host does what it is given, and it is taken; gives what was asked of it."""
    context = look(chain or OneDeadline(), height)
    checks_begin(context)
    asked: set[int] = set()
    for job in claimed(host):
        assert job.sector_check is not None
        here = {sector.number for sector in job.sector_check.sectors}
        asked |= here
        found = tuple(
            BadSector(number=n, path=f"/s/{n}", reason="is missing", elsewhere=elsewhere)
            for n in bad
            if n in here
        )
        told = Complete(
            token=job.token, proof=b"", faults=tuple(one.number for one in found), bad=found, ms=7
        )
        job_complete(job.id, complete=told, tenant_id=tenant("alice").pk, now=clock.now())
    checks_collect(context)
    return asked


def claimed(host: Worker) -> Sequence[Assignment]:
    return claim(host, at=clock.now(), kinds=KINDS, stages={}, max=9)


def passed(height: int, chain: OneDeadline | None = None) -> list[str]:
    """A pass over the declarations; gives their states."""
    context = look(chain or OneDeadline(), height)
    declarations_begin(context)
    declarations_advance(context)
    return list(FaultDeclaration.objects.order_by("pk").values_list("state", flat=True))


def known_bad(host: Worker, bad: Sequence[int] = (2,)) -> None:
    """Sectors that two looks have found bad."""
    assert looked(host, bad, height=AHEAD)
    assert looked(host, bad, height=AGAIN) == set(bad)
