"""Stores as lists and pages show them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.clock import DAY_S
from apps.core.formatting import plural
from apps.core.languages import colon_text, list_text
from apps.core.reasons import shown_text
from apps.dashboard.labels import StateLabel
from apps.sectors.selectors.hosts import proves_windows
from apps.sectors.selectors.stores import (
    SILENT,
    attachments_of,
    store_days_left,
    store_fill_rate,
    store_rate_span,
    store_rate_wait,
    store_status,
    stores_room,
)
from apps.sectors.states import DETACHED
from poolsite.wire.commands import Operation
from poolsite.wire.stores import StoreCondition

if TYPE_CHECKING:
    from apps.sectors.models import Store, StoreEvent

CONDITIONS: Final = {
    StoreCondition.READY: StateLabel("ok", _("ready")),
    StoreCondition.READ_ONLY: StateLabel("warn", _("read-only")),
    StoreCondition.FULL: StateLabel("warn", _("full")),
    StoreCondition.AWAY: StateLabel("bad", _("unavailable")),
    StoreCondition.REPLACED: StateLabel("bad", _("replaced by another store")),
    StoreCondition.BAD_MARK: StateLabel("bad", _("sectorstore.json unreadable")),
    StoreCondition.TWICE: StateLabel("warn", _("attached twice")),
    DETACHED: StateLabel("bad", _("detached")),
    SILENT: StateLabel("bad", _("hosts offline")),
}
SET_READ_ONLY: Final = StateLabel("idle", _("read-only"), "lock")
"""Somebody wants it so."""
ORDERS: Final = {
    Operation.ATTACH: _("Attach {path}"),
    Operation.DETACH: _("Detach {store}"),
    Operation.SET_STORE: _("Change {store}"),
}


@dataclass(frozen=True, slots=True)
class CheckedCell:
    """What checks of its files say of a store."""

    bad: StateLabel | None
    """How many sectors have bad files; None: none."""
    running: StateLabel | None
    """The check of all its files that runs; None: none."""
    text: str
    """How far that is, or what it waits for."""
    done_at: datetime | None
    """When all were read last."""


@dataclass(frozen=True, slots=True)
class StoreRow:
    """One store in a list."""

    row: Store
    label: StateLabel
    reason: str
    hosts: str
    path: str
    """Its folder or bucket; empty where hosts have it under several paths, or none has it."""
    used: str
    total: str
    """Empty where it has no bound."""
    free: str
    share: float
    """Of its size that is used, 0 to 1; 0 where it has no bound."""
    left: str
    """`12 d`: until it is full."""
    rate: str
    sectors: str
    is_readable: bool
    is_proven: bool
    """Whether a prover has it, or nothing lies in it."""
    checked: CheckedCell | None = None

    @property
    def tone(self) -> str:
        """Return how much it needs somebody."""
        if not self.is_proven or (self.checked is not None and self.checked.bad is not None):
            return "bad"
        return self.label.tone

    @property
    def key(self) -> str:
        """Name of its row in the page."""
        return str(self.row.uuid)


def store_label(store: Store, condition: str) -> StateLabel:
    """Return a store's condition in words."""
    if condition == StoreCondition.READ_ONLY and store.rules.get("is_read_only"):
        return SET_READ_ONLY
    return CONDITIONS[StoreCondition(condition) if condition in set(StoreCondition) else condition]


def bytes_text(count: int) -> str:
    """`1.20 TiB`."""
    return " ".join(formatting.size(count))


def free_text(store: Store) -> str:
    """`1.20 TiB`; `no limit` for a bucket that tells no size."""
    return bytes_text(store.free_bytes) if store.is_bounded else gettext("no limit")


def total_of(store: Store) -> str:
    """`9.10 TiB`; empty where it has no bound."""
    if not store.is_bounded:
        return ""
    return bytes_text(store.total_bytes) if store.total_bytes else formatting.NOTHING


def store_row(store: Store, *, now: datetime, checked: CheckedCell | None = None) -> StoreRow:
    """Lay out one store of `stores_visible`."""
    status, rate = store_status(store, now=now), store_fill_rate(store)
    days = None if status.condition == StoreCondition.FULL else store_days_left(store, rate)
    used = max(store.total_bytes - store.free_bytes, 0)
    workers = [row.worker for row in attachments_of(store)]
    paths = list({row.path for row in attachments_of(store)})
    is_proven = not store.sectors or any(map(proves_windows, workers))
    return StoreRow(
        row=store,
        label=store_label(store, status.condition),
        reason=shown_text(status.reason)
        or ("" if is_proven else gettext("no prover of the pool has it attached")),
        hosts=list_text(sorted({worker.name for worker in workers})) or formatting.NOTHING,
        path=paths[0] if len(paths) == 1 else "",
        used=bytes_text(used),
        total=total_of(store),
        free=free_text(store),
        share=used / store.total_bytes if store.total_bytes and store.is_bounded else 0.0,
        left=formatting.time_left(days * DAY_S) if days is not None else "",
        rate=rate_text(rate, span=store_rate_span(store), wait=store_rate_wait(store)),
        sectors=formatting.whole(store.sectors),
        is_readable=status.is_readable,
        is_proven=is_proven,
        checked=checked,
    )


def rate_text(rate: float | None, *, span: timedelta | None, wait: timedelta | None = None) -> str:
    """Return `+1.20 TiB a day, measured over 3 d 02 h`, or that it is not filling, or when it is measured."""
    if wait is not None:
        left = formatting.time_left(wait.total_seconds())
        return gettext("measuring the fill rate, {left} left").format(left=left)
    if rate is None or span is None:
        return gettext("fill rate not measured yet")
    if rate <= 0:
        return gettext("not filling")
    return gettext("+{size} a day, measured over {span}").format(
        size=bytes_text(int(rate)), span=formatting.time_left(span.total_seconds())
    )


def event_text(event: StoreEvent) -> tuple[str, str]:
    """Return the tone and the words of something that happened to a store."""
    if event.event in set(StoreCondition):
        label = CONDITIONS[StoreCondition(event.event)]
        return label.tone, colon_text(event.actor, label.word)
    texts = {
        "ATTACHED": ("ok", _("attached to %s")),
        "DETACHED": ("warn", _("detached from %s")),
        "CHANGED": ("idle", _("changed by %s")),
        "FAILED": ("bad", _("failed on %s")),
        "MOVED": ("ok", _("moved by %s")),
        "SCANNED": ("idle", _("scanned, requested by %s")),
        "ADOPTED": ("ok", _("sector adopted, requested by %s")),
        "FILES_MISSING": ("bad", _("missing sector dropped, requested by %s")),
        "LEFTOVER_REMOVED": ("idle", _("leftover removed by %s")),
        "CHECKED": ("ok", _("files checked, requested by %s")),
        "FILES_DIFFER": ("bad", _("bad files found, check requested by %s")),
    }
    tone, text = texts.get(event.event, ("idle", "%s"))
    return tone, str(text) % event.actor


def total_text(stores: Collection[Store], readable: Collection[Store]) -> str:
    """`3 stores, 1.20 TiB free of 9.10 TiB.`: a disk counts once, what has no bound is not in the sum."""
    bounded = [store for store in stores if store.is_bounded]
    count, unbounded = plural(len(stores), "store"), len(stores) - len(bounded)
    if stores and not bounded:
        return gettext("{stores} without a size limit.").format(stores=count)
    free = bytes_text(stores_room(store for store in readable if store.is_bounded)[0])
    total = bytes_text(stores_room(bounded)[1])
    if unbounded:
        return gettext("{stores}, {free} free of {total} and {unbounded} without a size limit.").format(
            stores=count, free=free, total=total, unbounded=unbounded
        )
    return gettext("{stores}, {free} free of {total}.").format(stores=count, free=free, total=total)
