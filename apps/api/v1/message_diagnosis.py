"""Why a message waits, over REST."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.views import PoolView
from apps.chain.selectors.heads import head_current
from apps.messages.selectors.diagnosis import message_diagnose
from apps.messages.selectors.fees import LEVELS, WHERE
from apps.messages.selectors.message_limits import GUARD_SETTINGS, QUOTA, SETTINGS, message_limits
from apps.messages.selectors.messages import message_get
from apps.messages.selectors.remedies import message_remedies

LIMIT_LEVELS: Final = list(LEVELS)
LIMIT_SETTINGS: Final = [*SETTINGS, QUOTA, *GUARD_SETTINGS[1:]]


class ClickOutput(serializers.Serializer[Any]):
    """What one of the actions would do; the cost is at most this much gas, in attoFIL."""

    action = serializers.CharField()
    does = serializers.CharField()
    cost = serializers.CharField(allow_null=True)


class LimitOutput(serializers.Serializer[Any]):
    """One limit that applies to a message."""

    level = serializers.ChoiceField(choices=LIMIT_LEVELS)
    setting = serializers.ChoiceField(choices=LIMIT_SETTINGS)
    value = serializers.CharField(help_text="attoFIL; for a quota, messages in flight")
    target = serializers.CharField(help_text="sender, code and method, or guard that it is set on")
    binds = serializers.BooleanField(help_text="no limit of another level takes precedence")
    blocks = serializers.BooleanField(help_text="the message is waiting because of it")
    change = serializers.CharField(help_text="where to change it")


class DiagnosisOutput(serializers.Serializer[Any]):
    """Why a message waits."""

    reason = serializers.CharField()
    words = serializers.CharField()
    evidence = serializers.DictField()
    by_itself = serializers.CharField()
    next_epoch = serializers.IntegerField(allow_null=True)
    actions = serializers.ListField(child=serializers.CharField())
    clicks = ClickOutput(many=True)
    limits = LimitOutput(many=True)


class DiagnosisView(PoolView):
    """`/messages/{id}/diagnosis`: why it waits."""

    @extend_schema(responses=DiagnosisOutput)
    def get(self, request: Request, id: str) -> Response:  # noqa: ARG002  # the route's word; DRF's form
        """Return why a message has not landed, with evidence, and what can be done."""
        row, head = message_get(self.principal, id), head_current()
        found = message_diagnose(row, head=head)
        return Response(
            {
                "reason": str(found.reason),
                "words": found.text,
                "evidence": found.evidence,
                "by_itself": found.by_itself,
                "next_epoch": found.next_epoch,
                "actions": list(found.actions),
                "clicks": [
                    {
                        "action": click.action,
                        "does": click.does,
                        "cost": None if click.cost is None else str(click.cost),
                    }
                    for click in message_remedies(row, found, head=head)
                ],
                "limits": [
                    {
                        **asdict(limit),
                        "value": str(limit.value),
                        "change": WHERE[limit.level],
                    }
                    for limit in message_limits(row, reason=found.reason, head=head)
                    if not row.is_final
                ],
            }
        )


urlpatterns = [
    path("messages/<path:id>/diagnosis", DiagnosisView.as_view(), name="api-message-diagnosis"),
]
