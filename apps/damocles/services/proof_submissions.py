"""Proofs that damocles-workers submit, and where the commit is."""

from __future__ import annotations

from datetime import datetime

from apps.core.marked_texts import gettext
from apps.damocles.errors import NotThatFar
from apps.damocles.services.files import files_wait
from apps.damocles.services.sector_locks import (
    LockedSector,
    SectorName,
    damocles_sector_lock,
    damocles_sector_read,
)
from apps.damocles.services.seeds import SEED_AGAIN
from apps.damocles.services.submissions import OnChainStatus, Submitted, is_before
from apps.sectors.errors.jobs import BadReport
from apps.sectors.models import Sector, SectorProof
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.services.jobs.stage_events import proof_check
from apps.sectors.states import ENDED_SECTORS
from apps.users.rules.principals import Principal
from poolsite.wire.damocles import OnChainState, SubmitResult
from poolsite.wire.pipeline import SectorState


def damocles_proof_submit(
    principal: Principal, *, name: SectorName, proof: bytes, anew: bool, now: datetime
) -> Submitted:
    """Store a sector's proof of replication; the same one again is accepted again.

    Raises NotDamocles, NotThatFar.
    """
    if not 0 < len(proof) <= sealing_policy().proof_max_bytes:
        return SubmitResult.MISMATCHED, gettext("the proof is empty or too long")
    with damocles_sector_lock(principal, name=name, now=now) as one:
        sector = one.sector
        if sector.state in ENDED_SECTORS:
            return SubmitResult.REJECTED, gettext("the sector is {state}").format(state=sector.state.lower())
        one.lease()
        if one.is_before(SectorState.C2_DONE):
            result = _proof_first(one, proof)
        else:
            result = _proof_again(one, proof, anew=anew)
    if isinstance(result, str):  # raised after the transaction: findings about the files stay
        raise NotThatFar(result)
    return result


def _proof_again(one: LockedSector, proof: bytes, *, anew: bool) -> Submitted:
    """Compare a proof with the one that was submitted, or put it in its place."""
    sector = one.sector
    known = SectorProof.objects.filter(sector=sector).first()
    if known is not None and bytes(known.proof) == proof:
        return SubmitResult.ACCEPTED, ""
    if not anew or sector.state != SectorState.C2_DONE:
        return SubmitResult.MISMATCHED, gettext("a different proof was already submitted for this sector")
    return _proof_take(sector, proof)


def _proof_first(one: LockedSector, proof: bytes) -> Submitted | str:
    """Accept the first proof for a seed; return for what it has to wait.  Raises NotThatFar."""
    if one.is_before(SectorState.SEED_ASSIGNED) or one.record.seed_epoch != one.sector.seed_epoch:
        return SubmitResult.MISMATCHED, SEED_AGAIN
    one.go_on()
    waits = files_wait(one)
    if waits or one.sector.paused_at is not None:
        return gettext("sector {number} is waiting: {waits}").format(
            number=one.sector.number, waits=waits or one.sector.error
        )
    result = _proof_take(one.sector, proof)
    if result[0] is SubmitResult.ACCEPTED and not one.forward(SectorState.C2_DONE):
        raise NotThatFar(
            gettext("sector {number} is {state}: waiting for the console's step").format(
                number=one.sector.number, state=one.sector.state
            )
        )
    return result


def _proof_take(sector: Sector, proof: bytes) -> Submitted:
    """Check a proof where that can be done here, and store it."""
    try:
        proof_check(sector, proof=proof)
    except BadReport as bad:
        return SubmitResult.MISMATCHED, bad.reason
    columns = {"proof": proof, "seed_epoch": sector.seed_epoch or 0}
    SectorProof.objects.update_or_create(sector=sector, defaults=columns)
    return SubmitResult.ACCEPTED, ""


def proof_status_read(principal: Principal, *, name: SectorName, now: datetime) -> OnChainStatus:
    """Return where a sector's commit is.  Raises NotDamocles."""
    sector, record = damocles_sector_read(principal, name=name, now=now)
    if sector.state in ENDED_SECTORS:
        return OnChainState.SHOULD_ABORT, gettext("the sector is {state}").format(state=sector.state.lower())
    if not is_before(sector, state=SectorState.COMMIT_LANDED):
        return OnChainState.LANDED, ""
    if is_before(sector, state=SectorState.C2_DONE):
        known = SectorProof.objects.filter(sector=sector).first()
        if record.seed_epoch is None or known is None:
            return OnChainState.NOT_FOUND, "no proof was submitted"
        if record.seed_epoch != sector.seed_epoch:
            return OnChainState.PERM_FAILED, SEED_AGAIN
        if sector.paused_at is not None:
            return OnChainState.PENDING, sector.error
        return OnChainState.FAILED, gettext("the sector went back to {state}: submit the proof again").format(
            state=sector.state
        )
    sent = sector.state == SectorState.COMMIT_SENT
    return OnChainState.PACKED if sent else OnChainState.PENDING, sector.error
