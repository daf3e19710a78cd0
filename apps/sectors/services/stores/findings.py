"""What a scan found in a store: what waits for somebody, and the orders to its host about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.core.uuids import is_uuid
from apps.sectors.errors.stores import StoreRefused
from apps.sectors.models import Store, StoreFinding, Worker, WorkerCommand
from apps.sectors.selectors.store_scans import findings_waiting
from poolsite.wire.commands import Operation

FINDINGS_AT_ONCE: Final = 200
"""Findings of one request: a host is told of all at once."""
NONE_WAITS: Final = gettext_noop("the last scan has no such findings that need a decision")


@dataclass(frozen=True, slots=True)
class Planned:
    """A finding, and why nothing is done with it; empty: it is."""

    finding: StoreFinding
    refusal: str = ""


def findings_select(store: Store, *, uuids: Collection[str] | None, kind: str = "") -> list[StoreFinding]:
    """Return what waits for somebody of a store's last scan: of these uuids, or all of a kind.

    Raises StoreRefused.
    """
    rows = findings_waiting(store).select_related("sector__miner", "store__tenant").order_by("pk")
    rows = rows.filter(kind=kind) if uuids is None else rows.filter(uuid__in=[*filter(is_uuid, uuids)])
    found = list(rows)
    if len(found) > FINDINGS_AT_ONCE and uuids is not None:
        raise StoreRefused(gettext("at most {limit} findings at a time").format(limit=FINDINGS_AT_ONCE))
    if not found:
        raise StoreRefused(gettext(NONE_WAITS))
    return found


def orders_open(host: Worker) -> int:
    """Return how many findings a host is told of now."""
    return host.commands.filter(done_at=None, args__has_key="finding").count()


def full_orders_describe(host: Worker) -> str:
    """Return that a host is told of as many findings as it may be."""
    return gettext("{host} handles {limit} findings at a time: try again once these are done").format(
        host=host.name, limit=FINDINGS_AT_ONCE
    )


def findings_lock(pks: Iterable[int]) -> QuerySet[StoreFinding]:
    """Lock findings; Django refuses it outside a transaction."""
    rows = StoreFinding.objects.select_for_update(of=("self",)).filter(pk__in=list(pks))
    return rows.select_related("sector__miner", "store__tenant").order_by("pk")


def finding_order(
    finding: StoreFinding,
    *,
    host: Worker,
    op: Operation,
    args: dict[str, str],
    event: str,
    actor: str,
    now: datetime,
) -> None:
    """Order a host to do something with a finding."""
    advance(finding, event, error="", updated_at=now)
    args = args | {"finding": str(finding.uuid)}
    WorkerCommand.objects.create(worker=host, op=op, args=args, actor=actor)


def store_publish(store: Store, *, host: Worker) -> None:
    """Publish to open pages that a store and its host have changed."""
    publish(Change("store", str(store.uuid), store.tenant_id))
    publish(Change("worker", host.pk, host.tenant_id))
