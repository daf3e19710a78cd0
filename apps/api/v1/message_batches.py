"""Many messages in one request, and trials that send nothing."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.errors import error_body
from apps.api.outside_messages import outside_messages_push
from apps.api.v1.message_input import MessageInput, push_item
from apps.api.v1.serializers import APPROVAL_HELP, ErrorSerializer, InputSerializer
from apps.api.v1.views import PoolView
from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core.errors import DomainError
from apps.core.marked_texts import gettext
from apps.messages.services.dry_run import message_dry_run
from apps.messages.services.signer_trials import run_refusal_find

BATCH_MAX = 1000


class BatchInput(InputSerializer):
    """Messages to push, in sending order."""

    messages = serializers.ListField(child=MessageInput(), allow_empty=False, max_length=BATCH_MAX)


class BatchResult(serializers.Serializer[Any]):
    """The result for one message: its state, or why it was refused."""

    id = serializers.CharField()
    state = serializers.CharField(allow_null=True)
    wait = serializers.CharField()
    """Why it waits; empty for what was refused."""
    error = ErrorSerializer(allow_null=True)


class BatchOutput(serializers.Serializer[Any]):
    """One result per message, in the same order."""

    results = BatchResult(many=True)


class DryRunOutput(serializers.Serializer[Any]):
    """What a message would do and cost; amounts are attoFIL as text."""

    exit_code = serializers.IntegerField()
    error = serializers.CharField()
    gas_used = serializers.IntegerField()
    gas_limit = serializers.IntegerField()
    gas_fee_cap = serializers.CharField()
    gas_premium = serializers.CharField()
    cost_expected = serializers.CharField()
    cost_max = serializers.CharField()
    balance = serializers.CharField()
    waiting = serializers.CharField(help_text="attoFIL that messages of the sender without a nonce may take")
    balance_after = serializers.CharField(
        help_text="balance less the most that this and all messages in progress can cost"
    )
    approval = serializers.CharField(help_text=APPROVAL_HELP)
    signer = serializers.CharField(help_text="why the signer would not sign it; empty if it would")


class BatchView(PoolView):
    """`/messages:batch`: up to 1,000 messages in one insert."""

    perms = {**PoolView.perms, "POST": "sign"}
    asks_network = True

    @extend_schema(request=BatchInput, responses=BatchOutput)
    def post(self, request: Request) -> Response:
        """Push messages; each is accepted or refused on its own, and the request is safe to repeat."""
        body = BatchInput(data=request.data)
        body.is_valid(raise_exception=True)
        items = [push_item(data) for data in body.validated_data["messages"]]
        answers = outside_messages_push([(self.principal, item) for item in items])
        results = [
            {"id": item.id, "state": None, "wait": "", "error": error_body(answer)}
            if isinstance(answer, DomainError)
            else {"id": item.id, "state": answer.state, "wait": answer.wait, "error": None}
            for item, answer in zip(items, answers, strict=True)
        ]
        return Response({"results": results})


class DryRunView(PoolView):
    """`/messages:dry-run`: a trial on the newest state."""

    asks_network = True

    @extend_schema(request=MessageInput, responses=DryRunOutput)
    def post(self, request: Request) -> Response:
        """Return what a message would do and cost; nothing is stored, signed or sent."""
        body = MessageInput(data=request.data)
        body.is_valid(raise_exception=True)
        head = head_current()
        if head is None:
            raise NetworkUnknown(gettext("no chain head is known yet"))
        item = push_item(body.validated_data)
        found = message_dry_run(item, principal=self.principal, client=chain_client(), head=head)
        return Response(
            {
                "exit_code": found.exit_code,
                "error": found.error,
                "gas_used": found.gas_used,
                "gas_limit": found.gas_limit,
                "gas_fee_cap": str(found.gas_fee_cap),
                "gas_premium": str(found.gas_premium),
                "cost_expected": str(found.cost_expected),
                "cost_max": str(found.cost_max),
                "balance": str(found.balance),
                "waiting": str(found.waiting),
                "balance_after": str(found.balance_after),
                "approval": found.approval,
                "signer": run_refusal_find(found, by=self.principal),
            }
        )


urlpatterns = [
    path("messages:batch", BatchView.as_view(), name="api-messages-batch"),
    path("messages:dry-run", DryRunView.as_view(), name="api-messages-dry-run"),
]
