"""Messages on chain without a row, with the waiting ones that each may be."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext

from apps.core.formatting import amount_text, shortened
from apps.messages.selectors.messages import messages_unsigned

SHOWN: Final = 100
"""Messages, and waiting ones to choose from, on one page."""


def choices_of(found: list[Any]) -> dict[str, Any]:
    """Return the messages to decide about, with the waiting ones that each may be."""
    senders = {one.from_addr for one in found}
    rows = messages_unsigned(senders).values_list("pk", "push_id", "from_addr", "to", "value")[:SHOWN]
    choices = [
        (
            pk,
            gettext("{name}: {value} to {shortened}").format(
                name=name or pk, value=amount_text(int(value)), shortened=shortened(to)
            ),
            sender,
        )
        for pk, name, sender, to, value in rows
    ]
    entries = [
        {
            "row": one,
            "from": shortened(one.from_addr),
            "to": shortened(one.to),
            "value": amount_text(int(one.value)),
            "waiting": [(pk, text) for pk, text, sender in choices if sender == one.from_addr],
        }
        for one in found
    ]
    return {"entries": entries}
