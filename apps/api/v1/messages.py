"""Messages over REST: push, list, one with its receipt, give up."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.outside_messages import outside_message_push
from apps.api.v1.list_filters import parameters_of, repeatable_of
from apps.api.v1.message_input import MessageInput, push_item
from apps.api.v1.message_output import MessageOutput, head_height_or_zero, message_body
from apps.api.v1.pagination import CURSOR, LIMIT, cursor_of, cursor_write, number
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.messages.selectors.message_filters import MessageFilters, messages_below
from apps.messages.selectors.messages import message_get, message_pushed, messages_visible
from apps.messages.services.cancel import message_mark_bad

PAGE_DEFAULT = 50
PAGE_MAX = 500


class MessagePage(serializers.Serializer[Any]):
    """One page, newest first."""

    results = MessageOutput(many=True)
    next = serializers.CharField(allow_null=True)
    """Cursor of the page below; null at the end."""


class MessagesView(PoolView):
    """`/messages`: the caller's messages."""

    filters = (*MessageFilters.base_filters, "cursor", "limit")
    repeatable = repeatable_of(MessageFilters)
    perms = {**PoolView.perms, "POST": "sign"}
    asks_network = True

    @extend_schema(parameters=[*parameters_of(MessageFilters), CURSOR, LIMIT], responses=MessagePage)
    def get(self, request: Request) -> Response:
        """List messages, newest first; `cursor` is the `next` of the previous page."""
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        filters = MessageFilters(
            request.query_params,
            messages_visible(self.principal).select_related(None).defer("signed"),
            viewer=self.principal,
            beside=("cursor", "limit", "token"),
        )
        rows = list(messages_below(filters.rows(), cursor_of(request))[: limit + 1])
        height = head_height_or_zero()
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
        row = outside_message_push(push_item(data), principal=self.principal)
        answer = message_body(row, head_height=head_height_or_zero())
        return Response(answer) if is_known else created(answer)


class MessageView(PoolView):
    """`/messages/{id}`: one message."""

    @extend_schema(responses=MessageOutput)
    def get(self, request: Request, id: str) -> Response:  # noqa: ARG002  # the route's word; DRF's form
        """Return a message, with its receipt once it has landed."""
        return Response(message_body(message_get(self.principal, id), head_height=head_height_or_zero()))


class MarkBadView(PoolView):
    """`/messages/{id}/mark-bad`: give a message up."""

    perms = {**PoolView.perms, "POST": "sign"}
    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses=MessageOutput)
    def post(self, request: Request, id: str) -> Response:  # noqa: ARG002  # the route's word; DRF's form
        """Mark a message failed; a nonce gap that it leaves is filled automatically."""
        row = message_mark_bad(message=message_get(self.principal, id), now=clock.now(), by=self.principal)
        return Response(message_body(row, head_height=head_height_or_zero()))


urlpatterns = [
    path("messages", MessagesView.as_view(), name="api-messages"),
    # Callers choose ids, with slashes too; so the route of one message comes last.
    path("messages/<path:id>/mark-bad", MarkBadView.as_view(), name="api-message-mark-bad"),
    path("messages/<path:id>", MessageView.as_view(), name="api-message"),
]
