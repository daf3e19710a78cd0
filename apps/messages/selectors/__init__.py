"""Reading messages and senders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import connection
from django.db.models import Q

from apps.chain.models import Follower, Head
from apps.core.compiled import Compiled
from apps.core.prepared_statements import Prepared
from apps.messages.errors import MessageIdAmbiguous, MessageNotFound, SenderNotFound
from apps.messages.models import Message, MessageEvent, Sender, SignedVersion
from apps.messages.states import MessageState
from apps.users.models import SignerGrant, Tenant
from apps.users.selectors import signers_of
from poolsite.filecoin.address import BadAddress, address_format, address_parse, id_address

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from apps.core.errors import DomainError
    from apps.users.principals import Principal

AMBIGUOUS_MAX: Final = 20
"""Messages of one id, of as many tenants, that a refusal names at most."""


def messages_visible(viewer: Principal) -> QuerySet[Message]:
    """Return the messages that the viewer may see, newest first: an operator all, a tenant its own.

    A token for some signers or miners sees what is sent from those and to these.
    """
    rows = Message.objects.select_related("tenant").order_by("-created_at", "-pk")
    if viewer.signers:
        rows = rows.filter(from_addr__in=viewer.signers)
    if viewer.miners:
        rows = rows.filter(to__in=[str(id_address(actor_id)) for actor_id in viewer.miners])
    return rows if viewer.is_operator else rows.filter(tenant=viewer.own_id)


def message_get(viewer: Principal, id: str) -> Message:  # the messager's word for it
    """Return the message that the viewer means by `id`, see `_meant`.

    Raises MessageNotFound, for a stranger's too, and MessageIdAmbiguous.
    """
    row = _meant(viewer, id, list(messages_visible(viewer).filter(Q(push_id=id) | Q(pk=id))[:AMBIGUOUS_MAX]))
    if row is None:
        raise MessageNotFound("record not found", field="id")
    return row


def message_keys(viewer: Principal, ids: Collection[str]) -> list[str]:
    """Return the keys of the messages that the viewer means by `ids`, without those that it does not see.

    Raises MessageIdAmbiguous.
    """
    rows = messages_visible(viewer).filter(Q(push_id__in=ids) | Q(pk__in=ids))
    by_id: dict[str, list[Message]] = {}
    for row in rows:
        for name in {row.push_id, row.pk}:
            by_id.setdefault(name, []).append(row)
    meant = (_meant(viewer, id_, by_id.get(id_, ())) for id_ in dict.fromkeys(ids))
    return [row.pk for row in meant if row is not None]


def _meant(viewer: Principal, id: str, rows: Sequence[Message]) -> Message | None:
    """Return which of the messages with this id, all of them the viewer's to see, the viewer means.

    Ids are chosen by callers and unique per tenant.  The viewer's own tenant goes first; then the id that is
    unique in the whole pool; then the only tenant that has such a message.  Raises MessageIdAmbiguous.
    """
    own = [row for row in rows if row.push_id == id and row.tenant_id == viewer.tenant_id]
    found = own or [row for row in rows if row.pk == id] or list(rows)
    if len(found) > 1:
        raise MessageIdAmbiguous(
            {row.tenant.name if row.tenant else "the pool": str(row.pk) for row in found}
        )
    return found[0] if found else None


def messages_by_ids(ids: Collection[str]) -> dict[str, Message]:
    """Return messages by their keys for the apps that pushed them; unknown ones are left out.

    Parameters and signature, tens of kilobytes in a batch of sectors, are read when they are asked for.
    """
    return {row.pk: row for row in BY_KEY.rows(keys=list(ids))} if ids else {}


BY_KEY: Final[Compiled[Message]] = Compiled(
    "messages_by_key",
    lambda keys: Message.objects.filter(pk__any=keys).defer("params", "signed").order_by(),
    keys="text[]",
)


def message_states(ids: Collection[str]) -> list[tuple[str, str, int]]:
    """Return key, state and landing height of the messages that there are."""
    return list(Message.objects.filter(pk__in=ids).values_list("pk", "state", "height"))


def message_pushed(*, tenant_id: int, push_id: str) -> bool:
    """Return whether a tenant has pushed a message under this id."""
    return Message.objects.filter(push_id=push_id, tenant=tenant_id).exists()


def messages_not_landed(ids: Iterable[str]) -> set[str]:
    """Return those of the messages that are not, or no longer, on the chain."""
    rows = Message.objects.filter(pk__in=list(ids)).exclude(state=MessageState.LANDED)
    return set(rows.values_list("pk", flat=True))


def message_keys_by_cid(cid: str) -> list[str]:
    """Return the keys of the messages of which a version was signed with this CID."""
    return list(SignedVersion.objects.filter(cid=cid).values_list("message_id", flat=True))


def messages_behind_count(message: Message) -> int:
    """Count the signed messages of the same sender with a higher nonce."""
    behind = Message.objects.filter(from_addr=message.from_addr, state=MessageState.FILLED)
    return behind.filter(nonce__gt=message.nonce or 0).count()


def messages_unsigned(senders: Collection[str]) -> QuerySet[Message]:
    """Return what waits for its signature at these senders, oldest first."""
    rows = Message.objects.filter(from_addr__in=senders, state=MessageState.UNFILLED)
    return rows.order_by("created_at")


def senders_of(ids: Collection[str]) -> set[str]:
    """Return the senders of messages by their keys."""
    return set(Message.objects.filter(pk__in=ids).values_list("from_addr", flat=True))


COLUMNS: Final = tuple(Message._meta.concrete_fields)
CONVERTED: Final = tuple(
    (place, column.from_db_value) for place, column in enumerate(COLUMNS) if hasattr(column, "from_db_value")
)
"""Places of the columns that do not come out of the database as they are in a row."""


def _seen_text(condition: str) -> str:
    """Write the question for messages with their tenants' names and the newest head's height."""
    names = ", ".join(f'm."{column.column}"' for column in COLUMNS)
    # Only names of tables and columns are pasted into the statement.
    return (
        f"SELECT {names}, t.name, (SELECT h.height"  # noqa: S608
        f" FROM {Head._meta.db_table} h JOIN {Follower._meta.db_table} f ON f.head_id = h.id"
        " ORDER BY f.id LIMIT 1)"
        f" FROM {Message._meta.db_table} m LEFT JOIN {Tenant._meta.db_table} t ON t.id = m.tenant_id"
        f" WHERE m.push_id {condition} OR m.id {condition}"
    )


SEEN_ONE: Final = Prepared("message_seen", _seen_text("= $1"), ["text"])
SEEN: Final = Prepared("messages_seen", _seen_text("= ANY($1)"), ["text[]"])
"""For several; of a list the planner thinks that it is long, and plans anew each time."""


def messages_seen(asked: Sequence[tuple[Principal, str]]) -> list[tuple[Message, int] | DomainError]:
    """Return what `message_get` would give each of many callers, or raise, with one query for all of them.

    Beside each message stands the height of the newest head, 0 before the first one.
    """
    ids = [id_ for _, id_ in asked]
    lines = [_seen(line) for line in (SEEN_ONE.rows(ids) if len(ids) == 1 else SEEN.rows([ids]))]
    by_id: dict[str, dict[str, tuple[Message, int]]] = {}
    for line in lines:
        for name in {line[0].push_id, line[0].pk}:
            by_id.setdefault(name, {})[line[0].pk] = line
    return [_seen_by(viewer, id_, by_id.get(id_, {})) for viewer, id_ in asked]


def _seen_by(
    viewer: Principal, id_: str, lines: dict[str, tuple[Message, int]]
) -> tuple[Message, int] | DomainError:
    try:
        row = _meant(viewer, id_, [row for row, _ in lines.values() if message_is_visible(viewer, row)])
    except MessageIdAmbiguous as error:
        return error
    return MessageNotFound("record not found", field="id") if row is None else lines[row.pk]


def message_is_visible(viewer: Principal, row: Message) -> bool:
    """Return of one message what `messages_visible` returns of all."""
    is_own = viewer.is_operator or row.tenant_id == viewer.own_id
    return is_own and viewer.may_sign_with(row.from_addr) and viewer.may_address(row.to)


def _seen(line: tuple[Any, ...]) -> tuple[Message, int]:
    """Make one line of the answer the row that Django would; its tenant has only a name."""
    *values, tenant_name, height = line
    for place, convert in CONVERTED:
        values[place] = convert(values[place], None, connection)
    row = Message.from_db(connection.alias, [column.attname for column in COLUMNS], values)
    if row.tenant_id is not None:
        row.tenant = Tenant(pk=row.tenant_id, name=tenant_name)
    return row, height or 0


def message_events(message: Message) -> list[MessageEvent]:
    """Return the timeline beside the times in the row itself."""
    return list(message.events.all())


def messages_page(
    viewer: Principal,
    *,
    states: Collection[str] = (),
    senders: Collection[str] = (),
    kind: str = "",
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[Message]:
    """Return one page, newest first; `before` is creation time and id of the last row of the page above."""
    rows = messages_visible(viewer).select_related(None).defer("signed")
    if states:
        rows = rows.filter(state__in=list(states))
    if senders:
        rows = rows.filter(from_addr__in=list(senders))
    if kind:
        rows = rows.filter(kind=kind)
    if before is not None:
        moment, pk = before
        # The first condition lets the index stop the scan; the exclusion settles equal times.
        rows = rows.filter(created_at__lte=moment).exclude(created_at=moment, pk__gte=pk)
    return list(rows[:limit])


def messages_open(viewer: Principal) -> QuerySet[Message]:
    """Return what is neither landed nor given up."""
    return messages_visible(viewer).filter(state__in=[MessageState.UNFILLED, MessageState.FILLED])


def senders_visible(viewer: Principal) -> QuerySet[Sender]:
    """Return the senders that the viewer may use; an operator sees all."""
    rows = Sender.objects.order_by("pk")
    if viewer.signers:
        rows = rows.filter(address__in=viewer.signers)
    if viewer.is_operator:
        return rows
    # By grants, not by messages: those grow for ever.
    return rows.filter(address__in=signers_of(viewer).values("address"))


def sender_may_set(viewer: Principal, address: str) -> bool:
    """Return whether the viewer may change a sender's settings; if tenants share it, the operator may."""
    others = SignerGrant.objects.filter(address=address, deleted_at=None).exclude(tenant=viewer.own_id)
    return viewer.is_operator or not others.exists()


def sender_get(viewer: Principal, address: str) -> Sender:
    """Return one sender.  Raises SenderNotFound, also for what is no address."""
    try:
        address = address_format(address_parse(address))
    except BadAddress:
        raise SenderNotFound("record not found", field="address") from None
    row = senders_visible(viewer).filter(address=address).first()
    if row is None:
        raise SenderNotFound("record not found", field="address")
    return row
