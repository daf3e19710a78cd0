"""Reading messages: those that a viewer may see, by their ids, states and events."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from django.db.models import Q, QuerySet

from apps.core.compiled import Compiled
from apps.messages.errors import MessageIdAmbiguous, MessageNotFound
from apps.messages.models import Message, MessageEvent, Sender, SignedVersion
from apps.messages.states import MessageState
from apps.users.rules.principals import Principal
from poolsite.filecoin.address import id_address
from poolsite.filecoin.message import SignedMessage, signed_message_from_cbor

UNLISTED: Final = ("params", "signed", "return_data")
"""Columns of a message that no list shows, up to 64 KiB each."""
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


def message_get(viewer: Principal, id: str) -> Message:  # the messager's own name for this parameter
    """Return the message that the viewer means by `id`, see `message_meant`.

    Raises MessageNotFound, for a stranger's too, and MessageIdAmbiguous.
    """
    row = message_meant(
        viewer, id, list(messages_visible(viewer).filter(Q(push_id=id) | Q(pk=id))[:AMBIGUOUS_MAX])
    )
    if row is None:
        raise MessageNotFound
    return row


def messages_named(viewer: Principal, ids: Collection[str]) -> dict[str, Message | None]:
    """Return the messages that the viewer means by `ids`, None for what it does not see.

    Raises MessageIdAmbiguous.
    """
    rows = messages_visible(viewer).filter(Q(push_id__in=ids) | Q(pk__in=ids))
    by_id: dict[str, list[Message]] = {}
    for row in rows:
        for name in {row.push_id, row.pk}:
            by_id.setdefault(name, []).append(row)
    return {id_: message_meant(viewer, id_, by_id.get(id_, ())) for id_ in dict.fromkeys(ids)}


def message_meant(viewer: Principal, id: str, rows: Sequence[Message]) -> Message | None:
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


def message_states(ids: Collection[str]) -> list[Message]:
    """Return the existing messages of these ids, with the columns that decide whether to go on waiting."""
    return list(Message.objects.filter(pk__in=ids).only("state", "height", "wait", "attempts"))


def message_may_land(message: Message) -> bool:
    """Return whether the chain may still get a message; one that was given up, while its nonce is open."""
    if message.state != MessageState.FAILED or message.nonce is None:
        return message.state in (MessageState.UNFILLED, MessageState.FILLED)
    return Sender.objects.filter(address=message.from_addr, chain_nonce__lte=message.nonce).exists()


def message_pushed(*, tenant_id: int, push_id: str) -> bool:
    """Return whether a tenant has pushed a message under this id."""
    return Message.objects.filter(push_id=push_id, tenant=tenant_id).exists()


def messages_moved(heights: Mapping[str, int | None]) -> set[str]:
    """Return those of the messages that have not succeeded, or no longer, or landed at another height."""
    rows = Message.objects.filter(pk__in=list(heights)).values_list("pk", "state", "exit_code", "height")
    return {pk for pk, *where in rows if where != [MessageState.LANDED, 0, heights[pk]]}


def message_of_cid(viewer: Principal, cid: str) -> Message | None:
    """Return the viewer's message of which a version was ever signed with this CID; None for others'."""
    rows = messages_visible(viewer)
    newest = rows.filter(cid=cid).exclude(cid="")
    found = sorted(newest, key=lambda row: row.state not in (MessageState.FILLED, MessageState.LANDED))
    return found[0] if found else rows.filter(pk__in=message_keys_by_cid(cid)).first()


def message_versions(message: Message) -> list[SignedMessage]:
    """Return every version of a message whose signature is known, the first one first."""
    older = SignedVersion.objects.filter(message=message).exclude(signed=b"").order_by("made_at", "pk")
    signed = [*older.values_list("signed", flat=True), *([message.signed] if message.signed else [])]
    return [signed_message_from_cbor(bytes(one)) for one in signed]


def message_keys_by_cid(cid: str) -> list[str]:
    """Return the keys of the messages of which a version was signed with this CID."""
    return list(SignedVersion.objects.filter(cid=cid).values_list("message_id", flat=True))


def messages_behind_count(message: Message) -> int:
    """Count the signed messages of the same sender with a higher nonce."""
    behind = Message.objects.filter(from_addr=message.from_addr, state=MessageState.FILLED)
    return behind.filter(nonce__gt=message.nonce or 0).count()


def senders_of(ids: Collection[str]) -> set[str]:
    """Return the senders of messages by their keys."""
    return set(Message.objects.filter(pk__in=ids).values_list("from_addr", flat=True))


def message_events(message: Message) -> list[MessageEvent]:
    """Return the timeline beside the times in the row itself."""
    return list(message.events.all())


def messages_open(viewer: Principal) -> QuerySet[Message]:
    """Return what is neither landed nor given up."""
    return messages_visible(viewer).filter(state__in=[MessageState.UNFILLED, MessageState.FILLED])
