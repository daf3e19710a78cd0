"""Messages over REST: push, list, one with its receipt, replace, give up."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from django.urls import path
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import cursor_read, cursor_write, number
from apps.api.v1.serializers import AddressField, AmountField, InputSerializer
from apps.api.v1.views import PoolView, created
from apps.chain.client import chain_client
from apps.chain.errors import NetworkUnknown
from apps.chain.selectors import head_current
from apps.core import clock
from apps.core.errors import BadValue, DomainError
from apps.messages.selectors import message_get, message_pushed, messages_page
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.publish import messages_publish
from apps.messages.services.push import messages_push
from apps.messages.services.replace import NewFees, fee_limits_set, message_replace
from apps.messages.services.validate import Gas, PushItem, SendSpec
from apps.messages.states import MessageState
from poolsite.filecoin.amounts import TOTAL_FILECOIN

if TYPE_CHECKING:
    from apps.messages.models import Message

PAGE_DEFAULT = 50
PAGE_MAX = 500


class Base64Field(serializers.CharField):
    """Bytes as base64 with padding; empty text is no bytes."""

    def to_internal_value(self, data: Any) -> Any:
        """Read it."""
        try:
            return base64.b64decode(super().to_internal_value(data), validate=True)
        except (binascii.Error, ValueError):
            raise serializers.ValidationError(gettext("must be base64")) from None

    def to_representation(self, value: Any) -> str:
        """Write it."""
        return base64.b64encode(bytes(value)).decode()


def _zero() -> Any:
    """Return the amount of a field that is left out, as the field's own reading would."""
    return 0


def _empty() -> Any:
    """Return the bytes of a field that is left out."""
    return b""


class MessageInput(InputSerializer):
    """A message to push.  Numbers that do not fit a JSON number are decimal text."""

    id = serializers.CharField(max_length=256)
    to = AddressField()
    value = AmountField(default=_zero)
    method = serializers.IntegerField(min_value=0, max_value=(1 << 63) - 1)
    params = Base64Field(default=_empty, allow_blank=True)
    gas_limit = serializers.IntegerField(min_value=0, default=0)
    gas_fee_cap = AmountField(default=_zero)
    gas_premium = AmountField(default=_zero)
    max_fee = AmountField(default=_zero)
    gas_over_estimation = serializers.FloatField(min_value=0, default=0)
    gas_over_premium = serializers.FloatField(min_value=0, default=0)
    expire_epoch = serializers.IntegerField(min_value=0, default=0)
    hold_base_fee = AmountField(default=_zero)
    hold_until = serializers.IntegerField(min_value=0, default=0)

    def get_fields(self) -> Any:
        """Add `from`, which Python cannot name."""
        return {**super().get_fields(), "from": AddressField()}


class ReceiptOutput(serializers.Serializer[Any]):
    """The result of execution."""

    exit_code = serializers.IntegerField()
    gas_used = serializers.IntegerField()

    def get_fields(self) -> Any:
        """Add `return`, which Python cannot name."""
        return {**super().get_fields(), "return": serializers.CharField(allow_null=True)}


class MessageOutput(serializers.Serializer[Any]):
    """One message."""

    id = serializers.CharField()
    """Its caller's; unique within the tenant."""
    uid = serializers.CharField()
    """Unique in the whole pool; taken wherever an id is."""
    kind = serializers.CharField()
    state = serializers.ChoiceField(choices=MessageState.values)
    to = serializers.CharField()
    value = serializers.CharField()
    method = serializers.IntegerField()
    params = serializers.CharField(allow_null=True)
    nonce = serializers.IntegerField(allow_null=True)
    cid = serializers.CharField(allow_null=True)
    gas_limit = serializers.IntegerField()
    gas_fee_cap = serializers.CharField()
    gas_premium = serializers.CharField()
    height = serializers.IntegerField(allow_null=True)
    tipset = serializers.ListField(child=serializers.CharField())
    confidence = serializers.IntegerField()
    receipt = ReceiptOutput(allow_null=True)
    wait = serializers.CharField()
    error = serializers.CharField()
    created_at = serializers.DateTimeField()
    filled_at = serializers.DateTimeField(allow_null=True)
    published_at = serializers.DateTimeField(allow_null=True)
    landed_at = serializers.DateTimeField(allow_null=True)

    def get_fields(self) -> Any:
        """Add `from`, which Python cannot name."""
        return {**super().get_fields(), "from": serializers.CharField()}


class MessagePage(serializers.Serializer[Any]):
    """One page, newest first."""

    results = MessageOutput(many=True)
    next = serializers.CharField(allow_null=True)
    """Cursor of the page below; null at the end."""


class ReplaceInput(InputSerializer):
    """New fees; if all are empty, they are estimated again."""

    max_fee = AmountField(default=_zero)
    gas_limit = serializers.IntegerField(min_value=0, default=0)
    gas_fee_cap = AmountField(default=_zero)
    gas_premium = AmountField(default=_zero)


def message_body(row: Message, *, head_height: int) -> dict[str, Any]:
    """Write one message."""
    is_on_chain = bool(row.tipset_key)
    receipt = {
        "exit_code": row.exit_code,
        "gas_used": row.gas_used,
        "return": base64.b64encode(row.return_).decode() if row.return_ else None,
    }
    return {
        "id": row.push_id,
        "uid": row.pk,
        "kind": row.kind,
        "state": row.state,
        "from": row.from_addr,
        "to": row.to,
        "value": str(row.value),
        "method": row.method,
        "params": base64.b64encode(bytes(row.params)).decode() if row.params else None,
        "nonce": row.nonce,
        "cid": row.cid or None,
        "gas_limit": row.gas_limit,
        "gas_fee_cap": str(row.gas_fee_cap),
        "gas_premium": str(row.gas_premium),
        "height": row.height if is_on_chain else None,
        "tipset": row.tipset_key.split(),
        "confidence": max(head_height - row.height, 0) if is_on_chain else 0,
        "receipt": receipt if is_on_chain else None,
        "wait": row.wait,
        "error": row.error,
        "created_at": row.created_at,
        "filled_at": row.filled_at,
        "published_at": row.published_at,
        "landed_at": row.landed_at,
    }


def _height() -> int:
    head = head_current()
    return 0 if head is None else head.height


def push_item(data: dict[str, Any]) -> PushItem:
    """Return a checked body as the service takes it."""
    return PushItem(
        id=data["id"],
        to=data["to"],
        from_=data["from"],
        value=data["value"],
        method=data["method"],
        params=data["params"] or b"",
        spec=SendSpec(
            max_fee=data["max_fee"],
            gas_over_estimation=data["gas_over_estimation"],
            gas_over_premium=data["gas_over_premium"],
            expire_epoch=data["expire_epoch"],
            hold_base_fee=data["hold_base_fee"],
            hold_until=data["hold_until"],
        ),
        gas=Gas(limit=data["gas_limit"], fee_cap=data["gas_fee_cap"], premium=data["gas_premium"]),
    )


class MessagesView(PoolView):
    """`/messages`: the caller's messages."""

    perms = {**PoolView.perms, "POST": "sign"}

    @extend_schema(
        operation_id="v1_messages_list",
        parameters=[
            OpenApiParameter("state", str, many=True),
            OpenApiParameter("from", str, many=True),
            OpenApiParameter("kind", str),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int),
        ],
        responses=MessagePage,
    )
    def get(self, request: Request) -> Response:
        """List messages, newest first; `cursor` is the `next` of the previous page."""
        query = request.query_params
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        unknown = set(query) - {"state", "from", "kind", "cursor", "limit", "token"}
        if unknown:
            raise BadValue(gettext("there is no such filter"), field=sorted(unknown)[0])
        rows = messages_page(
            self.principal,
            states=_states(query.getlist("state")),
            senders=[AddressField().run_validation(one) for one in query.getlist("from")],
            kind=query.get("kind", ""),
            before=cursor_read(query["cursor"]) if "cursor" in query else None,
            limit=limit + 1,
        )
        height = _height()
        results = [message_body(row, head_height=height) for row in rows[:limit]]
        more = cursor_write(rows[limit - 1].created_at, rows[limit - 1].pk) if len(rows) > limit else None
        return Response({"results": results, "next": more})

    @extend_schema(request=MessageInput, responses={201: MessageOutput, 200: MessageOutput})
    def post(self, request: Request) -> Response:
        """Push a message; the same content with the same id returns 200 and the existing message."""
        body = MessageInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        is_known = message_pushed(tenant_id=self.principal.own_id, push_id=data["id"])
        row = messages_push([push_item(data)], principal=self.principal)[0]
        if isinstance(row, DomainError):
            raise row
        answer = message_body(row, head_height=_height())
        return Response(answer) if is_known else created(answer)


class MessageView(PoolView):
    """`/messages/{id}`: one message."""

    @extend_schema(responses=MessageOutput)
    def get(self, request: Request, id: str) -> Response:  # noqa: ARG002  # the route's word; DRF's form
        """Return a message, with its receipt once it has landed."""
        return Response(message_body(message_get(self.principal, id), head_height=_height()))


class ReplaceView(PoolView):
    """`/messages/{id}/replace`: higher fees for a message in flight, or other limits before it is signed."""

    perms = {**PoolView.perms, "POST": "sign"}

    @extend_schema(request=ReplaceInput, responses=MessageOutput)
    def post(self, request: Request, id: str) -> Response:  # the route's word
        """Sign again with the same nonce and new fees, and publish; for a message without a nonce yet, set
        its own `max_fee` and `gas_fee_cap` and retry it at once.
        """
        body = ReplaceInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        if max(data["gas_fee_cap"], data["gas_premium"], data["max_fee"]) > TOTAL_FILECOIN:
            raise BadValue(gettext("exceeds the total FIL supply"), field="gas_fee_cap")
        found = message_get(self.principal, id)
        if found.state == MessageState.UNFILLED:
            limits = {name: data[name] for name in ("max_fee", "gas_fee_cap")}
            row = fee_limits_set(message=found, **limits, now=clock.now())
            return Response(message_body(row, head_height=_height()))
        head = head_current()
        if head is None:
            raise NetworkUnknown(gettext("no chain head is known yet"))
        fees = NewFees(
            is_auto=not (data["gas_fee_cap"] or data["gas_premium"]),
            max_fee=data["max_fee"],
            gas_limit=data["gas_limit"],
            premium=data["gas_premium"],
            fee_cap=data["gas_fee_cap"],
        )
        row = message_replace(
            message=found,
            fees=fees,
            client=chain_client(),
            head=head,
            now=clock.now(),
            by=self.principal,
        )
        messages_publish([row.pk], now=clock.now())
        row.refresh_from_db()
        return Response(message_body(row, head_height=head.height))


class MarkBadView(PoolView):
    """`/messages/{id}/mark-bad`: give a message up."""

    perms = {**PoolView.perms, "POST": "sign"}

    @extend_schema(request=None, responses=MessageOutput)
    def post(self, request: Request, id: str) -> Response:  # noqa: ARG002  # the route's word; DRF's form
        """Mark a message failed; a nonce gap that it leaves is filled automatically."""
        row = message_mark_bad(message=message_get(self.principal, id), now=clock.now(), by=self.principal)
        return Response(message_body(row, head_height=_height()))


def _states(words: list[str]) -> list[str]:
    for word in words:
        if word not in MessageState.values:
            raise BadValue(
                gettext("must be one of {values}").format(values=", ".join(MessageState.values)),
                field="state",
            )
    return words


urlpatterns = [
    path("messages", MessagesView.as_view(), name="api-messages"),
    # Callers choose ids, with slashes too; so the route of one message comes last.
    path("messages/<path:id>/replace", ReplaceView.as_view(), name="api-message-replace"),
    path("messages/<path:id>/mark-bad", MarkBadView.as_view(), name="api-message-mark-bad"),
    path("messages/<path:id>", MessageView.as_view(), name="api-message"),
]
