"""Checks over REST: what each found in the caller's part of the pool."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.scope import SCOPE_PARAMETERS, scope_asked
from apps.api.v1.serializers import InputSerializer, checked
from apps.api.v1.views import PoolView
from apps.checks.findings.results import Check, Finding, Severity
from apps.checks.report.cache import report_last
from apps.checks.report.report import Incident, Report, Result
from apps.checks.selectors.alert_history import SEVERITIES
from apps.checks.selectors.check_settings import check_setting, mutes_active
from apps.checks.selectors.data import CheckData
from apps.checks.services.check_settings import (
    MUTE_HOURS_MAX,
    REASON_MAX,
    check_change,
    check_find,
)
from apps.core import clock
from apps.core.reasons import code_of
from apps.miners.selectors.scope import SCOPE, viewer_in

if TYPE_CHECKING:
    from apps.checks.models import CheckSetting


class FindingOutput(serializers.Serializer[Any]):
    """One finding that needs attention."""

    key = serializers.CharField()
    say = serializers.CharField()
    say_code = serializers.CharField()
    reason = serializers.CharField()
    reason_code = serializers.CharField(help_text="Empty: there is none.")
    count = serializers.IntegerField(help_text="How many objects it covers.")
    has_more = serializers.BooleanField(
        help_text="Whether only the first objects were counted or priced: count and amounts are lower bounds."
    )
    per_day = serializers.CharField(help_text="attoFIL that it costs per day; 0 if nothing or unknown.")
    is_part = serializers.BooleanField(
        help_text="Whether its per_day is already included in another finding's."
    )
    at_risk = serializers.CharField(help_text="attoFIL that will be lost once if nobody acts.")
    due = serializers.IntegerField(allow_null=True, help_text="Unix time at which it is too late.")
    due_label = serializers.CharField(help_text="What happens at that time.")
    cause = serializers.CharField(
        allow_null=True, help_text="Key of the finding that explains it; null: it stands by itself."
    )
    page = serializers.CharField(help_text="Page of the console where it can be fixed.")


class CheckOutput(serializers.Serializer[Any]):
    """One check with its result."""

    name = serializers.CharField()
    title = serializers.CharField(help_text="What is true while the check passes.")
    severity = serializers.ChoiceField(choices=SEVERITIES)
    topics = serializers.ListField(child=serializers.CharField())
    muted_until = serializers.DateTimeField(
        allow_null=True, help_text="Until then the operator's channels are not told of it; null for others."
    )
    passed = serializers.BooleanField()
    count = serializers.IntegerField(help_text="How many objects are affected.")
    has_more = serializers.BooleanField(help_text="Whether that, or what they cost, is a lower bound.")
    findings = FindingOutput(many=True)


class CauseOutput(serializers.Serializer[Any]):
    """Findings of one cause, as *To do*, the bell and alerts show them."""

    key = serializers.CharField(help_text="Key of the finding that is the cause.")
    say = serializers.CharField()
    severity = serializers.ChoiceField(choices=SEVERITIES, help_text="The worst of its findings.")
    per_day = serializers.CharField(help_text="attoFIL that its findings together cost per day.")
    at_risk = serializers.CharField(help_text="attoFIL of them that will be lost once if nobody acts.")
    findings = serializers.ListField(
        child=serializers.CharField(), help_text="Keys of its findings, the cause first."
    )


class ChecksOutput(serializers.Serializer[Any]):
    """One evaluation of all checks that the caller may see."""

    at = serializers.DateTimeField(help_text="When the checks ran.")
    passed = serializers.IntegerField(help_text="How many of them found nothing.")
    per_day = serializers.CharField(help_text="attoFIL that all findings cost per day.")
    at_risk = serializers.CharField(help_text="attoFIL that would be lost once if nobody acts.")
    unpriced = serializers.IntegerField(
        help_text="Critical findings of unknown cost, not included in the sums."
    )
    incidents = CauseOutput(many=True)
    checks = CheckOutput(many=True)


def incident_body(incident: Incident) -> dict[str, Any]:
    """Return one incident as JSON."""
    return {
        "key": incident.cause.finding.key,
        "say": incident.cause.finding.say,
        "severity": str(Severity.CRITICAL if incident.is_critical else Severity.WARNING),
        "per_day": str(incident.per_day),
        "at_risk": str(incident.at_risk),
        "findings": [one.finding.key for one in incident.found],
    }


def finding_body(finding: Finding, result: Result, report: Report) -> dict[str, Any]:
    """Return one finding as JSON."""
    return {
        "key": finding.key,
        "say": finding.say,
        "say_code": code_of(finding.say),
        "reason": finding.reason,
        "reason_code": code_of(finding.reason),
        "count": finding.count,
        "has_more": finding.has_more,
        "per_day": str(finding.per_day),
        "is_part": finding.is_part,
        "at_risk": str(finding.at_risk),
        "due": finding.due_s,
        "due_label": finding.due_label,
        "cause": report.causes.get(finding.key),
        "page": (finding.link or result.check.link).address,
    }


def check_body(result: Result, mute: CheckSetting | None, report: Report) -> dict[str, Any]:
    """Return one check as JSON."""
    check = result.check
    return {
        "name": check.name,
        "title": check.title,
        "severity": str(check.severity),
        "topics": [str(topic) for topic in check.topics],
        "muted_until": None if mute is None else mute.muted_until,
        "passed": result.passed,
        "count": result.count,
        "has_more": result.has_more,
        "findings": [finding_body(one, result, report) for one in result.findings],
    }


class CheckChange(InputSerializer):
    """What is set of a check; omitted fields stay unchanged."""

    severity = serializers.ChoiceField(
        choices=SEVERITIES,
        required=False,
        allow_null=True,
        help_text="null: as it is delivered.",
    )
    mute_hours = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=MUTE_HOURS_MAX,
        help_text="Hours for which the operator's channels are not told of it; 0 ends a mute.",
    )
    mute_reason = serializers.CharField(required=False, allow_blank=True, max_length=REASON_MAX)


class CheckSettingOutput(serializers.Serializer[Any]):
    """What is set of a check."""

    name = serializers.CharField()
    severity = serializers.ChoiceField(choices=SEVERITIES)
    muted_until = serializers.DateTimeField(allow_null=True)
    mute_reason = serializers.CharField()


class CheckView(PoolView):
    """`/checks/{name}`: what the operator sets of one check."""

    operator_only = True
    perms = {**PoolView.perms, "PATCH": "admin"}
    confirmed_methods = ("PATCH",)
    whole_methods = ("PATCH",)

    @extend_schema(responses=CheckSettingOutput)
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002  # DRF's form
        """Show its severity, and until when and why it is muted."""
        return Response(setting_body(check_find(name), at=clock.now()))

    @extend_schema(request=CheckChange, responses=CheckSettingOutput)
    def patch(self, request: Request, name: str) -> Response:
        """Set its severity, mute it for some hours with a reason, or end its mute."""
        data, at = checked(CheckChange(data=request.data)), clock.now()
        if data.get("severity", "") is None:
            data["severity"] = ""
        check_change(principal=self.principal, name=name, now=at, **data)
        return Response(setting_body(check_find(name), at=at))


def setting_body(check: Check, *, at: datetime) -> dict[str, Any]:
    """Return what is set of a check at a moment."""
    row = check_setting(check.name)
    is_muted = row.is_muted(at)
    return {
        "name": check.name,
        "severity": row.severity or str(check.severity),
        "muted_until": row.muted_until if is_muted else None,
        "mute_reason": row.mute_reason if is_muted else "",
    }


class ChecksView(PoolView):
    """`/checks`."""

    filters = SCOPE

    @extend_schema(operation_id="checks_list", parameters=SCOPE_PARAMETERS, responses=ChecksOutput)
    def get(self, request: Request) -> Response:
        """Return every check with its findings among the caller's own objects, or those of a scope."""
        report = report_last(CheckData(viewer_in(self.principal, scope_asked(request))))
        mutes = mutes_active(report.at) if self.principal.sees_pool else {}
        return Response(
            {
                "at": report.at,
                "passed": report.passed,
                "per_day": str(report.per_day),
                "at_risk": str(report.at_risk),
                "unpriced": report.unpriced,
                "incidents": [incident_body(one) for one in report.incidents],
                "checks": [
                    check_body(result, mutes.get(result.check.name), report) for result in report.results
                ],
            }
        )


urlpatterns = [
    path("checks", ChecksView.as_view(), name="api-checks"),
    path("checks/<str:name>", CheckView.as_view(), name="api-check"),
]
