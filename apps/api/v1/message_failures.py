"""Messages that need somebody over REST, grouped by what went wrong."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import CODE_HELP
from apps.api.v1.views import PoolView
from apps.checks.findings.message_costs import MessagesCost, groups_priced
from apps.checks.selectors.data import CheckData
from apps.core.reasons import code_of
from apps.messages.selectors.alike import VIEWS, MessageGroup, messages_grouped

IDS_SHOWN = 1_000


class MessageGroupOutput(serializers.Serializer[Any]):
    """Messages that call the same method and failed alike."""

    cause = serializers.CharField(
        help_text="fingerprint: `cause` of GET messages and of messages:bulk takes it"
    )
    state = serializers.ChoiceField(choices=VIEWS)
    tenant = serializers.CharField(allow_null=True, help_text="null: of several tenants")
    tenants = serializers.ListField(child=serializers.CharField())
    kind = serializers.CharField()
    method = serializers.IntegerField()
    wait = serializers.CharField()
    error = serializers.CharField()
    error_code = serializers.CharField(help_text=CODE_HELP)
    exit_code = serializers.IntegerField(allow_null=True)
    by_itself = serializers.CharField()
    """The outcome without any action."""
    actions = serializers.ListField(
        child=serializers.CharField(), help_text="what can help, best first; no retry that cannot"
    )
    count = serializers.IntegerField()
    per_day = serializers.CharField(
        allow_null=True,
        help_text="attoFIL that they cost per day: fault fees, or rewards not earned; null: not known",
    )
    since = serializers.DateTimeField()
    last = serializers.DateTimeField()
    ids = serializers.ListField(
        child=serializers.CharField(), help_text="unique in the whole pool, newest first"
    )


class MessageFailuresOutput(serializers.Serializer[Any]):
    """The groups, what costs most first; then stuck, without nonce, landed with an exit code, failed."""

    results = MessageGroupOutput(many=True)


def group_body(group: MessageGroup, cost: MessagesCost | None) -> dict[str, Any]:
    """Return one group as JSON."""
    newest = group.newest
    return {
        "cause": group.key,
        "state": group.view,
        "tenant": group.tenants[0] if len(group.tenants) == 1 else None,
        "tenants": group.tenants,
        "kind": newest.kind,
        "method": newest.method,
        "wait": newest.wait,
        "error": newest.error,
        "error_code": code_of(newest.error),
        "exit_code": newest.exit_code if newest.exit_code > 0 else None,
        "by_itself": group.diagnosis.by_itself,
        "actions": list(group.diagnosis.actions),
        "count": group.count,
        "per_day": None if cost is None else str(cost.per_day),
        "since": group.since,
        "last": group.last,
        "ids": group.ids[:IDS_SHOWN],
    }


class MessageFailuresView(PoolView):
    """`/message-failures`: stuck and failed messages by what went wrong."""

    filters = ()

    @extend_schema(responses=MessageFailuresOutput)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """List the groups; `messages:bulk` takes the cause of one, and retries none that cannot be helped."""
        data = CheckData(self.principal)
        groups = messages_grouped(self.principal, head=data.head, network=data.network)
        return Response({"results": [group_body(group, cost) for group, cost in groups_priced(data, groups)]})


urlpatterns = [path("message-failures", MessageFailuresView.as_view(), name="api-message-failures")]
