"""Commitments that damocles-workers submit, and where the pre-commit is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core.marked_texts import gettext
from apps.damocles.errors import NotThatFar
from apps.damocles.reasons import RESUBMITTED
from apps.damocles.services.sector_locks import (
    LockedSector,
    SectorName,
    damocles_sector_lock,
    damocles_sector_read,
)
from apps.damocles.services.submissions import OnChainStatus, Submitted, is_before
from apps.sectors.models import Sector
from apps.sectors.rules.params import comm_d_of
from apps.sectors.services.sealing.tickets import ticket_lifetime_read
from apps.sectors.states import ENDED_SECTORS
from apps.users.rules.principals import Principal
from poolsite.wire.damocles import OnChainState, SubmitResult
from poolsite.wire.pipeline import SectorState


@dataclass(frozen=True, slots=True, kw_only=True)
class PreCommitted:
    """What a worker has made of a sector."""

    seal_proof: int
    comm_r: bytes
    comm_d: bytes
    ticket: bytes
    ticket_epoch: int


def damocles_precommit_submit(
    principal: Principal, *, name: SectorName, made: PreCommitted, anew: bool, now: datetime
) -> Submitted:
    """Store the commitments of a sector's replica; the same ones again are accepted again.

    `anew` replaces those that were stored, as long as no message has them.  Raises NotDamocles.
    """
    with damocles_sector_lock(principal, name=name, now=now) as one:
        sector = one.sector
        if sector.state in ENDED_SECTORS:
            return SubmitResult.REJECTED, gettext("the sector is {state}").format(state=sector.state.lower())
        one.lease()
        is_first = one.is_before(SectorState.PERSISTED)
        if not is_first and _is_same(sector, made):
            return SubmitResult.ACCEPTED, ""
        if not is_first and not (anew and sector.state == SectorState.PERSISTED):
            return SubmitResult.MISMATCHED, gettext(
                "different commitments were already submitted for this sector"
            )
        refusal = _precommit_refusal(one, made)
        if refusal is not None:
            return refusal
        columns = {"comm_d": made.comm_d, "comm_r": made.comm_r}
        if is_first:
            if not one.forward(SectorState.PERSISTED, **columns, store=""):
                raise NotThatFar(
                    gettext("{name} is {state}: waiting for the console's step").format(
                        name=name, state=one.sector.state
                    )
                )
        else:
            Sector.objects.filter(pk=sector.pk).update(**columns, updated_at=now)
            one.note("REPLACED", RESUBMITTED())
        return SubmitResult.ACCEPTED, ""


def _is_same(sector: Sector, made: PreCommitted) -> bool:
    """Return whether a sector was pre-committed with these very things."""
    submitted = (made.comm_r, made.comm_d, made.ticket, made.ticket_epoch)
    known = (sector.comm_r, sector.comm_d, sector.ticket)
    return (*(bytes(one or b"") for one in known), sector.ticket_epoch) == submitted


def _precommit_refusal(one: LockedSector, made: PreCommitted) -> Submitted | None:
    """Return why commitments are not taken; a sector whose thread had stopped goes on.  Raises NotThatFar."""
    sector = one.sector
    if sector.paused_at is not None and not one.record.is_failed_there:
        raise NotThatFar(gettext("the sector is waiting: {error}").format(error=sector.error))
    if made.seal_proof != sector.seal_proof:
        return SubmitResult.MISMATCHED, gettext("the sector's proof type is {seal_proof}").format(
            seal_proof=sector.seal_proof
        )
    if made.comm_d != comm_d_of(sector):
        return SubmitResult.MISMATCHED, "the commitment does not match the sector's pieces"
    if (bytes(sector.ticket or b""), sector.ticket_epoch) != (made.ticket, made.ticket_epoch):
        # On a rejection the worker wipes its files: only those that the chain never takes.
        if _is_stale(sector, made.ticket_epoch):
            return (
                SubmitResult.REJECTED,
                "the ticket does not match the sector's: it was too old for the chain",
            )
        return SubmitResult.MISMATCHED, "the ticket does not match the sector's"
    if sector.paused_at is not None:
        one.go_on()
    return None


def _is_stale(sector: Sector, epoch: int) -> bool:
    """Return whether the chain takes no pre-commit with a ticket of an epoch any more."""
    head = head_current()
    return head is not None and epoch <= head.height - ticket_lifetime_read(sector, network=network_current())


def precommit_status_read(principal: Principal, *, name: SectorName, now: datetime) -> OnChainStatus:
    """Return where a sector's pre-commit is.  Raises NotDamocles.

    One that went back behind its submission is to be submitted again: only then what the worker has is
    compared with what the sector is now, and it gives up only what the chain takes no more.
    """
    sector, _ = damocles_sector_read(principal, name=name, now=now)
    if sector.state in ENDED_SECTORS:
        return OnChainState.SHOULD_ABORT, gettext("the sector is {state}").format(state=sector.state.lower())
    if not is_before(sector, state=SectorState.PRECOMMIT_LANDED):
        return OnChainState.LANDED, ""
    if is_before(sector, state=SectorState.PERSISTED):
        if sector.comm_r is None:
            return OnChainState.NOT_FOUND, "no pre-commit was submitted"
        if sector.paused_at is not None:
            return OnChainState.PENDING, sector.error
        return OnChainState.FAILED, gettext(
            "the sector went back to {state}: submit the pre-commit again"
        ).format(state=sector.state)
    sent = sector.state == SectorState.PRECOMMIT_SENT
    return OnChainState.PACKED if sent else OnChainState.PENDING, sector.error
