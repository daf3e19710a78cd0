"""Orders to hosts as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.reasons import shown_text
from apps.dashboard.labels import StateLabel
from apps.dashboard.pages.storage.rows import ORDERS
from poolsite.wire.commands import Operation

if TYPE_CHECKING:
    from apps.sectors.models import WorkerCommand


def order_row(command: WorkerCommand, store: str) -> dict[str, object]:
    """Lay out what a host was told to do with a store of this name."""
    if command.error:
        label = StateLabel("bad", _("failed"))
    elif command.done_at is None:
        label = StateLabel("wait", _("waiting for heartbeat"))
    else:
        label = StateLabel("ok", _("done"))
    text = str(ORDERS[Operation(command.op)])
    return {
        "say": text.format(path=command.args.get("path", ""), store=store or gettext("a store")),
        "host": command.worker.name,
        "label": label,
        "error": shown_text(command.error),
        "at": command.created_at,
        "by": command.actor,
    }
