"""Texts of notifications for people: a subject that says what is wrong, and what it is about and costs.

Each is written in the language of its channel, from the codes of what was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Final

from django.utils.translation import gettext, override

from apps.checks.models import Notification
from apps.core.formatting import fil
from apps.core.languages import list_text
from apps.core.local_time import minute_text
from apps.core.reasons import coded_read, shown_text

SUBJECT_MAX: Final = 150


def text_write(row: Notification) -> str:
    """Return all that is said, of which the column has so much as a list shows."""
    with override(row.channel.language):
        return shown_text(row.text)


def subject_write(row: Notification, *, most: int = SUBJECT_MAX) -> str:
    """Return what is wrong, on one line of so many characters."""
    whole = " ".join(text_write(row).split())
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


def end_write(row: Notification) -> str:
    """Return what no cut takes away: its cost, and its page if that has a host, each on a line of its own."""
    page, cost = row.body.get("page", ""), cost_write(row)
    return "".join(f"\n{line}" for line in (cost, page if page.startswith("http") else "") if line)


def cost_write(row: Notification) -> str:
    """Return what it costs as far as it is known; empty for nothing."""
    at_risk, per_day = (int(row.body.get(name, 0)) for name in ("at_risk", "per_day"))
    with override(row.channel.language):
        costs = [gettext("{fil} FIL at risk").format(fil=fil(at_risk))] if at_risk else []
        costs += [gettext("{fil} FIL lost per day").format(fil=fil(per_day))] if per_day else []
        cost = str(list_text(costs))
        return gettext("At least {cost}").format(cost=cost) if cost and row.body.get("has_more") else cost


def page_write(row: Notification) -> str:
    """Return where to look, with a word before it; empty if that is nowhere."""
    page = row.body.get("page")
    with override(row.channel.language):
        return gettext("Details: {page}").format(page=page) if page else ""


def details_write(row: Notification, *, subject: str) -> str:
    """Return what is said below a subject, and before the cost: each finding once.

    A subject that was cut stands in full before them: what somebody did with the alert is at its end.
    """
    text = text_write(row)
    whole, found = " ".join(text.split()), findings_read(row)
    with override(row.channel.language):
        findings, effects = (list(map(shown_text, part)) for part in found)
        lines = [text] if not findings else [*([] if subject == whole else [whole, ""]), _condition(row), ""]
        lines += [f"- {one}" for one in findings]
        lines += ["", gettext("Because of it:"), *(f"- {one}" for one in effects)] if effects else []
    return "\n".join(lines)


def _condition(row: Notification) -> str:
    """Return since when which condition has not held."""
    since = minute_text(datetime.fromisoformat(row.body["since"]))
    return gettext("Failing since {since}. Condition: {title}").format(
        title=gettext(row.body["title"]), since=since
    )


def findings_read(row: Notification) -> tuple[Sequence[str], Sequence[str]]:
    """Return what a notification's body says was found, and what that explains, with their codes."""
    found = list(row.body.get("findings", ()))
    texts = found + [one for effect in row.body.get("explains", ()) for one in effect["findings"]]
    codes = (row.finding_codes or [])[: len(texts)]
    read = [coded_read(text, code) for text, code in zip_longest(texts, codes)]
    return read[: len(found)], read[len(found) :]
