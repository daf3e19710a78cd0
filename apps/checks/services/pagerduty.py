"""PagerDuty: a notification as events of an incident, which all have the alert's key.

Source: PagerDuty's “Events API v2”, send an alert event.
"""

from __future__ import annotations

import json
from typing import Any, Final

from apps.checks.models import Notification
from apps.checks.states import AlertEvent

EVENTS_URL: Final = "https://events.pagerduty.com/v2/enqueue"
"""Where events go unless the channel says otherwise: accounts of the EU have another host."""
SUMMARY_MAX: Final = 1024
REASON_MAX: Final = 200
CLIENT: Final = "Poolsite"
DEDUP_PREFIX: Final = "poolsite-"
"""Before an alert's UUID in the key of its incident."""
DETAILS: Final = (
    *("check", "title", "count", "has_more", "per_day", "at_risk", "findings", "explains", "acknowledged_by"),
)
"""Fields of a body that go along as they are."""
ACTIONS: Final = {
    AlertEvent.STARTED: ("trigger",),
    AlertEvent.REPEATED: ("trigger",),
    AlertEvent.ACKNOWLEDGED: ("acknowledge",),
    AlertEvent.ENDED: ("resolve",),
    AlertEvent.TEST: ("trigger", "resolve"),
}


def pagerduty_events_build(row: Notification, *, key: str) -> list[dict[str, Any]]:
    """Return the events of a notification in their order; sent twice they change nothing more.

    An incident that somebody acknowledged pages nobody when it is triggered again: one that is to be seen
    anew is resolved first.
    """
    actions = ACTIONS[AlertEvent(row.event)]
    if row.body.get("reopens"):
        actions = ("resolve", *actions)
    name = row.body.get("alert", f"test-{row.channel.uuid}")
    head = {"routing_key": key, "dedup_key": DEDUP_PREFIX + name}
    return [
        {**head, "event_action": action, **(_facts(row) if action == "trigger" else {})} for action in actions
    ]


def _facts(row: Notification) -> dict[str, Any]:
    """Return what an event that triggers an incident says."""
    body, page = row.body, row.body.get("page", "")
    payload = {
        "summary": row.text[:SUMMARY_MAX],
        "source": body.get("pool") or CLIENT,
        "severity": body.get("severity", "info"),
        "timestamp": body["at"],
        "class": body.get("check", "test"),
        "custom_details": {name: body[name] for name in DETAILS if name in body},
    }
    link = {"client_url": page} if page.startswith("http") else {}
    return {"payload": payload, "client": CLIENT, **link}


def pagerduty_reason_read(answer: bytes) -> str:
    """Return why an event was refused, in the service's own words; empty if it does not say."""
    try:
        found = json.loads(answer)
    except ValueError:
        return ""
    if not isinstance(found, dict):
        return ""
    errors = found.get("errors")
    words = [found.get("message", ""), *(errors if isinstance(errors, list) else [])]
    return ", ".join(str(word) for word in words if word)[:REASON_MAX]
