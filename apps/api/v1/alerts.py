"""Alerts over REST: which checks fail since when, who works on them, and what was written."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.list_filters import ListView, parameters_of
from apps.api.v1.pagination import CURSOR, LIMIT, cursor_number, cursor_write
from apps.api.v1.serializers import InputSerializer, checked
from apps.api.v1.views import PoolView, created
from apps.checks.selectors.alert_history import SEVERITIES, AlertFilters
from apps.checks.selectors.alerts import alert_entries, alert_visible, alerts_visible
from apps.checks.services.acknowledgements import (
    COMMENT_MAX,
    HOURS,
    alert_acknowledge,
    alert_acknowledgement_end,
    alert_comment,
)
from apps.checks.states import AlertEntryKind
from apps.core import clock
from apps.core.reasons import code_of


class AlertOutput(serializers.Serializer[Any]):
    """One alert."""

    uuid = serializers.UUIDField()
    tenant = serializers.CharField(
        source="tenant.name", default=None, allow_null=True, help_text="null: of the whole pool."
    )
    check = serializers.CharField(source="check_name")
    part_of = serializers.CharField(
        help_text="The check that explains all that was found, whose alert tells of it; empty: none."
    )
    title = serializers.CharField(help_text="What is true while the check passes.")
    severity = serializers.ChoiceField(
        choices=SEVERITIES, help_text="The worst of the check's own and of those that it explains."
    )
    say = serializers.CharField(help_text="What was found last.")
    say_code = serializers.SerializerMethodField(help_text="Its code; that of several is `core.clauses`.")
    count = serializers.IntegerField(help_text="How many objects that covers.")
    began_at = serializers.DateTimeField()
    since = serializers.DateTimeField(help_text="When it began to fail last.")
    times = serializers.IntegerField(help_text="How often it began to fail, less than 10 minutes apart.")
    ended_at = serializers.DateTimeField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField(help_text="Who has it; empty if nobody has.")
    acknowledged_until = serializers.DateTimeField(
        allow_null=True, help_text="null: until the check passes, or nobody has it."
    )

    def get_say_code(self, row: Any) -> str:
        return code_of(row.say)


class AlertLines(serializers.Serializer[Any]):
    """One page of alerts, newest first."""

    results = AlertOutput(many=True)
    next = serializers.CharField(allow_null=True)


class AlertEntryOutput(serializers.Serializer[Any]):
    """One line of an alert's history."""

    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(choices=AlertEntryKind.values)
    actor = serializers.CharField(help_text="Empty: the pool.")
    text = serializers.CharField(help_text="A comment, or what was found.")
    text_code = serializers.SerializerMethodField(help_text="Code of what was found.")
    severity = serializers.ChoiceField(choices=SEVERITIES)
    count = serializers.IntegerField()
    until = serializers.DateTimeField(allow_null=True, help_text="Of an acknowledgement.")

    def get_text_code(self, row: Any) -> str:
        return code_of(row.text)


class AlertHistory(serializers.Serializer[Any]):
    """The history of one alert, oldest first."""

    results = AlertEntryOutput(many=True)


class AcknowledgementInput(InputSerializer):
    """For how long the caller takes an alert on."""

    hours = serializers.ChoiceField(choices=(*HOURS, 0), help_text="0: until the check passes.")


class CommentInput(InputSerializer):
    """A comment; it cannot be changed later."""

    text = serializers.CharField(max_length=COMMENT_MAX, help_text="Plain text.")


class AlertsView(ListView):
    """`/alerts`: the operator's all, a tenant's its own."""

    noun = AlertFilters

    @extend_schema(parameters=[*parameters_of(AlertFilters), CURSOR, LIMIT], responses=AlertLines)
    def get(self, request: Request) -> Response:
        """List alerts, newest first; with an empty `tenant` those of the whole pool."""
        rows, before, limit = alerts_visible(self.principal), cursor_number(request), self.limit()
        if request.query_params.get("tenant") == "":
            rows = rows.filter(tenant=None)
        found = list(self.narrowed(rows.filter(pk__lt=before) if before else rows)[: limit + 1])
        more = cursor_write(found[limit - 1].began_at, found[limit - 1].pk) if len(found) > limit else None
        return Response({"results": AlertOutput(found[:limit], many=True).data, "next": more})


class AlertView(PoolView):
    """`/alerts/{uuid}`: one alert."""

    @extend_schema(responses=AlertOutput)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's form
        """Show it, with who has it."""
        return Response(AlertOutput(alert_visible(self.principal, uuid)).data)


class AlertAcknowledgementView(PoolView):
    """`/alerts/{uuid}/acknowledgement`: who has it."""

    whole_methods = ("PUT", "DELETE")

    @extend_schema(request=AcknowledgementInput, responses=AlertOutput)
    def put(self, request: Request, uuid: str) -> Response:
        """Acknowledge it for some hours: reminders stop until it is worse, ends, or the time is over.

        The same request again changes nothing; 409 if somebody else has it, or if it has ended.
        """
        data = checked(AcknowledgementInput(data=request.data))
        alert_acknowledge(principal=self.principal, uuid=uuid, hours=data["hours"], now=clock.now())
        return Response(AlertOutput(alert_visible(self.principal, uuid)).data)

    @extend_schema(responses={200: AlertOutput})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's form
        """End it, whoever has it."""
        alert_acknowledgement_end(principal=self.principal, uuid=uuid, now=clock.now())
        return Response(AlertOutput(alert_visible(self.principal, uuid)).data)


class AlertCommentsView(PoolView):
    """`/alerts/{uuid}/comments`."""

    whole_methods = ("POST",)

    @extend_schema(request=CommentInput, responses={201: AlertHistory})
    def post(self, request: Request, uuid: str) -> Response:
        """Write a comment; the answer is the history."""
        data = checked(CommentInput(data=request.data))
        row = alert_comment(principal=self.principal, uuid=uuid, text=data["text"], now=clock.now())
        return created({"results": AlertEntryOutput(alert_entries(row), many=True).data})


class AlertHistoryView(PoolView):
    """`/alerts/{uuid}/history`."""

    @extend_schema(operation_id="alerts_history", responses=AlertHistory)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's form
        """Show what was found, done and written, oldest first."""
        row = alert_visible(self.principal, uuid)
        return Response({"results": AlertEntryOutput(alert_entries(row), many=True).data})


urlpatterns = [
    path("alerts", AlertsView.as_view(), name="api-alerts"),
    path("alerts/<uuid:uuid>", AlertView.as_view(), name="api-alert"),
    path(
        "alerts/<uuid:uuid>/acknowledgement",
        AlertAcknowledgementView.as_view(),
        name="api-alert-acknowledgement",
    ),
    path("alerts/<uuid:uuid>/comments", AlertCommentsView.as_view(), name="api-alert-comments"),
    path("alerts/<uuid:uuid>/history", AlertHistoryView.as_view(), name="api-alert-history"),
]
