"""Events of stores, kept with each of them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from apps.core.live import Change, publish
from apps.core.reasons import fitted
from apps.sectors.models import Store, StoreEvent

ATTACHED: Final = "ATTACHED"
CHANGED: Final = "CHANGED"
FAILED: Final = "FAILED"
NOTE_MAX: Final = 500
"""Characters of a note."""


def event_write(store: Store, *, event: str, actor: str, now: datetime, note: str = "") -> None:
    """Write what happened to a store, and show it."""
    StoreEvent.objects.create(store=store, event=event, actor=actor, note=fitted(note, NOTE_MAX), at=now)
    publish(Change("store", str(store.uuid), store.tenant_id))
