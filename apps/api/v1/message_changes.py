"""Changing messages over REST beside replacing and giving up: publish again, cancel, a whole queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.message_output import MessageOutput, message_body
from apps.api.v1.serializers import AddressField, InputSerializer
from apps.api.v1.views import PoolView
from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.messages.selectors.message_filters import MessageFilters
from apps.messages.selectors.messages import message_get, messages_named, messages_visible
from apps.messages.services.bulk import BULK_MAX, BULK_STATES, messages_bulk
from apps.messages.services.cancel import message_cancel
from apps.messages.services.publish import message_republish, messages_publish
from apps.messages.services.taken_nonces import message_push_again

if TYPE_CHECKING:
    from apps.chain.models import Head
    from apps.messages.models import Message

BULK_ACTIONS: Final = list(BULK_STATES)


class BulkInput(InputSerializer):
    """An action on messages: those named, or all that match the filter and are in a state for it."""

    action = serializers.ChoiceField(choices=BULK_ACTIONS)
    ids = serializers.ListField(
        child=serializers.CharField(max_length=256), required=False, max_length=BULK_MAX
    )
    kind = serializers.CharField(required=False, max_length=32)
    cause = serializers.CharField(
        required=False, max_length=32, help_text="fingerprint of a group of message-failures"
    )

    def get_fields(self) -> Any:
        """Add `from`, which Python cannot name."""
        return {**super().get_fields(), "from": AddressField(required=False)}


class BulkRefusal(serializers.Serializer[Any]):
    """One message that was left unchanged."""

    id = serializers.CharField(help_text="the message's own, or as in `ids` if it was left out")
    reason = serializers.CharField()


class BulkOutput(serializers.Serializer[Any]):
    """What was done; `left` counts messages that match the filter but exceed one request."""

    done = serializers.ListField(child=serializers.CharField())
    refused = BulkRefusal(many=True)
    left = serializers.IntegerField()


def head_needed() -> Head:
    """Return the newest head.  Raises NetworkUnknown before the first one."""
    head = head_current()
    if head is None:
        raise NetworkUnknown(gettext("no chain head is known yet"))
    return head


class CancelView(PoolView):
    """`/messages/{id}/cancel`: an empty message takes the nonce."""

    perms = {**PoolView.perms, "POST": "sign"}
    asks_network = True
    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses=MessageOutput)
    def post(self, request: Request, id: str) -> Response:  # noqa: ARG002  # the route's word; DRF's form
        """Cancel a message in flight with an empty message to self under its nonce; returns that message."""
        head = head_needed()
        made = message_cancel(
            message=message_get(self.principal, id),
            client=chain_client(),
            head=head,
            now=clock.now(),
            by=self.principal,
        )
        messages_publish([made.pk], now=clock.now())
        made.refresh_from_db()
        return Response(message_body(made, head_height=head.height))


class PushAgainView(PoolView):
    """`/messages/{id}/push-again`: a new nonce for a message whose nonce another one used."""

    perms = {**PoolView.perms, "POST": "sign"}
    asks_network = True
    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses=MessageOutput)
    def post(self, request: Request, id: str) -> Response:  # noqa: ARG002  # the route's word; DRF's form
        """Push a message again whose nonce another one used; it keeps its id and waits like a new one.

        Refused until 20 epochs after that nonce was used.  What it pays is paid twice if its caller has sent
        another message in its place.
        """
        head = head_needed()
        row = message_push_again(
            message=message_get(self.principal, id),
            client=chain_client(),
            head=head,
            now=clock.now(),
            by=self.principal,
        )
        return Response(message_body(row, head_height=head.height))


class RepublishView(PoolView):
    """`/messages/{id}/republish`: to every node once more."""

    perms = {**PoolView.perms, "POST": "sign"}
    asks_network = True
    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses=MessageOutput)
    def post(self, request: Request, id: str) -> Response:  # noqa: ARG002  # the route's word; DRF's form
        """Publish a message in flight to every node again."""
        row = message_get(self.principal, id)
        message_republish(message=row, now=clock.now(), by=self.principal)
        row.refresh_from_db()
        return Response(message_body(row, head_height=head_needed().height))


class BulkView(PoolView):
    """`/messages:bulk`: one change to many messages."""

    perms = {**PoolView.perms, "POST": "sign"}
    asks_network = True

    @extend_schema(request=BulkInput, responses=BulkOutput)
    def post(self, request: Request) -> Response:
        """Replace, cancel, republish, retry or mark failed many messages; refusals are listed.

        A retry that cannot help is refused with its reason.
        """
        body = BulkInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        if not {"ids", "kind", "from", "cause"} & set(data):
            raise BadValue(gettext("select messages by ids, from, kind or cause"), field="ids")
        rows, passed_over = self.chosen(data)
        count = rows.count()
        ordered = rows.order_by("from_addr", "nonce", "created_at", "pk")[:BULK_MAX]
        done = messages_bulk(
            data["action"],
            rows=ordered,
            client=chain_client(),
            head=head_needed(),
            now=clock.now(),
            by=self.principal,
        )
        refused = passed_over + [(row.push_id, reason) for row, reason in done.refused]
        return Response(
            {
                "done": [row.push_id for row in done.done],
                "refused": [{"id": id_, "reason": reason} for id_, reason in refused],
                "left": max(count - BULK_MAX, 0),
            }
        )

    def chosen(self, data: dict[str, Any]) -> tuple[QuerySet[Message], list[tuple[str, str]]]:
        """Return the messages that the body selects, and why not those of its `ids` that it leaves out."""
        filters = {"kind": data.get("kind"), "from_addr": data.get("from")}
        rows = messages_visible(self.principal)
        rows = rows.filter(**{name: value for name, value in filters.items() if value is not None})
        if "cause" in data:
            rows = MessageFilters({"cause": data["cause"]}, rows, viewer=self.principal).rows()
        if "ids" not in data:
            return rows.filter(state__in=BULK_STATES[data["action"]]), []
        named = messages_named(self.principal, data["ids"])
        rows = rows.filter(pk__in=[row.pk for row in named.values() if row is not None])
        chosen = set(rows.values_list("pk", flat=True))
        unknown, other = (
            gettext("there is no such message"),
            gettext("it does not match from, kind and cause"),
        )
        return rows, [
            (id_, unknown if row is None else other)
            for id_, row in named.items()
            if row is None or row.pk not in chosen
        ]


urlpatterns = [
    path("messages:bulk", BulkView.as_view(), name="api-messages-bulk"),
    path("messages/<path:id>/push-again", PushAgainView.as_view(), name="api-message-push-again"),
    path("messages/<path:id>/cancel", CancelView.as_view(), name="api-message-cancel"),
    path("messages/<path:id>/republish", RepublishView.as_view(), name="api-message-republish"),
]
