"""Batches: which sectors go to the chain together, when, and what became of their message.

Each sector is tried alone on the present state first, so that one that the chain would refuse cannot
spoil the message of the others.  A batch is closed in one transaction with its message made; pushing
it may happen any number of times, since the message's id is the batch's.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.db import transaction
from django.db.models import Q

from apps.chain.apart import each_apart
from apps.chain.errors import NodeRefused
from apps.core.errors import Conflict, DomainError
from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.messages.selectors import messages_by_ids
from apps.messages.services import message_push
from apps.messages.states import MessageState
from apps.miners.selectors import miner_principal, sender_choose
from apps.miners.states import Use
from apps.sectors.models import Batch, Sector
from apps.sectors.onchain import (
    OnPreCommit,
    Trial,
    deposits_read,
    messages_try,
    pledge_read,
    precommits_read,
    trial_message,
)
from apps.sectors.params import (
    Proven,
    commit_params,
    expiration_choose,
    precommit_info,
    precommit_json,
    precommit_params,
)
from apps.sectors.policy import SealingPolicy, pause_after, sealing_policy
from apps.sectors.services.advance import Underway, by_miner, commit_landed, precommit_landed, step_console
from apps.sectors.services.steps import console_failure, job_locked, sector_step
from apps.sectors.services.strays import expired_pause, strays_found, strays_watch
from apps.sectors.states import BatchKind, BatchState
from poolsite.filecoin.actors import miner as miner_params
from poolsite.filecoin.actors.exitcodes import exit_code_words
from poolsite.wire.jobs import Level
from poolsite.wire.pipeline import FINAL_STATES, SectorEvent, SectorState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from apps.chain.client import ChainClient
    from apps.chain.models import Head
    from apps.messages.models import Message
    from apps.miners.models import Miner
    from poolsite.filecoin.policy import Network

log = structlog.get_logger(__name__)

RETRYABLE_EXITS: Final = frozenset({-1, 2, 6, 7, 19})
"""No answer, sender's state, out of funds, out of gas: the sector itself is not to blame.
Source: damocles commitmgr pollPreCommitState."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one pass over the batches works with."""

    client: ChainClient
    network: Network
    head: Head
    now: datetime
    policy: SealingPolicy


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of batch: its states, message and rules."""

    kind: BatchKind
    use: Use
    waits_in: SectorState
    sent_in: SectorState
    send: SectorEvent
    fail: SectorEvent
    method: int
    column: str
    """The sector's reference to its batch."""


PRE_COMMIT: Final = Kind(
    kind=BatchKind.PRE_COMMIT,
    use=Use.PRE_COMMIT,
    waits_in=SectorState.PERSISTED,
    sent_in=SectorState.PRECOMMIT_SENT,
    send=SectorEvent.SEND_PRECOMMIT,
    fail=SectorEvent.FAIL_PRECOMMIT,
    method=miner_params.Method.PRE_COMMIT_SECTOR_BATCH2,
    column="precommit_batch",
)
COMMIT: Final = Kind(
    kind=BatchKind.COMMIT,
    use=Use.COMMIT,
    waits_in=SectorState.C2_DONE,
    sent_in=SectorState.COMMIT_SENT,
    send=SectorEvent.SEND_COMMIT,
    fail=SectorEvent.FAIL_COMMIT,
    method=miner_params.Method.PROVE_COMMIT_SECTORS3,
    column="commit_batch",
)
KINDS: Final = {BatchKind.PRE_COMMIT: PRE_COMMIT, BatchKind.COMMIT: COMMIT}


@dataclass(frozen=True, slots=True)
class Part:
    """What one sector brings to a batch's message."""

    sector: Sector
    value: int
    """attoFIL for its deposit or pledge."""
    info: miner_params.SectorPreCommitInfo | None = None
    proof: bytes = b""


def batches_close(work: Round) -> int:
    """Close every batch that is due, and give how many were."""
    closed: list[bool] = []
    each_apart(
        Underway.read().each_miner(),
        lambda underway: closed.extend(_close_due(underway, work)),
        event="batches_not_closed",
    )
    return sum(closed)


def _close_due(underway: Underway, work: Round) -> Iterator[bool]:
    """Close one miner's batches that are due."""
    for kind in (PRE_COMMIT, COMMIT):
        for miner, sectors in by_miner(underway.sectors_in(kind.waits_in)).items():
            _waits_note(sectors, height=work.head.height)
            due = [sector for sector in sectors if sector.not_before is None or sector.not_before <= work.now]
            chosen, reason = batch_choose(due, kind=kind, work=work)
            chosen = strays_found(miner, chosen, client=work.client, key=work.head.key, now=work.now)
            if chosen:
                yield _close(miner, chosen, kind=kind, reason=reason, work=work)


def _waits_note(sectors: Sequence[Sector], *, height: int) -> None:
    """Remember the head at which a sector began to wait; its batch's age is counted from there."""
    for sector in sectors:
        if sector.ready_height is None:
            sector.ready_height = height
            Sector.objects.filter(pk=sector.pk, ready_height=None).update(ready_height=height)


def batch_choose(sectors: Sequence[Sector], *, kind: Kind, work: Round) -> tuple[list[Sector], str]:
    """Choose the sectors that go now, and say why; none if the batch shall wait."""
    if not sectors:
        return [], ""
    policy, height = work.policy, work.head.height
    most = policy.precommit_batch_max if kind is PRE_COMMIT else policy.commit_batch_max
    if kind is PRE_COMMIT:
        most = min(most, work.network.pre_commit_batch_max)
    first = sorted(sectors, key=lambda sector: (sector.ready_height or 0, sector.pk))[:most]
    oldest = first[0].ready_height or height
    wait = policy.precommit_wait_epochs if kind is PRE_COMMIT else policy.commit_wait_epochs
    if _is_due(first, kind=kind, work=work):
        return first, "due"
    if policy.base_fee_max and int(work.head.base_fee) > policy.base_fee_max:
        return [], ""
    if len(first) == most:
        return first, "full"
    if height - oldest >= wait:
        return first, "waited"
    if len(first) == 1 and not _others_come(first[0], kind=kind):
        return first, "lone"
    return [], ""


def _is_due(sectors: Sequence[Sector], *, kind: Kind, work: Round) -> bool:
    slack = work.policy.precommit_slack_epochs
    if kind is PRE_COMMIT:
        life = work.network.max_precommit_randomness_lookback
        ends = [(sector.ticket_epoch or 0) + life for sector in sectors]
    else:
        life = work.network.max_prove_commit_duration
        ends = [(sector.precommit_epoch or 0) + life for sector in sectors]
    return min(ends) - work.head.height <= slack


def _others_come(sector: Sector, *, kind: Kind) -> bool:
    """Tell whether another sector of this miner is on its way to the same batch."""
    order = list(SectorState)
    before = order[: order.index(kind.waits_in) + 1]
    return (
        Sector.objects.filter(miner=sector.miner, state__in=before, paused_at=None)
        .exclude(pk=sector.pk)
        .exclude(state__in=FINAL_STATES)
        .exists()
    )


def _close(miner: Miner, sectors: Sequence[Sector], *, kind: Kind, reason: str, work: Round) -> bool:
    """Try each sector alone, then write the batch with those that the chain would take."""
    sender = sender_choose(miner, kind.use).address
    make = _precommit_parts if kind is PRE_COMMIT else _commit_parts
    try:
        parts = make(miner, sectors, work)
    except NodeRefused as refusal:
        _all_again(sectors, error=f"the node refuses: {refusal.reason}", work=work)
        return False
    messages = [
        trial_message(
            to=miner.address,
            from_=sender,
            value=part.value,
            method=kind.method,
            params=_params(kind, [part], all_or_none=True),
        )
        for part in parts
    ]
    trials = messages_try(work.client, messages, work.head.key)
    good = [part for part, trial in zip(parts, trials, strict=True) if trial.is_good]
    for part, trial in zip(parts, trials, strict=True):
        if not trial.is_good:
            _refused(part.sector, trial, kind=kind, work=work)
    good = _fitting(good, kind=kind, policy=work.policy)
    return bool(good) and _write(miner, good, kind=kind, sender=sender, reason=reason, work=work)


def _precommit_parts(miner: Miner, sectors: Sequence[Sector], work: Round) -> list[Part]:
    expiration = expiration_choose(
        height=work.head.height, wished=work.policy.sector_life_epochs, network=work.network
    )
    infos = [precommit_info(sector, expiration=expiration) for sector in sectors]
    deposits = [0] * len(infos)
    if work.policy.send_funds:
        forms = [precommit_json(info) for info in infos]
        deposits = deposits_read(work.client, miner.address, forms, work.head.key)
    return [
        Part(sector=sector, value=value, info=info)
        for sector, value, info in zip(sectors, deposits, infos, strict=True)
    ]


def _commit_parts(miner: Miner, sectors: Sequence[Sector], work: Round) -> list[Part]:
    found = precommits_read(work.client, miner.address, [sector.number for sector in sectors], work.head.key)
    parts = []
    for sector in Sector.objects.select_related("miner", "final_proof").filter(
        pk__in=[sector.pk for sector in sectors]
    ):
        there = found[sector.number]
        if there is None:  # the watch of pre-commits sets the sector back, or finds it proven
            continue
        if sector.final_proof.seed_epoch != sector.seed_epoch:
            step_console(sector, SectorEvent.RESEED, now=work.now, note="the proof is for another seed")
            continue
        value = _pledge_missing(sector, there, work) if work.policy.send_funds else 0
        parts.append(Part(sector=sector, value=value, proof=bytes(sector.final_proof.proof)))
    return parts


def _pledge_missing(sector: Sector, there: OnPreCommit, work: Round) -> int:
    """Give what the pledge asks above the deposit, with a margin: it grows until the message lands."""
    life = expiration_choose(
        height=work.head.height, wished=work.policy.sector_life_epochs, network=work.network
    )
    pledge = pledge_read(
        work.client, duration=life - work.head.height, sector_size=sector.sector_size, key=work.head.key
    )
    return max(pledge * (100 + work.policy.funds_margin_percent) // 100 - there.deposit, 0)


def _params(kind: Kind, parts: Sequence[Part], *, all_or_none: bool) -> bytes:
    if kind is PRE_COMMIT:
        return precommit_params([part.info for part in parts if part.info is not None])
    proven = [Proven(number=part.sector.number, proof=part.proof) for part in parts]
    return commit_params(proven, all_or_none=all_or_none)


def _fitting(parts: list[Part], *, kind: Kind, policy: SealingPolicy) -> list[Part]:
    """Keep as many as one message holds; the others go with the next."""
    if kind is PRE_COMMIT:
        return parts
    kept: list[Part] = []
    total = 0
    for part in parts:
        total += len(part.proof)
        if kept and total > policy.commit_batch_bytes:
            break
        kept.append(part)
    return kept


def _refused(sector: Sector, trial: Trial, *, kind: Kind, work: Round) -> None:
    """Keep a sector that the chain would refuse out of the batch: again later, or wait for somebody."""
    error = f"the chain would refuse the {kind.kind.label.lower()}: {trial.error}"
    if trial.exit_code in RETRYABLE_EXITS:
        _all_again([sector], error=error, work=work)
    elif sector.attempts < work.policy.attempts_max - 1:
        # A state that is one epoch old may be to blame: "too early", a reorganisation.
        _all_again([sector], error=error, work=work)
    else:
        console_failure(sector, error=error, level=Level.PERMANENT, now=work.now)


def _all_again(sectors: Sequence[Sector], *, error: str, work: Round) -> None:
    for sector in sectors:
        pause_s = min(pause_after(sector.attempts + 1, work.policy), work.policy.pause_max_s)
        not_before = work.now + timedelta(seconds=pause_s)
        console_failure(sector, error=error, level=Level.TEMPORARY, now=work.now, not_before=not_before)


def _write(miner: Miner, parts: Sequence[Part], *, kind: Kind, sender: str, reason: str, work: Round) -> bool:
    """Write the batch and move its sectors, all that are still where we saw them; then hand it over."""
    name = uuid.uuid4()
    with transaction.atomic():
        kept: list[tuple[Part, Sector]] = []
        locked = []
        for part in sorted(parts, key=lambda one: one.sector.pk):  # one order for all: no deadlock
            job, fresh = job_locked(part.sector.pk)
            if fresh.state == kind.waits_in and fresh.paused_at is None:
                kept.append((part, fresh))
                locked.append(job)
        if not kept:
            return False
        chosen = [part for part, _ in kept]
        batch = Batch.objects.create(
            uuid=name,
            miner=miner,
            kind=kind.kind,
            message_id=f"{kind.kind}:{name}",
            closed_height=work.head.height,
            reason=reason,
            sender=sender,
            method=kind.method,
            params=_params(kind, chosen, all_or_none=len(chosen) == 1),
            value=sum(part.value for part in chosen),
        )
        reference: dict[str, Any] = {kind.column: batch}
        for (_, sector), job in zip(kept, locked, strict=True):
            sector_step(sector, kind.send, job=job, now=work.now, actor="console", **reference)
        publish(Change("batch", batch.pk, miner.tenant_id))
    batch_push(batch, network=work.network)
    return True


def last_epoch(batch: Batch, *, network: Network) -> int:
    """Give the last epoch at which the chain takes a batch's message; 0 if it has no sectors any more."""
    if batch.kind == BatchKind.PRE_COMMIT:
        life, since = network.max_precommit_randomness_lookback, batch.precommits.all()
        begins = since.values_list("ticket_epoch", flat=True)
    else:
        life, since = network.max_prove_commit_duration, batch.commits.all()
        begins = since.values_list("precommit_epoch", flat=True)
    return min((begin + life for begin in begins if begin is not None), default=0)


def batch_push(batch: Batch, *, network: Network) -> bool:
    """Hand a batch's message over; harmless to repeat.  False if the messager does not take it now.

    What got no nonce while the chain would take it is given up by the messager: the sectors go on then.
    """
    try:
        message_push(
            principal=miner_principal(batch.miner),
            id=batch.message_id,
            to=batch.miner.address,
            from_=batch.sender,
            value=batch.value,
            method=batch.method,
            params=bytes(batch.params),
            kind=batch.kind,
            expire_epoch=last_epoch(batch, network=network),
        )
    except DomainError as error:
        log.warning("batch_not_pushed", batch=str(batch.uuid), reason=error.reason)
        Batch.objects.filter(pk=batch.pk).update(error=error.reason)
        return False
    _sent(batch)
    return True


def _sent(batch: Batch) -> None:
    try:
        advance(batch, "SEND", error="")
    except Conflict:  # another task handed it over too and was faster
        batch.refresh_from_db()
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


def batches_watch(work: Round) -> None:
    """Push what was not pushed, and follow the messages of all batches that can still change."""
    young = work.head.height - work.network.chain_finality
    rows = list(Batch.objects.select_related("miner__tenant").filter(state=BatchState.CLOSED).order_by("pk"))
    each_apart(rows, lambda batch: _hand_over(batch, work), event="batch_not_pushed")
    # A landed batch is looked at again while the chain can take it back, and when the check of
    # pre-commits has sent a sector back to wait for it.
    back = Q(precommits__state=SectorState.PRECOMMIT_SENT) | Q(commits__state=SectorState.COMMIT_SENT)
    watched = Q(state=BatchState.SENT) | Q(state=BatchState.LANDED) & (Q(landed_height__gte=young) | back)
    rows = list(Batch.objects.select_related("miner__tenant").filter(watched).distinct().order_by("pk"))
    messages = messages_by_ids([batch.message_id for batch in rows])
    there = [batch for batch in rows if batch.message_id in messages]
    each_apart(
        there, lambda batch: _follow(batch, messages[batch.message_id], work), event="batch_not_followed"
    )
    strays_watch(client=work.client, key=work.head.key, now=work.now)


def _hand_over(batch: Batch, work: Round) -> None:
    """Push a closed batch; what has become too old before anybody pushed it fails instead."""
    if messages_by_ids([batch.message_id]):  # a kill came between push and note
        _sent(batch)
    elif last_epoch(batch, network=work.network) < work.head.height:
        _fail(batch, error="too old before it was sent", exit_code=None, work=work)
    else:
        batch_push(batch, network=work.network)


def _follow(batch: Batch, message: Message, work: Round) -> None:
    if batch.state == BatchState.LANDED:
        if message.state != MessageState.LANDED:
            _reverted(batch, work)
        else:
            _look_again(batch, work)
        return
    if message.state in (MessageState.FAILED, MessageState.REPLACED):
        words = message.error or f"the message was {message.state.lower()}"
        _fail(batch, error=words, exit_code=None, work=work)
        return
    is_deep = message.height + 1 + work.network.confidences.message <= work.head.height
    if message.state != MessageState.LANDED or not is_deep:
        return
    if message.exit_code != 0:
        words = f"the message ended with {exit_code_words(message.exit_code)}"
        _fail(batch, error=words, exit_code=message.exit_code, work=work)
        return
    _landed(batch, message, work)


def _landed(batch: Batch, message: Message, work: Round) -> None:
    kind = KINDS[BatchKind(batch.kind)]
    sectors = _sectors_of(batch, state=kind.sent_in)
    look: Callable[..., list[Sector]] = precommit_landed if kind is PRE_COMMIT else commit_landed
    absent = look(sectors, miner=batch.miner, client=work.client, key=work.head.key, now=work.now)
    for sector in absent:
        _sector_failed(
            sector, error="the message landed, but the chain does not know the sector", kind=kind, work=work
        )
    advance(batch, "LAND", landed_height=message.height, exit_code=0, error="", updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


def _look_again(batch: Batch, work: Round) -> None:
    """Move on the sectors of a landed batch that were sent back to wait for it."""
    kind = KINDS[BatchKind(batch.kind)]
    sectors = _sectors_of(batch, state=kind.sent_in)
    if sectors:
        look: Callable[..., list[Sector]] = precommit_landed if kind is PRE_COMMIT else commit_landed
        absent = look(sectors, miner=batch.miner, client=work.client, key=work.head.key, now=work.now)
        if kind is PRE_COMMIT:
            life = work.network.max_prove_commit_duration
            expired_pause(absent, height=work.head.height, life=life, now=work.now)


def _sectors_of(batch: Batch, *, state: str) -> list[Sector]:
    kind = KINDS[BatchKind(batch.kind)]
    return list(
        Sector.objects.select_related("miner__tenant")
        .filter(**{kind.column: batch}, state=state)
        .order_by("pk")
    )


def _fail(batch: Batch, *, error: str, exit_code: int | None, work: Round) -> None:
    kind = KINDS[BatchKind(batch.kind)]
    for sector in _sectors_of(batch, state=kind.sent_in):
        _sector_failed(sector, error=error, kind=kind, work=work)
    advance(batch, "FAIL", error=error, exit_code=exit_code, updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


def _sector_failed(sector: Sector, *, error: str, kind: Kind, work: Round) -> None:
    """Send a sector back to wait for another batch, after a pause that grows with its failures."""
    attempts = sector.attempts + 1
    if not step_console(sector, kind.fail, now=work.now, note=error):
        return
    fresh = Sector.objects.select_related("miner").get(pk=sector.pk)
    fresh.attempts = attempts - 1
    Sector.objects.filter(pk=sector.pk).update(attempts=attempts - 1)
    if attempts >= work.policy.attempts_max:
        console_failure(fresh, error=error, level=Level.PERMANENT, now=work.now)
    else:
        _all_again([fresh], error=error, work=work)


def _reverted(batch: Batch, work: Round) -> None:
    """A landed message left the chain: its sectors wait for it to land again."""
    kind = KINDS[BatchKind(batch.kind)]
    event = SectorEvent.REVERT_PRECOMMIT if kind is PRE_COMMIT else SectorEvent.REVERT_COMMIT
    for sector in Sector.objects.select_related("miner__tenant").filter(**{kind.column: batch}):
        if str(event) in Sector.TRANSITIONS[sector.state]:
            step_console(sector, event, now=work.now, note="the message left the chain in a reorganisation")
    advance(batch, "REVERT", landed_height=None, exit_code=None, updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


def round_make(*, client: ChainClient, network: Network, head: Head, now: datetime) -> Round:
    """Give what a pass works with, under the policy in force."""
    return Round(client=client, network=network, head=head, now=now, policy=sealing_policy())
