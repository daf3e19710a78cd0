"""What damocles-workers submit: commitments, the store of the files, the proof; and what became of it.

The console sends the messages as for its own hosts, in batches and again where one fails: a worker hears that
its submission is under way until it has landed, also while somebody has to decide here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.chain.selectors import head_current, network_current
from apps.sectors.errors import BadReport, NotThatFar
from apps.sectors.models import Sector, SectorProof, Store
from apps.sectors.params import comm_d_of
from apps.sectors.policy import sealing_policy
from apps.sectors.selectors.stores import provers_of_store
from apps.sectors.services.damocles.files import files_mended, files_wait, look_begin, stored_of
from apps.sectors.services.damocles.held import Held, damocles_told, held
from apps.sectors.services.jobs.reports import proof_check
from apps.sectors.services.sealing.advance import SectorsInProgress, seeds_assign, ticket_life
from apps.sectors.states import ENDED_SECTORS
from poolsite.wire.damocles import OnChainState, SubmitResult
from poolsite.wire.pipeline import NEXT_STAGE, SectorState, stage_rank

if TYPE_CHECKING:
    from datetime import datetime

    from apps.sectors.services.batches.context import SealingContext
    from apps.sectors.services.damocles.held import SectorName
    from apps.users.principals import Principal

SEED_AGAIN = "the seed has changed: resume the thread with --state PersistanceSubmitted"

Submitted = tuple[SubmitResult, str]
OnChainStatus = tuple[OnChainState, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreCommitted:
    """What a worker has made of a sector."""

    seal_proof: int
    comm_r: bytes
    comm_d: bytes
    ticket: bytes
    ticket_epoch: int


def damocles_precommit(
    principal: Principal, name: SectorName, *, made: PreCommitted, anew: bool, now: datetime
) -> Submitted:
    """Take a replica's commitments; the same again is accepted again.

    `anew` puts others in their place as long as no message has them.  Raises NotDamocles.
    """
    with held(principal, name, now=now) as one:
        sector = one.sector
        if sector.state in ENDED_SECTORS:
            return SubmitResult.REJECTED, gettext("the sector is {state}").format(state=sector.state.lower())
        one.lease()
        is_first = one.is_before(SectorState.PERSISTED)
        if not is_first and _is_same(sector, made):
            return SubmitResult.ACCEPTED, ""
        if not is_first and not (anew and sector.state == SectorState.PERSISTED):
            return SubmitResult.MISMATCHED, "different commitments were already submitted for this sector"
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
            one.note("REPLACED", "its worker has submitted different commitments")
        return SubmitResult.ACCEPTED, ""


def _is_same(sector: Sector, made: PreCommitted) -> bool:
    """Return whether a sector was pre-committed with these very things."""
    given = (made.comm_r, made.comm_d, made.ticket, made.ticket_epoch)
    known = (sector.comm_r, sector.comm_d, sector.ticket)
    return (*(bytes(one or b"") for one in known), sector.ticket_epoch) == given


def _precommit_refusal(one: Held, made: PreCommitted) -> Submitted | None:
    """Return why commitments are not taken; a sector whose thread had stopped goes on.  Raises NotThatFar."""
    sector = one.sector
    if sector.paused_at is not None and not one.told.is_failed_there:
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
    return head is not None and epoch <= head.height - ticket_life(sector, network_current())


def precommit_status(principal: Principal, name: SectorName, *, now: datetime) -> OnChainStatus:
    """Return where a sector's pre-commit is.  Raises NotDamocles.

    One that went back behind its submission is to be submitted again: only then what the worker has is
    compared with what the sector is now, and it gives up only what the chain takes no more.
    """
    sector, _ = damocles_told(principal, name, now=now)
    if sector.state in ENDED_SECTORS:
        return OnChainState.SHOULD_ABORT, gettext("the sector is {state}").format(state=sector.state.lower())
    if not _is_before(sector, SectorState.PRECOMMIT_LANDED):
        return OnChainState.LANDED, ""
    if _is_before(sector, SectorState.PERSISTED):
        if sector.comm_r is None:
            return OnChainState.NOT_FOUND, "no pre-commit was submitted"
        if sector.paused_at is not None:
            return OnChainState.PENDING, sector.error
        return OnChainState.FAILED, gettext(
            "the sector went back to {state}: submit the pre-commit again"
        ).format(state=sector.state)
    sent = sector.state == SectorState.PRECOMMIT_SENT
    return OnChainState.PACKED if sent else OnChainState.PENDING, sector.error


def damocles_stored(principal: Principal, name: SectorName, *, store_name: str, now: datetime) -> bool:
    """Note in which store a worker has put a sector's files; False for a store that is not known.

    A prover looks at them there: until it has found them whole nothing is committed.
    Raises NotDamocles, NotThatFar.
    """
    store = Store.objects.filter(tenant_id=principal.own_id, name=store_name).first()
    if store is None:
        return False
    with held(principal, name, now=now) as one:
        one.go_on()
        files_mended(one)
        sector = one.sector
        if one.is_before(SectorState.PERSISTED):
            raise NotThatFar(
                gettext("{name} is {state}: its commitments were not submitted").format(
                    name=name, state=sector.state
                )
            )
        if sector.store == store.name:
            return True
        if sector.store and not one.is_before(SectorState.COMMIT_LANDED):
            raise NotThatFar(
                gettext("{name} is proven from store {store}: use a store move to change that").format(
                    name=name, store=sector.store
                )
            )
        if not provers_of_store(store, now=now):
            raise NotThatFar(
                gettext("no online prover can read store {store}: attach it to one first").format(
                    store=store.name
                )
            )
        Sector.objects.filter(pk=sector.pk).update(store=store.name, updated_at=now)
        sector.store = store.name
        one.told.reserved_store, one.told.reserved_bytes = "", 0
        one.note("STORED", gettext("in store {store}").format(store=store.name))
        look_begin(one.told, stored_of(sector), now=now)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedAnswer:
    """A sector's seed, or in how many epochs to ask for it again."""

    seed: bytes = b""
    epoch: int = 0
    wait_epochs: int = 0


def damocles_seed(principal: Principal, name: SectorName, *, work: SealingContext) -> SeedAnswer:
    """Return a sector's seed, or how long it takes; none before a prover has seen the sector's files.

    Raises NotDamocles, NotThatFar.
    """
    with held(principal, name, now=work.now) as one:
        one.go_on()
        sector = one.sector
        if sector.state in ENDED_SECTORS or one.is_before(SectorState.PRECOMMIT_LANDED):
            raise NotThatFar(
                gettext("{name} is {state}: its pre-commit has not landed").format(
                    name=name, state=sector.state
                )
            )
    if sector.state == SectorState.PRECOMMIT_LANDED and sector.paused_at is None:
        seeds_assign(
            SectorsInProgress([sector]),
            client=work.client,
            network=work.network,
            head=work.head,
            now=work.now,
        )
    with held(principal, name, now=work.now) as one:
        if one.sector.store and files_wait(one):
            return SeedAnswer(wait_epochs=1)
        sector = one.sector
        if sector.seed is None or sector.seed_epoch is None:
            wait = work.network.pre_commit_challenge_delay + work.network.confidences.seed
            due = (sector.precommit_epoch or work.head.height) + wait
            return SeedAnswer(wait_epochs=max(due - work.head.height, 1))
        one.told.seed_epoch = sector.seed_epoch
        one.lease()
        return SeedAnswer(seed=bytes(sector.seed), epoch=sector.seed_epoch)


def damocles_proof(
    principal: Principal, name: SectorName, *, proof: bytes, anew: bool, now: datetime
) -> Submitted:
    """Take a sector's proof; the same again is accepted again.

    Raises NotDamocles, NotThatFar.
    """
    if not 0 < len(proof) <= sealing_policy().proof_max_bytes:
        return SubmitResult.MISMATCHED, "the proof is empty or too long"
    with held(principal, name, now=now) as one:
        sector = one.sector
        if sector.state in ENDED_SECTORS:
            return SubmitResult.REJECTED, gettext("the sector is {state}").format(state=sector.state.lower())
        one.lease()
        if one.is_before(SectorState.C2_DONE):
            taken = _proof_first(one, proof)
        else:
            taken = _proof_again(one, proof, anew=anew)
    if isinstance(taken, str):  # after the transaction: what was found out about the files stays
        raise NotThatFar(taken)
    return taken


def _proof_again(one: Held, proof: bytes, *, anew: bool) -> Submitted:
    """Compare a proof with the one that was submitted, or put it in its place."""
    sector = one.sector
    known = SectorProof.objects.filter(sector=sector).first()
    if known is not None and bytes(known.proof) == proof:
        return SubmitResult.ACCEPTED, ""
    if not anew or sector.state != SectorState.C2_DONE:
        return SubmitResult.MISMATCHED, "a different proof was already submitted for this sector"
    return _proof_take(sector, proof)


def _proof_first(one: Held, proof: bytes) -> Submitted | str:
    """Accept the first proof for a seed; return for what it has to wait.  Raises NotThatFar."""
    if one.is_before(SectorState.SEED_ASSIGNED) or one.told.seed_epoch != one.sector.seed_epoch:
        return SubmitResult.MISMATCHED, SEED_AGAIN
    one.go_on()
    waits = files_wait(one)
    if waits or one.sector.paused_at is not None:
        return gettext("sector {number} is waiting: {waits}").format(
            number=one.sector.number, waits=waits or one.sector.error
        )
    taken = _proof_take(one.sector, proof)
    if taken[0] is SubmitResult.ACCEPTED and not one.forward(SectorState.C2_DONE):
        raise NotThatFar(
            gettext("sector {number} is {state}: waiting for the console's step").format(
                number=one.sector.number, state=one.sector.state
            )
        )
    return taken


def _proof_take(sector: Sector, proof: bytes) -> Submitted:
    """Check a proof where that can be done here, and store it."""
    try:
        proof_check(sector, proof)
    except BadReport as bad:
        return SubmitResult.MISMATCHED, bad.reason
    columns = {"proof": proof, "seed_epoch": sector.seed_epoch or 0}
    SectorProof.objects.update_or_create(sector=sector, defaults=columns)
    return SubmitResult.ACCEPTED, ""


def proof_status(principal: Principal, name: SectorName, *, now: datetime) -> OnChainStatus:
    """Return where a sector's commit is.  Raises NotDamocles."""
    sector, told = damocles_told(principal, name, now=now)
    if sector.state in ENDED_SECTORS:
        return OnChainState.SHOULD_ABORT, gettext("the sector is {state}").format(state=sector.state.lower())
    if not _is_before(sector, SectorState.COMMIT_LANDED):
        return OnChainState.LANDED, ""
    if _is_before(sector, SectorState.C2_DONE):
        known = SectorProof.objects.filter(sector=sector).first()
        if told.seed_epoch is None or known is None:
            return OnChainState.NOT_FOUND, "no proof was submitted"
        if told.seed_epoch != sector.seed_epoch:
            return OnChainState.PERM_FAILED, SEED_AGAIN
        if sector.paused_at is not None:
            return OnChainState.PENDING, sector.error
        return OnChainState.FAILED, gettext("the sector went back to {state}: submit the proof again").format(
            state=sector.state
        )
    sent = sector.state == SectorState.COMMIT_SENT
    return OnChainState.PACKED if sent else OnChainState.PENDING, sector.error


def _is_before(sector: Sector, state: str) -> bool:
    """Return whether a sector has not come to a state yet."""
    return stage_rank(sector.stage) < stage_rank(NEXT_STAGE[state].stage)
