"""Where PagerDuty reports what happens to the incidents of a channel; it signs, and has no token."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from apps.api.callers import request_source
from apps.api.errors import error_body, http_status
from apps.checks.services.pagerduty_callbacks import pagerduty_event_handle
from apps.core import clock
from apps.core.errors import DomainError
from apps.users.services.rate_limit_buckets import address_request_count

TOO_OFTEN: Final = "too many requests from this address: try again in a moment"


@csrf_exempt  # no cookie is read here: only a signature lets an event in
@require_POST
def pagerduty_event(request: HttpRequest, channel: UUID) -> JsonResponse:
    """Handle an event.  What changes nothing is no error: after three of them PagerDuty reports no more."""
    usage = address_request_count("pagerduty", address=request_source(request))
    if usage is not None and usage.is_over:
        refusal = {"code": "rate_limited", "message": TOO_OFTEN, "field": ""}
        return JsonResponse(refusal, status=429, headers=usage.headers())
    try:
        reason = pagerduty_event_handle(
            channel=channel,
            body=request.body,
            signatures=request.headers.get("X-PagerDuty-Signature", ""),
            now=clock.now(),
        )
    except DomainError as error:
        return JsonResponse(error_body(error), status=http_status(error))
    return JsonResponse({"result": "ignored", "reason": reason} if reason else {"result": "acknowledged"})
