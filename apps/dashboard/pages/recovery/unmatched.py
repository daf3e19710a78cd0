"""Messages on chain without a row, with the waiting ones that each may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext

from apps.core.formatting import amount_text, shortened
from apps.messages.selectors.recovery import unmatched_candidates

if TYPE_CHECKING:
    from apps.messages.models import UnmatchedMessage

SHOWN: Final = 100
"""Messages on one page."""
CANDIDATES: Final = 50
"""Waiting ones to choose from for one message."""


def choices_of(found: list[UnmatchedMessage]) -> dict[str, Any]:
    """Return the messages to decide about, with the waiting ones that each may be."""
    return {"entries": [_entry(one) for one in found]}


def _entry(row: UnmatchedMessage) -> dict[str, Any]:
    # A query for each: cut in common, another sender's hundred would hide the one that this message is.
    rows = unmatched_candidates(row).values_list("pk", "push_id", "to", "value")[: CANDIDATES + 1]
    waiting = [
        (
            pk,
            gettext("{name}: {value} to {shortened}").format(
                name=name or pk, value=amount_text(int(value)), shortened=shortened(to)
            ),
        )
        for pk, name, to, value in rows
    ]
    return {
        "row": row,
        "from": shortened(row.from_addr),
        "to": shortened(row.to),
        "value": amount_text(int(row.value)),
        "waiting": waiting[:CANDIDATES],
        "has_more": len(waiting) > CANDIDATES,
    }
