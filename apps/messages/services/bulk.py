"""One change to many messages: what it would cost, what was done, and why not where it was not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from django.db import transaction

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.gas_estimates import GasSpec
from apps.core.errors import BadValue, DomainError
from apps.core.marked_texts import gettext
from apps.messages.errors import BadMessage
from apps.messages.models import Message
from apps.messages.selectors.replacement_fees import NewFees, premium_floor_compute, replace_ratio_read
from apps.messages.services.audit import group_audit, message_audit
from apps.messages.services.cancel import message_cancel, message_mark_bad, transfer_build
from apps.messages.services.publish import messages_publish
from apps.messages.services.replace import message_replace, version_require
from apps.messages.services.retry import messages_retry_now
from apps.messages.services.selection import senders_lock
from apps.messages.states import MessageState
from apps.users.rules.principals import Principal
from poolsite.filecoin.amounts import AttoFil

BULK_STATES: Final[dict[str, tuple[MessageState, ...]]] = {
    "replace": (MessageState.FILLED,),
    "cancel": (MessageState.FILLED,),
    "republish": (MessageState.FILLED,),
    "retry-now": (MessageState.UNFILLED,),
    "mark-bad": (MessageState.UNFILLED, MessageState.FILLED),
}
"""Which messages an action is for; others of a filter are passed over, those named are refused."""

BULK_MAX: Final = 500
"""Messages of one request: each replacement asks the node and the signer."""

PRICED: Final = ("replace", "cancel")
"""What makes a new signed message; the rest costs nothing."""

ALL_NODES: Final = {"nodes": "all"}
"""Audit lines of messages that are published again."""
OF_A_VERSION: Final = (*PRICED, "mark-bad")
"""What is decided of one version of a message: its fees, or that it is not signed."""


@dataclass(slots=True)
class BulkResult:
    """The messages that were changed, and those that were refused."""

    done: list[Message] = field(default_factory=list)
    refused: list[tuple[Message, str]] = field(default_factory=list)
    """Each with the reason."""


def messages_bulk(
    action: str,
    *,
    rows: Iterable[Message],
    client: ChainClient,
    head: Head,
    now: datetime,
    by: Principal | None = None,
    cids: Collection[str] | None = None,
) -> BulkResult:
    """Do one thing to each message, in the order given; one refusal does not stop the others.

    `cids` are those that the caller was shown, empty of what was not signed: what was signed or replaced
    since is refused.  None: whatever version is there.

    Raises BadValue for an unknown action; what was done before a node went away stays done.
    """
    if action not in BULK_STATES:
        raise BadValue(gettext("must be one of {names}").format(names=", ".join(BULK_STATES)), field="action")
    if action == "retry-now":
        return _retry_all(list(rows), now=now, by=by)
    found = BulkResult()
    fitting = _fitting(action, rows, cids, found)
    if action == "mark-bad":
        return _mark_all_bad(fitting, found, now=now, by=by)
    is_one_line = action == "republish" and len(fitting) > 1
    if is_one_line:  # before the first is published: a kill leaves no act without its line
        group_audit(by, action="message.republish-all", rows=fitting, after=ALL_NODES)
    fresh: dict[str, Message] = {}
    """Keys of what is to be published, with the message for which."""
    for row in fitting:
        try:
            new = _one(action, row, client=client, head=head, now=now, by=None if is_one_line else by)
        except DomainError as error:
            found.refused.append((row, error.reason))
        else:
            fresh[new] = row
            found.done.append(row)
    published = messages_publish(fresh, now=now)
    for new, row in fresh.items():
        if new in published.refused and new not in published.accepted:
            found.done.remove(row)
            found.refused.append((row, published.refused[new]))
    return found


def _fitting(
    action: str, rows: Iterable[Message], cids: Collection[str] | None, found: BulkResult
) -> list[Message]:
    """Return the messages that the action is for; those that it is not for become refusals in `found`."""
    fitting = []
    for row in rows:
        try:
            _state_require(action, row)
            if cids is not None and action in OF_A_VERSION:
                version_require(row, cids=cids)
        except DomainError as error:
            found.refused.append((row, error.reason))
        else:
            fitting.append(row)
    return fitting


@transaction.atomic
def _mark_all_bad(
    rows: Sequence[Message], found: BulkResult, *, now: datetime, by: Principal | None
) -> BulkResult:
    """Fail messages together with their line in the audit log, which names none that was refused since."""
    senders_lock(row.from_addr for row in rows)
    locked = Message.objects.select_for_update().filter(pk__in=[row.pk for row in rows]).order_by("pk")
    list(locked.values_list("pk", flat=True))
    for row in rows:
        try:
            message_mark_bad(message=row, now=now, by=by if len(rows) == 1 else None)
        except DomainError as error:
            found.refused.append((row, error.reason))
        else:
            found.done.append(row)
    if found.done and len(rows) > 1:
        group_audit(
            by, action="message.mark-bad-all", rows=found.done, after={"state": str(MessageState.FAILED)}
        )
    return found


def _retry_all(rows: list[Message], *, now: datetime, by: Principal | None) -> BulkResult:
    done, refused = messages_retry_now(rows, now=now, by=by)
    return BulkResult(done, [(row, refused[row.pk].reason) for row in rows if row.pk in refused])


def _state_require(action: str, row: Message) -> None:
    """Refuse a message that the action is not for.  Raises BadMessage."""
    if row.state not in BULK_STATES[action]:
        states = ", ".join(BULK_STATES[action])
        raise BadMessage(
            gettext("must be {states}, is {state}").format(states=states, state=row.state), field="id"
        )


def _one(
    action: str, row: Message, *, client: ChainClient, head: Head, now: datetime, by: Principal | None
) -> str:
    """Do it to one message; returns the id of what has to be published then."""
    if action == "replace":
        return message_replace(message=row, fees=NewFees(), client=client, head=head, now=now, by=by).pk
    if action == "cancel":
        return message_cancel(message=row, client=client, head=head, now=now, by=by).pk
    message_audit(by, action="message.republish", message=row, after=ALL_NODES)
    return row.pk


@dataclass(frozen=True, slots=True)
class Price:
    """attoFIL that the gas of all costs together."""

    before: int
    """At the present base fee, if nothing is done."""
    now: int
    """At the present base fee, after the change."""
    most: int
    """Whatever the base fee does, as far as the rules let fees go."""


def bulk_price(action: str, *, rows: Sequence[Message], client: ChainClient, head: Head) -> Price | None:
    """Price a change to `rows`; None for what costs nothing.

    Raises what the change of the first of them would: FeeTooLow, NodeUnavailable, NodeRefused.
    """
    if action not in PRICED or not rows:
        return None
    base_fee, ratio = int(head.base_fee), replace_ratio_read(client)
    first = rows[0]
    if action == "cancel":
        found = transfer_build(first, client=client, head=head)
    else:
        blank = replace(first.chain_message(), gas_fee_cap=AttoFil(0), gas_premium=AttoFil(0))
        found = client.gas_estimate_message(blank, GasSpec(), head.key)
    before = now = most = 0
    for row in rows:
        limit = int(found.gas_limit if action == "cancel" else row.gas_limit)
        premium = max(int(found.gas_premium), premium_floor_compute(int(row.gas_premium), ratio=ratio))
        cap = max(int(found.gas_fee_cap), premium, int(row.gas_fee_cap))
        before += row.gas_limit * min(int(row.gas_fee_cap), base_fee + int(row.gas_premium))
        now += limit * min(cap, base_fee + premium)
        most += limit * cap
    return Price(before, now, most)
