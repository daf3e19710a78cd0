"""The messages that wait for a lower base fee, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext

from apps.dashboard.page_data import PageData
from apps.messages.rules.methods import method_text
from apps.messages.selectors.base_fee import CheapWindow
from apps.messages.selectors.queue_costs import QueueCost


def what_text(to: str, method: int, *, kind: str, data: PageData) -> str:
    """Name a method; a transfer has no receiver here."""
    return method_text(to, method, kind=kind, miners=data.names.miners) if to else gettext("Send")


def queue_rows(
    costs: Sequence[QueueCost], *, base_fee: int, window: CheapWindow | None, data: PageData
) -> list[dict[str, Any]]:
    """Return the forecast at the present base fee and at that of the cheap window."""
    return [
        {
            "what": what_text(cost.to, cost.method, kind=cost.kind, data=data),
            "sub": gettext("rough gas estimate: none landed recently")
            if cost.is_guess
            else cost.kind.replace("_", " "),
            "cost": cost,
            "now": cost.cost(base_fee),
            "cheap": None if window is None else cost.cost(window.mean),
        }
        for cost in costs
    ]
