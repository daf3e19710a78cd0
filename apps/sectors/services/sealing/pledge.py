"""Asking for new sectors: numbers, rows and jobs in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from apps.chain.selectors.heads import head_current
from apps.core.disk import disk_require
from apps.core.formatting import plural_kept
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.messages.models import Recovery
from apps.messages.selectors.recovery import recovery_row
from apps.messages.services.recovery.detect import RECOVERY_CHANGE
from apps.miners.errors import MinerNotReady
from apps.miners.models import Miner
from apps.miners.services.ownership import miner_lock
from apps.miners.states import MinerState
from apps.sectors.errors.pledges import BadCount, KeyReused, PledgeUnsettled
from apps.sectors.models import Job, Pledge, Sector
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.pledge_outlook import pledge_obstacles
from apps.sectors.selectors.proof_forms import proof_form_here_require
from apps.sectors.selectors.restored import read_back_require, sectors_unpledged
from apps.sectors.services.numbers import numbers_allocate
from apps.sectors.states import CLIENTS_PRIORITY, JobState
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.tracing import span
from poolsite.tracing.subjects import of_jobs
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import NEXT_STAGE, SectorState


def pledge_create(
    miner: Miner,
    *,
    count: int,
    actor: str,
    now: datetime,
    allocated: Sequence[range] = (),
    key: str | None = None,
    by: Principal | None = None,
) -> Pledge:
    """Make `count` new sectors for `miner`; the same `key` again gives the same pledge.

    `allocated` are the numbers that the chain has allocated (`miners.onchain.numbers_allocated`).
    Raises MinerNotReady, BadCount, KeyReused, PledgeUnsettled, ProofFormMissing, DiskFull, and MinerUnknown
    if it went to another tenant this moment.
    """
    policy = sealing_policy()
    if miner.state != MinerState.ACTIVE:
        raise MinerNotReady(
            gettext("{miner} does not exist on the chain yet").format(miner=miner), field="miner"
        )
    proof_form_here_require()
    read_back_require(miner)
    if not 1 <= count <= policy.pledge_max:
        raise BadCount(gettext("must be from 1 to {limit}").format(limit=policy.pledge_max), field="count")
    earlier = _pledge_by_key(miner, count=count, key=key)
    if earlier is not None:
        return earlier
    disk_require()
    _end_require(miner, count=count, now=now)
    _settled_require(miner, key)
    try:
        with transaction.atomic():
            made = _pledge_write(miner, count=count, actor=actor, now=now, allocated=allocated, key=key)
            if by is not None:
                after = {"count": gettext("{count} sectors").format(count=count), "pledge": str(made.uuid)}
                audit_record(principal=by, action="sector.pledge", target=str(miner), after=after)
            return made
    except IntegrityError:  # the same key came twice at once: the other one has won
        other = _pledge_by_key(miner, count=count, key=key)
        if other is None:
            raise
        return other


def _pledge_by_key(miner: Miner, *, count: int, key: str | None) -> Pledge | None:
    pledge = Pledge.objects.filter(tenant_id=miner.tenant_id, key=key).first() if key else None
    if pledge is not None and (pledge.miner_id, pledge.count) != (miner.pk, count):
        raise KeyReused
    return pledge


def _end_require(miner: Miner, *, count: int, now: datetime) -> None:
    """Refuse sectors that nothing here can bring to their end.  Raises MinerNotReady."""
    for obstacle in pledge_obstacles(miner, count=count, now=now, network=None):
        if obstacle.is_final:
            raise MinerNotReady(obstacle.text, field="miner")


def _settled_require(miner: Miner, key: str | None) -> None:
    """Refuse a key that the database may have lost with the pledge that it made.  Raises PledgeUnsettled."""
    if not key:
        return
    unpledged = sectors_unpledged(recovery_row()).filter(miner=miner)
    numbers = list(unpledged.values_list("number", flat=True)[:6])
    if numbers:
        raise PledgeUnsettled(miner, numbers)


def pledges_settle(*, principal: Principal, now: datetime) -> None:
    """Note that no client repeats a pledge that the backup lacks: pledges with a key are taken again."""
    row = recovery_row()
    count = sectors_unpledged(row).count()
    with transaction.atomic():
        Recovery.objects.filter(pk=1).update(pledges_settled_at=now)
        after = {"unpledged": plural_kept(count, "sector")}
        audit_record(principal=principal, action="recovery.pledges", target="pool", after=after)
        publish(RECOVERY_CHANGE)


@transaction.atomic
def _pledge_write(
    miner: Miner, *, count: int, actor: str, now: datetime, allocated: Sequence[range], key: str | None
) -> Pledge:
    miner_lock(miner)
    pledge = Pledge.objects.create(
        tenant_id=miner.tenant_id, miner=miner, count=count, key=key or None, actor=actor
    )
    sectors_begin(miner, count=count, now=now, allocated=allocated, pledge=pledge)
    return pledge


def _prover_require(miner: Miner) -> None:
    """Refuse new sectors while another program proves a miner, or will: it does not have their files.

    A move in may still be cancelled before its height.  Raises MinerNotReady.
    """
    head = head_current()
    if miner.works_until is None and (head is None or miner.works_at(head.height + 1)):
        return
    raise MinerNotReady(
        gettext(
            "another program proves {miner}, or will: sectors can be pledged once the pool does, from the "
            "height set under Move in…"
        ).format(miner=miner),
        field="miner",
    )


@transaction.atomic
def sectors_begin(
    miner: Miner,
    *,
    count: int,
    now: datetime,
    allocated: Sequence[range],
    pledge: Pledge | None = None,
    pieces: Sequence[dict[str, Any]] = (),
) -> list[Sector]:
    """Write new sectors and their jobs; `pieces` is what each is to hold, nothing: zeros.

    Raises MinerUnknown, MinerNotReady, NumbersExhausted, NumbersElsewhere.
    """
    _prover_require(miner_lock(miner))
    proof = RegisteredSealProof(miner.seal_proof)
    if pieces:
        proof = proof.interactive  # a message without pre-commit brings no data to the chain
    sectors = Sector.objects.bulk_create(
        Sector(
            miner=miner,
            tenant_id=miner.tenant_id,
            number=number,
            pledge=pledge,
            without_pledge=pledge is None,
            pieces=list(pieces),
            seal_proof=int(proof),
            sector_size=miner.sector_size,
            stage_since=now,
        )
        for number in numbers_allocate(miner, count=count, now=now, allocated=allocated)
    )
    stage = NEXT_STAGE[SectorState.ALLOCATED].stage
    lease_s = sealing_policy().lease_s
    jobs = Job.objects.bulk_create(
        Job(
            kind=JobKind.SEAL,
            state=JobState.READY,
            miner=miner,
            sector=sector,
            stage=stage,
            priority=CLIENTS_PRIORITY if pieces else 0,
            lease_s=lease_s,
        )
        for sector in sectors
    )
    with span("sector begin", about=of_jobs(job.uuid for job in jobs), begins=True):
        for sector in sectors:
            publish(Change("sector", str(sector.uuid), miner.tenant_id))
    return sectors
