"""The status page over REST: components with their days, incidents, and what the operator announces."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer, checked
from apps.api.v1.views import PoolView, created
from apps.checks.report.status_page import incident_body, maintenance_body, status_page_read
from apps.checks.selectors.components import incident_get, maintenance_get, status_is_public
from apps.checks.services.status_page import (
    TEXT_MAX,
    incident_note_set,
    maintenance_add,
    maintenance_end,
    status_visibility_set,
)
from apps.checks.states import Component, Condition
from apps.core import clock

COMPONENTS: Final = tuple(Component.values)
CONDITIONS: Final = tuple(Condition.values)


class DayOutput(serializers.Serializer[Any]):
    """How long a component was in each condition on one UTC day."""

    day = serializers.DateField()
    up_s = serializers.IntegerField()
    degraded_s = serializers.IntegerField()
    down_s = serializers.IntegerField()
    unknown_s = serializers.IntegerField(
        help_text="Nothing evaluated the checks, or they had nothing to go by."
    )
    announced_s = serializers.IntegerField(help_text="Of all but up_s, what was announced as maintenance.")


class ComponentOutput(serializers.Serializer[Any]):
    """One component with its last 90 days."""

    component = serializers.ChoiceField(choices=COMPONENTS)
    name = serializers.CharField()
    condition = serializers.ChoiceField(choices=CONDITIONS)
    since = serializers.DateTimeField(allow_null=True)
    percent_up = serializers.FloatField(
        allow_null=True, help_text="Of the time on record; time that is degraded, down or unknown is not up."
    )
    up_s = serializers.IntegerField()
    degraded_s = serializers.IntegerField()
    down_s = serializers.IntegerField()
    unknown_s = serializers.IntegerField()
    announced_s = serializers.IntegerField()
    days = DayOutput(many=True)


class IncidentOutput(serializers.Serializer[Any]):
    """A time in which a component was degraded or down."""

    id = serializers.UUIDField()
    component = serializers.ChoiceField(choices=COMPONENTS)
    condition = serializers.ChoiceField(choices=CONDITIONS, help_text="The worst that it was.")
    since = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    text = serializers.CharField(help_text="What it means to tenants.")
    note = serializers.CharField(help_text="What the operator says of it.")
    noted_at = serializers.DateTimeField(allow_null=True)


class MaintenanceOutput(serializers.Serializer[Any]):
    """Announced maintenance."""

    id = serializers.UUIDField()
    text = serializers.CharField()
    components = serializers.ListField(child=serializers.ChoiceField(choices=COMPONENTS))
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()


class StatusOutput(serializers.Serializer[Any]):
    """The status page."""

    at = serializers.DateTimeField()
    is_public = serializers.BooleanField(
        help_text="Whether everybody sees it, without signing in, at /status/ and /status.json."
    )
    components = ComponentOutput(many=True)
    incidents = IncidentOutput(many=True, help_text="Open ones, and those of the last 14 days.")
    maintenance = MaintenanceOutput(many=True)


class StatusChange(InputSerializer):
    """Who sees the status page."""

    is_public = serializers.BooleanField()


class MaintenanceInput(InputSerializer):
    """What is announced."""

    text = serializers.CharField(max_length=TEXT_MAX)
    components = serializers.ListField(
        child=serializers.ChoiceField(choices=COMPONENTS), max_length=len(COMPONENTS)
    )
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()


class NoteInput(InputSerializer):
    """A note to an incident."""

    note = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, help_text="Empty: none.")


class StatusView(PoolView):
    """`/status`."""

    perms = {**PoolView.perms, "PATCH": "admin"}
    operator_methods = ("PATCH",)
    whole_methods = ("PATCH",)
    confirmed_methods = ("PATCH",)

    @extend_schema(responses=StatusOutput)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """Show components, incidents and announcements: what the status page shows."""
        return Response(status_body(clock.now()))

    @extend_schema(request=StatusChange, responses=StatusOutput)
    def patch(self, request: Request) -> Response:
        """Show the page to everybody, or only to people who signed in."""
        data = checked(StatusChange(data=request.data))
        status_visibility_set(principal=self.principal, is_public=data["is_public"])
        return Response(status_body(clock.now()))


def status_body(now: datetime) -> dict[str, Any]:
    """Return the page, and who sees it."""
    return {"is_public": status_is_public()} | status_page_read(now).body


class MaintenancesView(PoolView):
    """`/status/maintenance`."""

    perms = {**PoolView.perms, "POST": "admin"}
    operator_methods = ("POST",)
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)

    @extend_schema(request=MaintenanceInput, responses={201: MaintenanceOutput})
    def post(self, request: Request) -> Response:
        """Announce maintenance."""
        data = checked(MaintenanceInput(data=request.data))
        row = maintenance_add(principal=self.principal, **data, now=clock.now())
        return created(maintenance_body(row))


class MaintenanceView(PoolView):
    """`/status/maintenance/{uuid}`."""

    perms = {**PoolView.perms, "DELETE": "admin"}
    operator_methods = ("DELETE",)
    whole_methods = ("DELETE",)
    confirmed_methods = ("DELETE",)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's form
        """End maintenance that lasts, or withdraw what has not begun."""
        maintenance_end(principal=self.principal, maintenance=maintenance_get(uuid), now=clock.now())
        return Response(status=204)


class IncidentView(PoolView):
    """`/status/incidents/{uuid}`."""

    perms = {**PoolView.perms, "PATCH": "admin"}
    operator_methods = ("PATCH",)
    whole_methods = ("PATCH",)
    confirmed_methods = ("PATCH",)

    @extend_schema(request=NoteInput, responses=IncidentOutput)
    def patch(self, request: Request, uuid: str) -> Response:
        """Note something to an incident, for everybody who sees the status page."""
        data, incident = checked(NoteInput(data=request.data)), incident_get(uuid)
        incident_note_set(principal=self.principal, incident=incident, note=data["note"], now=clock.now())
        return Response(incident_body(incident_get(uuid)))


urlpatterns = [
    path("status", StatusView.as_view(), name="api-status"),
    path("status/maintenance", MaintenancesView.as_view(), name="api-maintenances"),
    path("status/maintenance/<uuid:uuid>", MaintenanceView.as_view(), name="api-maintenance"),
    path("status/incidents/<uuid:uuid>", IncidentView.as_view(), name="api-incident"),
]
