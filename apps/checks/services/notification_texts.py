"""Texts of notifications for people: a subject that says what is wrong, and what it is about and costs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from apps.checks.models import Notification
from apps.core.formatting import fil
from apps.core.marked_texts import gettext

SUBJECT_MAX: Final = 150


def subject_write(row: Notification, *, most: int = SUBJECT_MAX) -> str:
    """Return what is wrong, on one line of so many characters."""
    whole = " ".join(row.text.split())
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


def end_write(row: Notification) -> str:
    """Return what no cut takes away: its cost, and its page if that has a host, each on a line of its own."""
    page, cost = row.body.get("page", ""), cost_write(row.body)
    return "".join(f"\n{line}" for line in (cost, page if page.startswith("http") else "") if line)


def cost_write(body: Mapping[str, Any]) -> str:
    """Return what it costs as far as it is known; empty for nothing."""
    costs = [
        f"{fil(int(body[name]))} FIL {label}"
        for name, label in (("at_risk", "at risk"), ("per_day", "lost per day"))
        if int(body.get(name, 0))
    ]
    cost = ", ".join(costs)
    return gettext("At least {cost}").format(cost=cost) if cost and body.get("has_more") else cost


def details_write(row: Notification, *, subject: str) -> str:
    """Return what is said below a subject, and before the cost: each finding once.

    A subject that was cut stands in full before them: what somebody did with the alert is at its end.
    """
    body, findings = row.body, row.body.get("findings", ())
    whole = " ".join(row.text.split())
    lines = (
        [body.get("text") or row.text]  # the column has so much of it as a list shows
        if not findings
        else [
            *([] if subject == whole else [whole, ""]),
            gettext("Failing since {since}. Condition: {title}").format(
                title=body["title"], since=_time_text(body["since"])
            ),
            "",
        ]
    )
    lines += [f"- {one}" for one in findings]
    effects = [one for effect in body.get("explains", ()) for one in effect["findings"]]
    lines += ["", gettext("Because of it:"), *(f"- {one}" for one in effects)] if effects else []
    return "\n".join(lines)


def _time_text(text: str) -> str:
    """Return a moment of a body as people read it."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
