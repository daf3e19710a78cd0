"""One store as REST writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import serializers

from apps.api.v1.serializers import CODE_HELP
from apps.core import clock
from apps.core.reasons import code_of
from apps.sectors.selectors.stores import (
    attachments_of,
    store_days_left,
    store_fill_rate,
    store_sector_counts,
    store_status,
)
from poolsite.wire.stores import StoreCondition

if TYPE_CHECKING:
    from apps.sectors.models import Store

SIZES = ("total_bytes", "free_bytes")
NO_BOUND = "Null for a bucket without MaxStorage, which has no known size."


class AttachmentOutput(serializers.Serializer[Any]):
    """A host that has the store attached."""

    worker_id = serializers.UUIDField()
    host = serializers.CharField()
    path = serializers.CharField()
    condition = serializers.ChoiceField(choices=list(StoreCondition))
    reason = serializers.CharField(allow_blank=True)
    reason_code = serializers.CharField(help_text=CODE_HELP)
    since = serializers.DateTimeField()


class StoreOutput(serializers.Serializer[Any]):
    """One store; `condition` is the best that any of its hosts reports, or DETACHED or SILENT."""

    uuid = serializers.UUIDField()
    uid = serializers.CharField()
    name = serializers.CharField()
    tenant = serializers.CharField()
    condition = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    reason_code = serializers.CharField(help_text=CODE_HELP)
    labels = serializers.ListField(child=serializers.CharField())
    total_bytes = serializers.IntegerField(allow_null=True, help_text=NO_BOUND)
    free_bytes = serializers.IntegerField(allow_null=True, help_text=NO_BOUND)
    reserved_bytes = serializers.IntegerField()
    sectors = serializers.IntegerField()
    bytes_per_day = serializers.IntegerField(allow_null=True)
    days_to_full = serializers.FloatField(allow_null=True)
    rules = serializers.DictField()
    told_at = serializers.DateTimeField(allow_null=True)
    attachments = AttachmentOutput(many=True)


class StoreDetail(StoreOutput):
    """One store with the sectors recorded in it."""

    sectors_by_state = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Counted up to 1,001 each; `sectors` is the number found by hosts.",
    )


def store_body(store: Store) -> dict[str, Any]:
    """Return one store as JSON."""
    now = clock.now()
    status, rate = store_status(store, now=now), store_fill_rate(store)
    days = store_days_left(store, rate)
    plain = ("uid", "name", "labels", "reserved_bytes", "sectors", "rules", "told_at")
    return {
        "uuid": str(store.uuid),
        "tenant": store.tenant.name,
        "condition": status.condition,
        "reason": status.reason,
        "reason_code": code_of(status.reason),
        "bytes_per_day": None if rate is None else int(rate),
        "days_to_full": None if days is None else round(days, 2),
        "attachments": [
            {
                "worker_id": str(row.worker.uuid),
                "host": row.worker.name,
                "path": row.path,
                "condition": row.condition,
                "reason": row.reason,
                "reason_code": code_of(row.reason),
                "since": row.since,
            }
            for row in attachments_of(store)
        ],
        **{name: getattr(store, name) if store.is_bounded else None for name in SIZES},
        **{name: getattr(store, name) for name in plain},
    }


def detail_body(store: Store) -> dict[str, Any]:
    """Return one store with its sectors by state as JSON."""
    return {**store_body(store), "sectors_by_state": store_sector_counts(store)}
