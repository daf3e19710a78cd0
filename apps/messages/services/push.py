"""Taking messages in: checked for what can be known at once, idempotent by the caller's id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Q

from apps.core import clock
from apps.core.errors import DomainError
from apps.core.marked_texts import gettext
from apps.core.prepared_statements import Plan, Prepared
from apps.messages.errors import BadMessage, MessageIdTaken
from apps.messages.models import Message, Sender
from apps.messages.rules.gas_checks import shortfall_describe
from apps.messages.rules.priorities import priority_infer
from apps.messages.rules.push_items import Gas, PushItem, SendSpec
from apps.messages.selectors.approval_choice import approval_need_describe
from apps.messages.selectors.push_facts import PushFacts, push_facts
from apps.messages.services.approvals import approvals_store
from apps.messages.services.audit import pushes_audit
from apps.messages.services.bulk_transitions import CODED, ERROR, message_changes_publish
from apps.messages.services.receiver_lookup import receiver_kinds_resolve
from apps.messages.services.selection_queue import selections_enqueue
from apps.messages.services.validate import message_validate, params_check, use_check
from apps.messages.states import Wait
from apps.users.rules.principals import Principal
from poolsite.filecoin.actors.decode import params_alike
from poolsite.filecoin.address import Address, address_parse
from poolsite.filecoin.message import METHOD_SEND
from poolsite.tracing import span
from poolsite.tracing.subjects import of_messages

INSERTED: Final[dict[str, str]] = {
    "id": "text",
    "push_id": "text",
    "tenant_id": "bigint",
    "pushed_by": "text",
    "people": "text",
    "needs_approval": "boolean",
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
    "error": "text",
    "error_coded": "jsonb",
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
    "attempts": "0",
    "retry_height": "0",
    "fee_bumped_height": "0",
}
"""What every new message has in the other columns."""

UNKNOWN: Final = (
    "NOT EXISTS (SELECT FROM messages_message m WHERE m.id = v.id OFFSET 0)"
    " AND NOT EXISTS (SELECT FROM messages_message m WHERE m.push_id = v.push_id"
    " AND m.tenant_id IS NOT DISTINCT FROM v.tenant_id OFFSET 0)"
)
"""Condition for a new message: no unique index spans the table and its archive, but this query does.
Without the offset the planner might read a whole table instead of an index for each message."""


def _insert_text() -> str:
    """Write the statement that stores new messages; only names and constants of this module are pasted."""
    names = ", ".join(f'"{name}"' for name in (*INSERTED, *FIRST_VALUES))
    values = ", ".join((*(f'v."{name}"' for name in INSERTED), *FIRST_VALUES.values()))
    arrays = ", ".join(f"${place}" for place in range(1, len(INSERTED) + 1))
    columns = ", ".join(f'"{name}"' for name in INSERTED)
    return (
        f"INSERT INTO messages_message ({names}) SELECT {values}"  # noqa: S608
        f" FROM unnest({arrays}) AS v({columns}) WHERE {UNKNOWN} ON CONFLICT DO NOTHING RETURNING id"
    )


# Planned anew: a plan of the days when the table fitted on a page would read all of it for each message.
INSERT: Final = Prepared(
    "messages_push", _insert_text(), [f"{kind}[]" for kind in INSERTED.values()], plan=Plan.ANEW
)


def messages_insert(rows: Sequence[Message]) -> set[str]:
    """Write new rows in one statement; returns the keys of those that were not there yet."""
    for row in rows:
        CODED.pre_save(row, True)
    data: list[list[Any]] = [[getattr(row, name) for row in rows] for name in INSERTED]
    for field in (ERROR, CODED):
        at = list(INSERTED).index(field.attname)
        data[at] = [field.get_db_prep_save(value, connection) for value in data[at]]
    new = {pk for (pk,) in INSERT.rows(data)}
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias
    return new


def message_push(  # noqa: PLR0913  # a message has that many fields
    *,
    principal: Principal,
    id: str,  # the messager's own name for this parameter
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
    requested = spec or SendSpec()
    item = PushItem(
        id=id,
        to=to,
        from_=from_,
        value=value,
        method=method,
        params=params,
        kind=kind,
        spec=requested if expire_epoch is None else replace(requested, expire_epoch=expire_epoch),
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
    return messages_push_batch([(principal, item) for item in items])


def messages_push_batch(requests: Sequence[tuple[Principal, PushItem]]) -> list[Message | DomainError]:
    """Accept messages of any callers with one insert; each gets its row or its own refusal, in their order.

    Those accepted stay in the order given when they are chosen.
    """
    results: list[Message | DomainError] = []
    for principal, item in requests:
        try:
            results.append(message_validate(item, principal=principal))
        except DomainError as error:
            results.append(error)
    rows = {at: row for at, row in enumerate(results) if isinstance(row, Message)}
    if rows:
        callers = [principal for principal, _ in requests]
        for at, answer in _store_accepted(rows, callers=callers).items():
            results[at] = answer
    return results


def _store_accepted(
    rows: dict[int, Message], *, callers: Sequence[Principal]
) -> dict[int, Message | DomainError]:
    """Store those of `rows` (by place) that nothing speaks against; returns an answer for each."""
    facts = push_facts(
        senders={row.from_addr for row in rows.values()},
        receivers={row.to for row in rows.values() if row.method != METHOD_SEND},
    )
    answers: dict[int, Message | DomainError] = {}
    for at, row in rows.items():
        row.pushed_height = facts.height
        value = int(row.value)
        balance = facts.balances.get(row.from_addr, value)
        if value > balance:  # funds may still arrive: many push first and fund the address then
            row.wait, row.error = Wait.FUNDS, shortfall_describe(value, balance=balance)
        try:
            use_check(row, facts=facts, principal=callers[at])
        except DomainError as error:
            answers[at] = error
    good = {at: row for at, row in rows.items() if at not in answers}
    # Whose sender it is comes first: a stranger's message is not read any further.
    receivers = {row.to for row in good.values() if row.method != METHOD_SEND}
    kinds = receiver_kinds_resolve(receivers, known=facts.receivers)
    answers.update(_params_refused(good, kinds))
    good = {at: row for at, row in good.items() if at not in answers}
    new = sorted({row.from_addr for row in good.values()} - facts.senders.keys())
    if new:
        Sender.objects.bulk_create([Sender(address=address) for address in new], ignore_conflicts=True)
    return answers | _store(good, callers, held=_held(good, kinds, facts=facts))


def _held(rows: dict[int, Message], kinds: Mapping[str, str], *, facts: PushFacts) -> dict[str, str]:
    """Mark the messages that wait for a second person; returns by id what makes them wait."""
    held: dict[str, str] = {}
    for row in rows.values() if facts.rules else ():
        need = approval_need_describe(row, rules=facts.rules, receiver=kinds.get(row.to, ""))
        if need:
            row.needs_approval, row.wait, row.error = True, Wait.APPROVAL, ""
            held[row.pk] = need
    return held


def _params_refused(rows: dict[int, Message], kinds: Mapping[str, str]) -> dict[int, DomainError]:
    """Read calls as their receivers would: what they are for, and which of them those cannot read."""
    refused: dict[int, DomainError] = {}
    for at, row in rows.items():
        kind = kinds.get(row.to, "")
        row.priority = priority_infer(row, kind=kind)
        try:
            params_check(row, kind=kind)
        except BadMessage as error:
            refused[at] = error
    return refused


def _store(
    rows: dict[int, Message], callers: Sequence[Principal], *, held: Mapping[str, str]
) -> dict[int, Message | DomainError]:
    """Insert the rows; where an id is there already, give the stored row or MessageIdTaken."""
    if not rows:
        return {}
    now = clock.now()
    first: dict[tuple[str, int], Message] = {}
    for at, row in enumerate(rows.values()):
        row.created_at = row.updated_at = now + timedelta(microseconds=at)
        first.setdefault(_name(row), row)
    # In the order of their ids: two inserts of the same ids would wait for each other's rows for ever.
    by = {row.pk: callers[at] for at, row in rows.items()}
    with transaction.atomic():
        new = messages_insert([first[name] for name in sorted(first)])
        fresh = [row for row in first.values() if row.pk in new]
        if held:
            approvals_store([row for row in fresh if row.needs_approval], rules=held, now=now)
        pushes_audit([(by[row.pk], row) for row in fresh if not row.kind])
    with span("message push", about=of_messages(row.pk for row in fresh), begins=True):
        message_changes_publish([(row.pk, row.tenant_id) for row in fresh])
    now_due = {row.from_addr for row in fresh if row.time_sensitive and not row.needs_approval}
    transaction.on_commit(partial(selections_enqueue, now_due))
    stored = _stored([row for row in first.values() if row.pk not in new])
    answers: dict[int, Message | DomainError] = {}
    for at, row in rows.items():
        holder = first[_name(row)]
        if row is holder and row.pk in new:
            answers[at] = row
        else:
            answers[at] = _same_again(row, stored.get(holder.pk, holder), principal=callers[at])
    return answers


def _name(row: Message) -> tuple[str, int]:
    """Return what is unique of a message that is pushed: its caller's id and the tenant."""
    return str(row.push_id), row.tenant_id or 0


def _stored(rows: Sequence[Message]) -> dict[str, Message]:
    """Return by the key of each of `rows` the stored message that kept it from being inserted."""
    if not rows:
        return {}
    # A message of the pool itself keeps its key when its miner goes to another tenant.
    wanted = Q(push_id__in=[row.push_id for row in rows]) | Q(pk__in=[row.pk for row in rows])
    stored = list(Message.objects.filter(wanted))
    by_name = {_name(row): row for row in stored}
    by_key = {row.pk: row for row in stored}
    found = {row.pk: by_key.get(row.pk) or by_name.get(_name(row)) for row in rows}
    return {key: row for key, row in found.items() if row is not None}


def _same_again(row: Message, stored: Message, *, principal: Principal) -> Message | DomainError:
    """Return the stored row if it is the same message of the same account."""
    content = ("to", "from_addr", "value", "method")
    if (
        (stored.tenant_id == row.tenant_id or principal.is_operator)
        and all(getattr(stored, name) == getattr(row, name) for name in content)
        and params_alike(address_parse(row.to), row.method, bytes(stored.params), bytes(row.params))
    ):
        return stored
    return MessageIdTaken(
        gettext("message id {push_id} already exists with other content").format(push_id=row.push_id),
        field="id",
    )
