"""The audit log over REST: a search, and whether its chain of hashes holds."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.list_filters import ListView, parameters_of
from apps.api.v1.pagination import CURSOR, LIMIT, number
from apps.api.v1.views import PoolView
from apps.users.selectors.audit import audit_visible
from apps.users.selectors.audit_search import AuditFilters, audit_page, chain_check_latest


class AuditOutput(serializers.Serializer[Any]):
    """One entry of the audit log."""

    number = serializers.IntegerField(source="pk")
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    tenant = serializers.CharField(source="tenant.name", default=None, allow_null=True)
    source = serializers.CharField()  # type: ignore[assignment]  # DRF has a `source` of its own
    action = serializers.CharField()
    target = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)
    hash = serializers.CharField(source="entry_hash")


class AuditLines(serializers.Serializer[Any]):
    """One page, newest first; a search may return a partial page, and `next` continues it."""

    results = AuditOutput(many=True)
    next = serializers.CharField(allow_null=True)


class AuditState(serializers.Serializer[Any]):
    """Whether the audit log's hash chain is intact, and how far it was verified."""

    intact = serializers.BooleanField()
    first_broken = serializers.IntegerField(allow_null=True)
    checked_to = serializers.IntegerField()
    whole = serializers.BooleanField()


class AuditView(ListView):
    """Who did what, newest first."""

    noun = AuditFilters

    @extend_schema(parameters=[*parameters_of(AuditFilters), CURSOR, LIMIT], responses=AuditLines)
    def get(self, request: Request) -> Response:
        """Search the audit log.

        A request scans a few thousand entries at most: a page may be short or empty and still have a `next`.
        """
        limit, before = self.limit(), number(request, "cursor", least=1, default=0, most=10**12)
        wanted: Any = self.wanted(audit_visible(self.principal))
        found_page = audit_page(self.principal, wanted.question, before=before, limit=limit + 1)
        last = found_page.rows[limit - 1] if len(found_page.rows) > limit else found_page.stopped_at
        return Response(
            {
                "results": AuditOutput(found_page.rows[:limit], many=True).data,
                "next": None if last is None else str(last.pk),
            }
        )


class AuditStateView(PoolView):
    """Whether anybody changed the audit log."""

    operator_only = True

    @extend_schema(responses=AuditState)
    def get(self, _request: Request) -> Response:
        """Verify the hash chain from where the last check ended; `audit_verify` verifies all of it."""
        found = chain_check_latest()
        return Response(
            {
                "intact": found.broken is None,
                "first_broken": found.broken,
                "checked_to": found.to,
                "whole": found.is_complete,
            }
        )


urlpatterns = [
    path("audit", AuditView.as_view(), name="api-audit"),
    path("audit/state", AuditStateView.as_view(), name="api-audit-state"),
]
