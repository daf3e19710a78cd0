"""Texts of notifications for people: a subject that says what is wrong, and what it is about and costs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from apps.checks.models import Notification
from apps.core.formatting import fil
from apps.core.marked_texts import gettext

SUBJECT_MAX: Final = 150


def subject_write(row: Notification) -> str:
    """Return what is wrong, on one line."""
    return " ".join(row.text.split())[:SUBJECT_MAX]


def cost_write(body: Mapping[str, Any]) -> str:
    """Return what it costs as far as it is known; empty for nothing."""
    costs = [
        f"{fil(int(body[name]))} FIL {label}"
        for name, label in (("at_risk", "at risk"), ("per_day", "lost per day"))
        if int(body.get(name, 0))
    ]
    cost = ", ".join(costs)
    return gettext("At least {cost}").format(cost=cost) if cost and body.get("has_more") else cost


def details_write(row: Notification) -> str:
    """Return what is said below the subject: each finding once, and what all cost."""
    body, findings = row.body, row.body.get("findings", ())
    lines = (
        [body.get("text") or row.text]  # the column has so much of it as a list shows
        if not findings
        else [
            gettext("Failing since {since}. Condition: {title}").format(
                title=body["title"], since=_time_text(body["since"])
            ),
            "",
        ]
    )
    lines += [f"- {one}" for one in findings]
    effects = [one for effect in body.get("explains", ()) for one in effect["findings"]]
    lines += ["", gettext("Because of it:"), *(f"- {one}" for one in effects)] if effects else []
    if cost := cost_write(body):
        lines += ["", cost]
    return "\n".join(lines)


def page_write(row: Notification) -> str:
    """Return the address of its page, if that has a host, on a line of its own."""
    page = row.body.get("page", "")
    return f"\n{page}" if page.startswith("http") else ""


def _time_text(text: str) -> str:
    """Return a moment of a body as people read it."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
