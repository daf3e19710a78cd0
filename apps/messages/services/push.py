"""Taking messages in: checked for what can be known at once, idempotent by the caller's id."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog
from celery import current_app
from django.db import connection, transaction
from kombu.exceptions import OperationalError as BrokerAway

from apps.chain.selectors import head_current
from apps.core import clock
from apps.core.errors import DomainError
from apps.messages.errors import BadMessage, MessageIdTaken, ReceiverNotGranted, SenderStopped
from apps.messages.models import Message, Sender
from apps.messages.services.checks import Gas, PushItem, SendSpec, message_checked, params_check
from apps.messages.services.moves import messages_told
from apps.messages.services.receivers import receiver_kinds_learnt
from apps.messages.states import SenderState
from apps.wallets.errors import SenderNotGranted
from apps.wallets.selectors import senders_granted
from poolsite.filecoin.message import METHOD_SEND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.users.principals import Principal
    from poolsite.filecoin.address import Address

log = structlog.get_logger(__name__)

SELECT_EXPIRES_S: Final = 30
"""A selection that waited longer is dropped: the next head asks again."""

INSERTED: Final[dict[str, str]] = {
    "id": "text",
    "tenant_id": "bigint",
    "pushed_by": "text",
    "kind": "text",
    "state": "text",
    "priority": "smallint",
    "time_sensitive": "boolean",
    "urgent_epoch": "bigint",
    "to": "text",
    "from_addr": "text",
    "value": "numeric",
    "method": "bigint",
    "params": "bytea",
    "gas_limit": "bigint",
    "gas_fee_cap": "numeric",
    "gas_premium": "numeric",
    "max_fee": "numeric",
    "gas_over_estimation": "float8",
    "gas_over_premium": "float8",
    "expire_epoch": "bigint",
    "hold_base_fee": "numeric",
    "hold_until": "bigint",
    "pushed_height": "bigint",
    "wait": "text",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}
"""Columns that differ between new messages, by PostgreSQL type."""

FIRST_VALUES: Final[dict[str, str]] = {
    "signed": "''",
    "cid": "''",
    "unsigned_cid": "''",
    "height": "0",
    "tipset_key": "''",
    "executed_key": "''",
    "landed_cid": "''",
    "exit_code": "-1",
    "gas_used": "0",
    "gas_cost": "0",
    "return_data": "''",
    "error": "''",
    "attempts": "0",
    "retry_height": "0",
    "hurried_height": "0",
}
"""What every new message has in the other columns."""


def message_push(  # noqa: PLR0913  # a message has that many fields
    *,
    principal: Principal,
    id: str,  # the messager's word for it
    to: Address | str,
    from_: Address | str,
    value: int = 0,
    method: int,
    params: bytes = b"",
    kind: str = "",
    spec: SendSpec | None = None,
    gas: Gas | None = None,
    time_sensitive: bool = False,
    expire_epoch: int | None = None,
    urgent_epoch: int | None = None,
) -> Message:
    """Accept a message and give its row; the same content under the same id gives the same row again.

    A time-sensitive one is chosen at once, others on the next head.  Nothing is sent here.
    Raises BadMessage naming the field, SenderNotGranted, SenderStopped, MessageIdTaken; NodeUnavailable
    only where an ID address has to be resolved.
    """
    wishes = spec or SendSpec()
    item = PushItem(
        id=id,
        to=to,
        from_=from_,
        value=value,
        method=method,
        params=params,
        kind=kind,
        spec=wishes if expire_epoch is None else replace(wishes, expire_epoch=expire_epoch),
        gas=gas or Gas(),
        time_sensitive=time_sensitive,
        urgent_epoch=urgent_epoch,
    )
    found = messages_push([item], principal=principal)[0]
    if isinstance(found, DomainError):
        raise found
    return found


def messages_push(items: Sequence[PushItem], *, principal: Principal) -> list[Message | DomainError]:
    """Accept many messages of one caller with one insert; each gets its row or its own refusal, in order."""
    return pushes_take([(principal, item) for item in items])


def pushes_take(asked: Sequence[tuple[Principal, PushItem]]) -> list[Message | DomainError]:
    """Accept messages of any callers with one insert; each gets its row or its own refusal, in their order.

    Those accepted stay in the order given when they are chosen.
    """
    head = head_current()
    height = 0 if head is None else head.height
    results: list[Message | DomainError] = []
    for principal, item in asked:
        try:
            row = message_checked(item, principal=principal, height=height)
            if not principal.may_address(row.to):
                raise ReceiverNotGranted(row.to)
            results.append(row)
        except DomainError as error:
            results.append(error)
    rows = {at: row for at, row in enumerate(results) if isinstance(row, Message)}
    uses = {at: (asked[at][0], row.from_addr) for at, row in rows.items()}
    # Whose sender it is comes first: a stranger's message is not read any further.
    for refusals_of in (_not_granted, _params_refused, _senders_stopped):
        for at, refused in refusals_of(rows, uses).items():
            results[at] = refused
            del rows[at]
    # One statement stores them all: no transaction of our own, whose begin and end would be asked for too.
    for at, answer in _store(rows, [principal for principal, _ in asked]).items():
        results[at] = answer
    return results


Uses = dict[int, tuple["Principal", str]]
"""Who wants to use which sender, by place."""


def _not_granted(rows: dict[int, Message], uses: Uses) -> dict[int, DomainError]:
    """Give the messages whose sender is not the caller's to use."""
    asked = {uses[at] for at in rows}
    granted = senders_granted({(principal.tenant_id, address) for principal, address in asked})
    return {
        at: SenderNotGranted(address)
        for at, (principal, address) in uses.items()
        if not (principal.may_sign_with(address) and (principal.tenant_id, address) in granted)
    }


def _params_refused(rows: dict[int, Message], _uses: Uses) -> dict[int, DomainError]:
    """Read the parameters of calls as their receivers would; gives what those cannot read."""
    kinds = receiver_kinds_learnt({row.to for row in rows.values() if row.method != METHOD_SEND})
    refused: dict[int, DomainError] = {}
    for at, row in rows.items():
        try:
            params_check(row, kind=kinds.get(row.to, ""))
        except BadMessage as error:
            refused[at] = error
    return refused


def _senders_stopped(rows: dict[int, Message], _uses: Uses) -> dict[int, DomainError]:
    """Make the rows of new senders; gives the messages of those that are stopped."""
    addresses = sorted({row.from_addr for row in rows.values()})
    states = dict(Sender.objects.filter(address__in=addresses).values_list("address", "state"))
    new = [Sender(address=address) for address in addresses if address not in states]
    if new:
        Sender.objects.bulk_create(new, ignore_conflicts=True)
    return {
        at: SenderStopped(f"address({row.from_addr}) is forbidden", field="from")
        for at, row in rows.items()
        if states.get(row.from_addr) == SenderState.FORBIDDEN
    }


def _store(rows: dict[int, Message], callers: Sequence[Principal]) -> dict[int, Message | DomainError]:
    """Insert the rows; where an id is there already, give the stored row or MessageIdTaken."""
    if not rows:
        return {}
    now = clock.now()
    first: dict[str, Message] = {}
    for at, row in enumerate(rows.values()):
        row.created_at = row.updated_at = now + timedelta(microseconds=at)
        first.setdefault(row.pk, row)
    # In the order of their ids: two inserts of the same ids would wait for each other's rows for ever.
    new = _insert(sorted(first.values(), key=lambda row: str(row.pk)))
    messages_told([(pk, first[pk].tenant_id) for pk in first if pk in new])
    for address in {first[pk].from_addr for pk in new if first[pk].time_sensitive}:
        transaction.on_commit(partial(selection_ask, address))
    there = [pk for pk in first if pk not in new]
    stored = Message.objects.in_bulk(there) if there else {}
    answers: dict[int, Message | DomainError] = {}
    for at, row in rows.items():
        if row.pk in new and first[row.pk] is row:
            answers[at] = row
        else:
            answers[at] = _same_again(row, stored.get(row.pk) or first[row.pk], principal=callers[at])
    return answers


def _insert(rows: Sequence[Message]) -> set[str]:
    """Write new rows in one statement; gives the ids that were not there yet."""
    names = ", ".join(f'"{name}"' for name in (*INSERTED, *FIRST_VALUES))
    values = ", ".join((*(f'v."{name}"' for name in INSERTED), *FIRST_VALUES.values()))
    arrays = ", ".join(f"%s::{kind}[]" for kind in INSERTED.values())
    columns = ", ".join(f'"{name}"' for name in INSERTED)
    # Only names and constants of this module are pasted into the statement.
    statement = (
        f"INSERT INTO messages_message ({names}) SELECT {values}"  # noqa: S608
        f" FROM unnest({arrays}) AS v({columns}) ON CONFLICT (id) DO NOTHING RETURNING id"
    )
    data: list[list[Any]] = [[getattr(row, name) for row in rows] for name in INSERTED]
    with connection.cursor() as cursor:
        cursor.execute(statement, data)
        new = {pk for (pk,) in cursor.fetchall()}
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias
    return new


def _same_again(row: Message, stored: Message, *, principal: Principal) -> Message | DomainError:
    """Give the stored row if it is the same message of the same account."""
    content = ("to", "from_addr", "value", "method")
    if (
        (stored.tenant_id == row.tenant_id or principal.is_operator)
        and all(getattr(stored, name) == getattr(row, name) for name in content)
        and bytes(stored.params) == bytes(row.params)
    ):
        return stored
    return MessageIdTaken(f"message id {row.pk} already exists with other content", field="id")


def selection_ask(address: str) -> None:
    """Have this sender's messages chosen now; without a broker the next head does it."""
    try:
        current_app.send_task(
            "messages.select_sender",
            kwargs={"address": address},
            queue="messages",
            retry=False,
            expires=SELECT_EXPIRES_S,
        )
    except (BrokerAway, OSError) as error:
        log.warning("selection_not_asked", sender=address, reason=str(error)[:200])
