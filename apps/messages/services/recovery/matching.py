"""Which rows the messages of one sender belong to that were read back: found and written for all at once.

A message belongs to the row whose id the signer recorded with it, else to the oldest waiting row with the
same content.  What rows there are is asked once, however many messages there are.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final
from uuid import uuid4

from django.db import transaction

from apps.core.reasons import ReasonKind, fitted
from apps.messages.models import Message, MessageEvent, UnmatchedMessage
from apps.messages.reasons import MATCHED, RECOVERED
from apps.messages.rules.displaced import displaced_columns
from apps.messages.services.audit import EVENT_MAX
from apps.messages.services.bulk_transitions import message_changes_publish, messages_advance
from apps.messages.services.recovery.chain_history import Landed
from apps.messages.services.spend import ADDED, spend_record
from apps.messages.states import KIND_PRIORITIES, MessageState, Priority, Wait
from apps.users.models import SignerGrant, Tenant
from poolsite.filecoin.actors.decode import params_forms
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner import METHODS, Method
from poolsite.filecoin.address import ID
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.ethereum import is_self_transfer
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.wire.origins import IdFound

OWN_KINDS: Final[dict[int, str]] = {
    Method.SUBMIT_WINDOWED_POST: "window_post",
    Method.DECLARE_FAULTS: "declare_faults",
    Method.DECLARE_FAULTS_RECOVERED: "recover",
    Method.PRE_COMMIT_SECTOR_BATCH2: "precommit",
    Method.PROVE_COMMIT_SECTORS3: "commit",
    Method.PROVE_COMMIT_SECTORS_NI: "commit",
    Method.PROVE_REPLICA_UPDATES3: "snap_up",
    Method.TERMINATE_SECTORS: "terminate",
    Method.EXTEND_SECTOR_EXPIRATION2: "extend",
}
"""Methods of a miner that the pool itself sends, with the kind of message that it sends for each."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of an own sender that no row explains."""

    cid: str
    message: ChainMessage
    signed: bytes = b""
    """In CBOR; empty where only the chain has it, which keeps no signature of a BLS key by itself."""
    landed: Landed | None = None


@transaction.atomic
def matches_write(address: str, *, sent: Sequence[tuple[Sent, IdFound | None]], now: datetime) -> int:
    """Return how many of a sender's messages have a row; write those in order, the others as unmatched.

    Beside each message is what the signer knows of it.
    """
    rows = _Rows(address, sent, now=now)
    matched = sum(rows.assign(one, found) for one, found in sent)
    rows.write()
    return matched


@transaction.atomic
def match_write(row: Message, *, one: Sent, now: datetime, kind: ReasonKind = MATCHED) -> None:
    """Write a sent message into the row that was chosen for it; `kind` is what the row's timeline says."""
    rows = _Rows(row.from_addr, [(one, None)], now=now)
    rows.note(row, one, kind=kind)
    rows.write()


class _Rows:
    """Rows of one sender as they are once all that is noted is written."""

    def __init__(self, address: str, sent: Sequence[tuple[Sent, IdFound | None]], *, now: datetime) -> None:
        self.address, self.now = address, now
        self.messages = [one.message for one, _ in sent]
        self.found = [found for _, found in sent if found is not None]
        self.read: dict[str, Message] = {}
        """One object for each row, however it was found."""
        self.states: dict[str, str] = {}
        """Of rows that move; their objects stay as they were read or made, for the database's own step."""
        nonces = [message.nonce for message in self.messages]
        flying = Message.objects.filter(from_addr=address, state=MessageState.FILLED, nonce__in=nonces)
        self.flying = {row.nonce: self._once(row) for row in flying}
        self._begin()

    def _begin(self) -> None:
        """Begin a batch: nothing is noted."""
        self.made: list[Message] = []
        self.lost: dict[str, dict[str, Any]] = {}
        self.filled: dict[str, dict[str, Any]] = {}
        self.landed: dict[str, dict[str, Any]] = {}
        self.revived: dict[str, dict[str, Any]] = {}
        """Those that were given up and landed all the same."""
        self.events: list[MessageEvent] = []
        self.unmatched: list[UnmatchedMessage] = []
        self.noted: set[str | int] = set()
        """Rows and nonces: of each one message in a batch."""

    def _once(self, row: Message) -> Message:
        return self.read.setdefault(row.pk, row)

    @cached_property
    def tenants(self) -> dict[str, Tenant]:
        """Those that the signer names, by name."""
        names = {found.account for found in self.found if found.account}
        return {tenant.name: tenant for tenant in Tenant.objects.filter(name__in=names)}

    @cached_property
    def named(self) -> dict[tuple[str, int | None], Message]:
        """Rows that the signer names, by their callers' ids and tenants."""
        rows = Message.objects.filter(push_id__in={found.id for found in self.found})
        return {(row.push_id, row.tenant_id): self._once(row) for row in rows}

    @cached_property
    def waiting(self) -> dict[tuple[Any, ...], deque[Message]]:
        """Rows that wait, the oldest first, by their content."""
        receivers = {str(message.to) for message in self.messages}
        rows = Message.objects.filter(from_addr=self.address, to__in=receivers, state=MessageState.UNFILLED)
        alike: dict[tuple[Any, ...], deque[Message]] = defaultdict(deque)
        for row in map(self._once, rows.order_by("created_at", "pk")):
            alike[row.to, row.value, row.method, bytes(row.params)].append(row)
        return alike

    @cached_property
    def owners(self) -> list[Tenant]:
        """Tenants that may send from the address; two are too many."""
        grants = SignerGrant.objects.filter(address=self.address, deleted_at=None)
        return list(Tenant.objects.filter(pk__in=grants.values("tenant"))[:2])

    def assign(self, one: Sent, found: IdFound | None) -> bool:
        """Note to which row a message belongs, or that a person decides.  Returns whether it has one."""
        row = self._row_of(one.message, found)
        if row is not None:
            self.note(row, one)
            return True
        if not _moves_nothing(one.message):
            self.unmatched.append(_unmatched(one, now=self.now))
        return False

    def _row_of(self, message: ChainMessage, found: IdFound | None) -> Message | None:
        """Return the row of a message: by the id that the signer recorded, else by content."""
        flying = self.flying.get(message.nonce)
        if flying is not None and flying.has_content(message):
            return flying  # `message` is another version of that row
        if found is not None:
            tenant = self.tenants.get(found.account)
            row = self.named.get((found.id, None if tenant is None else tenant.pk))
            row = row or self._row_recreate(found, message, tenant)
            can_take = self._state(row) in (MessageState.UNFILLED, MessageState.FAILED) and row.nonce is None
            return row if can_take and row.has_content(message) else None
        for params in params_forms(message.to, message.method, message.params):
            alike = self.waiting[str(message.to), message.value, message.method, params]
            while alike:
                row = alike.popleft()
                if self._state(row) == MessageState.UNFILLED and row.has_content(message):
                    return row
        known = self._own_message(message)
        return None if known is None else self._row_recreate(known, message, self.owners[0])

    def _own_message(self, message: ChainMessage) -> IdFound | None:
        """Return what a message to a miner is by its content, where the signer keeps no ids; None for others.

        Only the miner's own senders may send these, and for the pool nobody does but the pool itself.
        """
        kind = OWN_KINDS.get(message.method)
        if kind is None or message.to.protocol != ID or len(self.owners) != 1:
            return None
        try:
            params_read(METHODS[message.method].params or object, message.params)
        except BadCbor:
            return None
        return IdFound(cid=str(message.cid), id=f"{kind}:{uuid4()}", account=self.owners[0].name, kind=kind)

    def _row_recreate(self, found: IdFound, message: ChainMessage, tenant: Tenant | None) -> Message:
        """Make the row that the database has forgotten."""
        row = Message(
            pk=found.id if found.kind else str(uuid4()),
            push_id=found.id,
            tenant=tenant,
            pushed_by="recovered",
            kind=found.kind,
            priority=KIND_PRIORITIES.get(found.kind, Priority.REST),
            to=str(message.to),
            from_addr=str(message.from_),
            value=message.value,
            method=message.method,
            params=message.params,
        )
        self.made.append(row)
        self.named[row.push_id, row.tenant_id] = self._once(row)
        self._event(row, "recovered", RECOVERED())
        return row

    def note(self, row: Message, one: Sent, *, kind: ReasonKind = MATCHED) -> None:
        """Note nonce and, where it landed, the landing; another row in flight with the nonce has lost it."""
        message = one.message
        if self.noted & {row.pk, message.nonce}:
            self.write()
        self.noted |= {row.pk, message.nonce}
        rival = self.flying.pop(message.nonce, None)
        if rival is not None and rival.pk != row.pk:
            self.lost[rival.pk] = {"landed_cid": one.cid, **displaced_columns(rival, is_own=True)}
            self.states[rival.pk] = MessageState.REPLACED
        filled = self._filled(one)
        landing = None if one.landed is None else one.landed.columns(now=self.now)
        if self._state(row) == MessageState.UNFILLED:
            self.filled[row.pk] = filled
            self.states[row.pk] = MessageState.FILLED
        if landing is not None:
            if self._state(row) == MessageState.FAILED:
                self.revived[row.pk] = {**filled, **landing}
            else:
                self.landed[row.pk] = landing
            self.states[row.pk] = MessageState.LANDED
        if self._state(row) == MessageState.FILLED:
            self.flying[message.nonce] = row
        self._event(row, "matched", kind(nonce=message.nonce, cid=one.cid))

    def _state(self, row: Message) -> str:
        return self.states.get(row.pk, row.state)

    def _filled(self, one: Sent) -> dict[str, Any]:
        return {
            "nonce": one.message.nonce,
            "gas_limit": one.message.gas_limit,
            "gas_fee_cap": one.message.gas_fee_cap,
            "gas_premium": one.message.gas_premium,
            "signed": one.signed,
            "cid": one.cid,
            "unsigned_cid": str(one.message.cid),
            "filled_at": self.now,
            "needs_approval": False,  # it was sent
            "wait": str(Wait.IN_POOL),
            "error": "",
        }

    def _event(self, row: Message, event: str, text: str) -> None:
        self.events.append(MessageEvent(message=row, at=self.now, event=event, text=fitted(text, EVENT_MAX)))

    def write(self) -> None:
        """Write all that is noted, those that lost a nonce before those that have it."""
        Message.objects.bulk_create(self.made)
        moved = messages_advance("CONFLICT", rows=self.lost, now=self.now)
        moved |= messages_advance("FILL", rows=self.filled, now=self.now)
        landed = messages_advance("LAND", rows=self.landed, now=self.now)
        landed |= messages_advance("LAND", rows=self.revived, now=self.now)
        spend_record(landed, sign=ADDED)
        MessageEvent.objects.bulk_create(self.events)
        UnmatchedMessage.objects.bulk_create(self.unmatched, ignore_conflicts=True)
        message_changes_publish({**moved, **landed})
        self._begin()


def _moves_nothing(message: ChainMessage) -> bool:
    """Return whether it is a transfer of nothing to oneself, which closes a gap or cancels."""
    return is_self_transfer(message) and not message.value


def _unmatched(one: Sent, *, now: datetime) -> UnmatchedMessage:
    message = one.message
    return UnmatchedMessage(
        cid=one.cid,
        unsigned_cid=str(message.cid),
        from_addr=str(message.from_),
        nonce=message.nonce,
        to=str(message.to),
        value=message.value,
        method=message.method,
        params=message.params,
        gas_limit=message.gas_limit,
        gas_fee_cap=message.gas_fee_cap,
        gas_premium=message.gas_premium,
        height=None if one.landed is None else one.landed.height,
        found_at=now,
    )
