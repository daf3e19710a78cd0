"""Orders to hosts and moves of sectors, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.reasons import shown_text
from apps.dashboard.labels import StateLabel
from apps.dashboard.pages.storage.rows import ORDERS
from apps.sectors.selectors.moves import Removal
from poolsite.wire.commands import Operation

if TYPE_CHECKING:
    from apps.sectors.models import StoreMove, WorkerCommand

MOVES: Final = {
    "QUEUED": StateLabel("idle", _("queued")),
    "COPYING": StateLabel("run", _("copying")),
    "COPIED": StateLabel("run", _("copied, waiting for proofs")),
    "CLEARING": StateLabel("run", _("removing the old copy")),
    "MOVED": StateLabel("ok", _("moved")),
    "FAILED": StateLabel("bad", _("failed")),
    "CANCELLED": StateLabel("idle", _("cancelled"), "close"),
}


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


def move_row(move: StoreMove, awaited: Removal | None) -> dict[str, object]:
    """Lay out a sector on its way to another store."""
    return {
        "name": f"{move.sector.miner} / {move.sector.number}",
        "href": reverse("sector", args=[move.sector.uuid]),
        "way": f"{move.from_store.name} → {move.to_store.name}",
        "host": move.worker.name,
        "label": MOVES[move.state],
        "error": shown_text(move.error),
        "awaited": awaited,
        "at": move.updated_at,
    }
