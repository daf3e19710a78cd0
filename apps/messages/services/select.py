"""Choosing a sender's next messages on a head: estimate, nonce, sign, and store it all in one transaction.

Everything that needs the network happens before the transaction; that then checks that the sender is
still as it was read.  So a crash anywhere burns no nonce and gives none twice: what was signed but not
stored is thrown away unseen, what was stored is published by whoever comes next.
Source: spec of sophon-messager service/message_selector.go, without its faults (newest first, one bad
message stopping a round, at most 100 a head, expiry not enforced).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber

from apps.core.live import Change, publish
from apps.gateway.errors import SignerAway
from apps.messages.models import GasGuard, Message, Sender, SharedRules
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.services.checks import lack_words
from apps.messages.services.fees import FeeChoice, actor_rules_for, fee_choose, shared_rules
from apps.messages.services.guards import Budgets, GuardChoice, guard_choose
from apps.messages.services.locks import SENDER_LOCK, held
from apps.messages.services.moves import messages_advance, messages_told, waits_note
from apps.messages.services.nonces import Standing, holes_of, nonces_for, standing_of
from apps.messages.states import MessageState, Priority, SenderState, Wait
from apps.wallets.services import messages_sign
from poolsite.filecoin.amounts import AttoFil, fil_format
from poolsite.filecoin.message import BLOCK_GAS_LIMIT, METHOD_SEND, SignedMessage, signed_message_to_cbor
from poolsite.filecoin.message import Message as ChainMessage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.chain.client import ChainClient, Estimate, GasSpec
    from apps.chain.models import Head
    from apps.core.errors import DomainError

log = structlog.get_logger(__name__)

SPARE_CANDIDATES: Final = 20
"""Read beyond the quota, so that refused messages do not take the places of good ones."""

ROUND_MAX: Final = 500
"""Messages of one sender in one round, however large its quota is; the next round follows at once."""

ESTIMATES_MAX: Final = 100
"""Different messages in one question about gas."""

BACKOFF_MAX_EPOCHS: Final = 60
URGENT_BACKOFF_EPOCHS: Final = 1
"""Messages with a deadline are tried again on each head."""

SIGN_ROUNDS: Final = 3
"""A refused signature shifts the nonces behind it; those are signed again at most this often."""

GAS_FEE_CAP_MIN: Final = 100
"""attoFIL: below it no pool takes a message.  Source: lotus chain/messagepool minimumBaseFee."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A message that can be signed, with its gas values."""

    row: Message
    message: ChainMessage

    @property
    def cost(self) -> int:
        """Most that it can take from the balance."""
        return self.message.gas_limit * self.message.gas_fee_cap + self.message.value


@dataclass(slots=True)
class Round:
    """One sender's selection while it is being worked out."""

    sender: Sender
    head: Head
    standing: Standing
    holes: list[int]
    places: int
    """How many messages may be chosen."""
    budgets: Budgets
    has_more: bool = False
    """True if the round had to end although there were places left."""
    waits: list[tuple[str, str, str]] = field(default_factory=list)
    """Why messages are left: id, reason, text."""
    failed: list[Message] = field(default_factory=list)
    """Those of them that are not tried again at once."""

    def leave(self, row: Message, wait: Wait, text: str = "", *, is_failure: bool = False) -> None:
        """Leave a message for later and say why."""
        self.waits.append((row.pk, wait, text))
        if is_failure:
            self.failed.append(row)


@dataclass(frozen=True, slots=True)
class Selected:
    """What a selection did."""

    filled: tuple[str, ...] = ()
    """Ids that got nonce and signature."""
    is_busy: bool = False
    """True if another worker is at this sender."""
    has_more: bool = False
    """True if another round on the same head would choose more."""


def sender_select(*, address: str, head: Head, client: ChainClient, now: datetime) -> Selected:
    """Give nonces and signatures to as many of the sender's messages as its quota allows.

    Raises NodeUnavailable or NodeRefused if the node cannot be asked; nothing has changed then.
    """
    with held(SENDER_LOCK, address) as is_mine:
        if not is_mine:
            return Selected(is_busy=True)
        sender = Sender.objects.get(address=address)
        if sender.state == SenderState.FORBIDDEN:
            return Selected()
        standing = standing_of(address, client=client, key=head.key)
        _look_note(sender, standing, head=head, now=now)
        if not standing.exists:
            _all_wait(sender, Wait.NO_ACTOR, "the address was never funded")
            return Selected()
        holes = _holes_confirmed(sender, standing, head=head)
        shared = shared_rules()
        places = _places(sender, standing, shared=shared, holes=len(holes))
        rows = _candidates(sender, head=head, places=places)
        if not rows:
            return Selected()
        if sender.wait:
            _all_wait(sender, Wait.NONE, "")
        budgets = Budgets(base_fee=int(head.base_fee), now=now)
        turn = Round(sender, head, standing, holes, places, budgets)
        try:
            ready = _estimated(turn, rows, client=client, shared=shared)
            signed = _signed(turn, ready)
            filled = _store(turn, signed, now=now)
        finally:
            _waits_store(turn, now=now)
        is_full = places == ROUND_MAX and len(filled) == places
        return Selected(filled=filled, has_more=bool(filled) and (turn.has_more or is_full))


def senders_due(*, head: Head) -> list[str]:
    """Give the senders with a message to choose; costs nothing for those without."""
    rows = Message.objects.filter(state=MessageState.UNFILLED, retry_height__lte=head.height)
    return list(rows.order_by("from_addr").values_list("from_addr", flat=True).distinct())


def messages_expire(*, head: Head, now: datetime) -> list[str]:
    """Give up the messages whose last epoch has passed before they got a nonce."""
    late = Message.objects.filter(
        state=MessageState.UNFILLED, expire_epoch__gt=0, expire_epoch__lt=head.height
    ).order_by()
    if not late.exists():  # the usual case, without a transaction
        return []
    with transaction.atomic():
        data = {
            row.pk: {"wait": Wait.EXPIRED, "error": f"epoch {row.expire_epoch} has passed"}
            for row in late.select_for_update(skip_locked=True)
        }
        moved = messages_advance("EXPIRE", data, now=now)
        messages_told(moved)
        return list(moved)


def _look_note(sender: Sender, standing: Standing, *, head: Head, now: datetime) -> None:
    """Write what the node said about the sender; somebody else's use of the address is noticed here."""
    is_foreign = sender.version > 0 and standing.pool_nonce > sender.next_nonce
    changes: dict[str, Any] = {
        "chain_nonce": standing.chain_nonce,
        "balance": standing.balance,
        "looked_at_height": head.height,
    }
    if is_foreign:
        changes["foreign_at"] = now
        sender.foreign_at = now
    Sender.objects.filter(pk=sender.pk).update(**changes)


def _holes_confirmed(sender: Sender, standing: Standing, *, head: Head) -> list[int]:
    """Give the holes that were seen at an earlier head too, and remember a new one."""
    holes = holes_of(sender, standing)
    first = holes[0] if holes else None
    if first is not None and first == sender.hole_nonce and head.height > (sender.hole_height or 0):
        return holes
    if first != sender.hole_nonce:
        Sender.objects.filter(pk=sender.pk).update(
            hole_nonce=first, hole_height=None if first is None else head.height
        )
    return []


def _places(sender: Sender, standing: Standing, *, shared: SharedRules, holes: int) -> int:
    """Give how many messages may be chosen; a hole is closed even when the quota is used up."""
    free = (sender.quota or shared.quota) - len(standing.flight)
    return min(max(free, holes), ROUND_MAX)


def _candidates(sender: Sender, *, head: Head, places: int) -> list[Message]:
    """Give what to choose next: by priority, then deadline, fair across tenants, oldest first."""
    waiting = Message.objects.filter(
        from_addr=sender.address, state=MessageState.UNFILLED, retry_height__lte=head.height
    )
    if places <= 0:
        _all_wait(sender, Wait.QUOTA, "")
        return []
    turn = Window(RowNumber(), partition_by=[F("tenant_id"), F("priority")], order_by=[F("created_at").asc()])
    ordered = waiting.annotate(turn=turn).order_by(
        "priority", F("urgent_epoch").asc(nulls_last=True), "turn", "created_at", "pk"
    )
    return list(ordered[: places + SPARE_CANDIDATES])


@dataclass(frozen=True, slots=True)
class Wish:
    """A message that may be chosen, with what rules and guards say about it."""

    row: Message
    fees: FeeChoice
    guard: GuardChoice

    @property
    def spec(self) -> GasSpec:
        """What the node is asked: the rules' wishes under the guard's cap."""
        limits = [limit for limit in (self.fees.spec.max_fee, self.guard.max_fee) if limit]
        return replace(self.fees.spec, max_fee=min(limits, default=0))

    @property
    def is_capped(self) -> bool:
        """Tell whether the guard allows less than the rules do."""
        return bool(self.guard.max_fee) and self.spec.max_fee != self.fees.spec.max_fee


def _wishes(turn: Round, rows: Sequence[Message], *, client: ChainClient, shared: SharedRules) -> list[Wish]:
    """Give the messages that pass the gates: base fee, hold, and a budget that is not used up."""
    actors = actor_rules_for(rows, client=client, key=turn.head.key)
    guards = list(GasGuard.objects.order_by("pk"))
    kinds = receiver_kinds({row.to for row in rows}) if any(guard.actor for guard in guards) else {}
    base_fee, height = int(turn.head.base_fee), turn.head.height
    found: list[Wish] = []
    for row in rows:
        fees = fee_choose(row, sender=turn.sender, actor=actors.get((row.to, row.method)), shared=shared)
        guard = guard_choose(row, guards, receiver=kinds.get(row.to, ""))
        room = turn.budgets.room(guard.budgets)
        if fees.base_fee_gate and base_fee > fees.base_fee_gate:
            turn.leave(row, Wait.BASE_FEE_GATE, f"{base_fee} > {fees.base_fee_gate}")
        elif hold := guard.holding(base_fee=base_fee, height=height):
            end = f"; it goes at epoch {hold.until} in any case" if hold.until else ""
            turn.leave(row, Wait.HELD, f"base fee {base_fee} > {hold.base_fee}{end}")
        elif room is not None and room <= 0:
            turn.leave(row, Wait.DAILY_BUDGET, "nothing is left of it")
        else:
            found.append(Wish(row, fees, guard))
    return found


def _estimated(
    turn: Round, rows: Sequence[Message], *, client: ChainClient, shared: SharedRules
) -> list[Ready]:
    """Give gas values to the messages that pass the gates, in order, at most as many as there are places."""
    chosen = _wishes(turn, rows, client=client, shared=shared)
    if not chosen:
        return []
    answers = _answers(turn, chosen, client=client)
    ready: list[Ready] = []
    balance = turn.standing.free_balance
    for wish, answer in zip(chosen, answers, strict=False):  # those beyond the answers wait
        row = wish.row
        if len(ready) >= turn.places:
            turn.leave(row, Wait.QUOTA)
        elif row.value > balance:  # the trial of such a message fails, in the node's words
            turn.leave(row, Wait.FUNDS, lack_words(int(row.value), balance), is_failure=True)
        elif answer.message is None:
            turn.leave(row, Wait.ESTIMATE, f"gas estimate: {answer.error}", is_failure=True)
        elif (reason := _gas_refusal(answer.message, wish, base_fee=int(turn.head.base_fee))) is not None:
            turn.leave(row, *reason, is_failure=True)
        elif (cost := Ready(row, answer.message).cost) > balance:
            turn.leave(row, Wait.FUNDS, lack_words(cost, balance), is_failure=True)
        elif not _is_in_budget(turn, wish, answer.message):
            turn.leave(row, Wait.DAILY_BUDGET, "it would go beyond it")
        else:
            balance -= cost
            ready.append(Ready(row, answer.message))
    return ready


def _is_in_budget(turn: Round, wish: Wish, message: ChainMessage) -> bool:
    """Count a message's gas at the present base fee in its budgets if they all have room for it."""
    price = min(message.gas_fee_cap, int(turn.head.base_fee) + message.gas_premium)
    cost = message.gas_limit * price
    room = turn.budgets.room(wish.guard.budgets)
    if room is not None and cost > room:
        return False
    turn.budgets.plan(wish.guard.budgets, cost)
    return True


def _answers(turn: Round, chosen: Sequence[Wish], *, client: ChainClient) -> list[Estimate]:
    """Ask for the gas of the first messages, as many as one question may hold; transfers alike share one.

    A node runs each message on top of all before it, so the time of a question grows with its square.
    """
    first = next(nonces_for(turn.sender, turn.standing, holes=[]))
    asked: dict[object, tuple[ChainMessage, GasSpec]] = {}
    keys: list[object] = []
    for wish in chosen:
        row, spec = wish.row, wish.spec
        message = replace(row.chain_message(), gas_fee_cap=AttoFil(wish.fees.gas_fee_cap))
        # Only transfers are alike: another method's second call may do something else than its first.
        key = (message, spec) if row.method == METHOD_SEND else row.pk
        if key not in asked:
            if len(asked) == ESTIMATES_MAX:
                turn.has_more = True
                break
            asked[key] = (replace(message, nonce=first + len(asked)), spec)
        keys.append(key)
    answers = client.gas_batch_estimate(list(asked.values()), nonce=first, key=turn.head.key)
    by_key = dict(zip(asked, answers, strict=True))
    return [by_key[key] for key in keys]


def _gas_refusal(message: ChainMessage, wish: Wish, *, base_fee: int) -> tuple[Wait, str] | None:
    """Say why these gas values must not get a nonce: behind one that cannot land everything waits."""
    if message.gas_limit > BLOCK_GAS_LIMIT:
        reason = f"gas estimate:  gas limit {message.gas_limit} over limit {BLOCK_GAS_LIMIT}"
        return Wait.ESTIMATE, reason
    most = message.gas_limit * message.gas_fee_cap
    if wish.guard.max_fee and most > wish.guard.max_fee:  # it named its own fee cap
        allowed = fil_format(wish.guard.max_fee)
        return Wait.GAS_CAP, f"its gas may cost {fil_format(most)}, the guard allows {allowed}"
    needed = max(base_fee, GAS_FEE_CAP_MIN)
    if message.gas_fee_cap < needed:
        is_own = not wish.spec.max_fee or 0 < wish.row.gas_fee_cap <= message.gas_fee_cap
        limit = "its own wish" if is_own else f"at most {fil_format(wish.spec.max_fee)} for its gas"
        reason = f"{limit} gives a fee cap of {message.gas_fee_cap} attoFIL, and {needed} are needed"
        return (Wait.GAS_CAP if wish.is_capped else Wait.FEE_LIMIT), reason
    return None


def _signed(turn: Round, ready: Sequence[Ready]) -> list[tuple[Ready, SignedMessage]]:
    """Give nonces in order and have them signed; a refused message is left out and the rest moves up."""
    numbers = nonces_for(turn.sender, turn.standing, holes=turn.holes)
    nonces = [next(numbers) for _ in ready]
    done: list[tuple[Ready, SignedMessage]] = []
    rest = list(ready)
    for _ in range(SIGN_ROUNDS):
        if not rest:
            break
        here = nonces[len(done) : len(done) + len(rest)]
        messages = [replace(item.message, nonce=nonce) for item, nonce in zip(rest, here, strict=True)]
        answers = _sign(messages, [item.row.tenant_id for item in rest])
        again: list[Ready] = []
        is_straight = True
        for item, answer in zip(rest, answers, strict=True):
            if not isinstance(answer, SignedMessage):
                wait = Wait.SIGNER_AWAY if isinstance(answer, SignerAway) else Wait.POLICY
                turn.leave(
                    item.row, wait, f"sign message failed: {answer.reason}", is_failure=wait == Wait.POLICY
                )
                is_straight = False
            elif is_straight:
                done.append((item, answer))
            else:
                again.append(item)
        rest = again
    for item in rest:
        turn.leave(item.row, Wait.NEXT_HEAD)
    return done


def _sign(
    messages: Sequence[ChainMessage], tenants: Sequence[int | None]
) -> list[SignedMessage | DomainError]:
    """Have each message signed for its tenant: one round through the hub per tenant."""
    found: dict[int, SignedMessage | DomainError] = {}
    for tenant in dict.fromkeys(tenants):
        places = [at for at, owner in enumerate(tenants) if owner == tenant]
        answers = messages_sign([messages[at] for at in places], tenant_id=tenant)
        found.update(zip(places, answers, strict=True))
    return [found[at] for at in range(len(messages))]


def _store(turn: Round, signed: Sequence[tuple[Ready, SignedMessage]], *, now: datetime) -> tuple[str, ...]:
    """Write nonces and signatures, all or none.

    None if the sender's nonces were changed since they were read, or one of the messages was.
    """
    if not signed:
        return ()
    with transaction.atomic():
        sender = Sender.objects.select_for_update().get(pk=turn.sender.pk)
        if sender.version != turn.sender.version or sender.state == SenderState.FORBIDDEN:
            log.info("selection_outdated", sender=sender.address)
            return ()
        if not turn.budgets.still_hold():
            log.info("selection_over_budget", sender=sender.address)
            return ()
        rows = {item.row.pk: _filled_columns(message, now=now) for item, message in signed}
        moved = messages_advance("FILL", rows, now=now)
        if len(moved) != len(rows):
            transaction.set_rollback(True)
            log.info("selection_outdated", sender=sender.address, moved=len(moved), chosen=len(rows))
            return ()
        top = max(message.message.nonce for _, message in signed)
        Sender.objects.filter(pk=sender.pk).update(
            next_nonce=max(sender.next_nonce, top + 1),
            version=F("version") + 1,
            hole_nonce=None,
            hole_height=None,
            wait=Wait.NONE,
            error="",
        )
        messages_told(moved)
    return tuple(rows)


def _filled_columns(signed: SignedMessage, *, now: datetime) -> dict[str, object]:
    message = signed.message
    return {
        "nonce": message.nonce,
        "gas_limit": message.gas_limit,
        "gas_fee_cap": message.gas_fee_cap,
        "gas_premium": message.gas_premium,
        "signed": signed_message_to_cbor(signed),
        "cid": str(signed.cid),
        "unsigned_cid": str(message.cid),
        "filled_at": now,
        "wait": str(Wait.IN_POOL),
        "error": "",
        "attempts": 0,
    }


def _waits_store(turn: Round, *, now: datetime) -> None:
    """Write why messages were left, and when failed ones are tried again."""
    waits_note(turn.waits, now=now)
    height = turn.head.height
    for row in turn.failed:
        attempts = row.attempts + 1
        longest = URGENT_BACKOFF_EPOCHS if row.priority == Priority.PROOF else BACKOFF_MAX_EPOCHS
        rest = min(2 ** min(row.attempts, 10), longest)
        Message.objects.filter(pk=row.pk, state=MessageState.UNFILLED).update(
            attempts=attempts, retry_height=height + rest
        )


def _all_wait(sender: Sender, wait: Wait, text: str) -> None:
    """Note on the sender what holds up all of its messages; they are not touched one by one."""
    changed = Sender.objects.filter(pk=sender.pk).exclude(wait=wait, error=text)
    if changed.update(wait=wait, error=text):
        publish(Change("sender", sender.pk, None))
