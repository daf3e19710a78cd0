"""Stores over REST: where they are, how full, what hosts say of them; attach, detach, change."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.hosts import CommandOutput
from apps.api.v1.pagination import cursor_read, cursor_write, number
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.core.errors import BadValue
from apps.sectors.selectors.hosts import worker_get
from apps.sectors.selectors.moves import moves_of, removals_awaited
from apps.sectors.selectors.stores import (
    attachment_get,
    attachments_of,
    store_days_left,
    store_fill_rate,
    store_get,
    store_sector_counts,
    store_status,
    stores_page,
)
from apps.sectors.services.stores.lost import lost_store, store_forget
from apps.sectors.services.stores.moves import moves_begin, moves_cancel
from apps.sectors.services.stores.orders import StoreChanges, store_attach, store_change, store_detach

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.sectors.models import Store, StoreMove, WorkerCommand
    from apps.sectors.selectors.moves import Removal
    from apps.sectors.services.stores.lost import LostStore

SIZES = ("total_bytes", "free_bytes")
NO_BOUND = "Null for a bucket without MaxStorage, which has no known size."


class AttachmentOutput(serializers.Serializer[Any]):
    """A host that has the store attached."""

    worker_id = serializers.UUIDField()
    host = serializers.CharField()
    path = serializers.CharField()
    condition = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    since = serializers.DateTimeField()


class StoreOutput(serializers.Serializer[Any]):
    """One store; `condition` is the best that any of its hosts reports, or DETACHED or SILENT."""

    uuid = serializers.UUIDField()
    uid = serializers.CharField()
    name = serializers.CharField()
    tenant = serializers.CharField()
    condition = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
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


class StoreList(serializers.Serializer[Any]):
    """Stores, newest first."""

    results = StoreOutput(many=True)
    cursor = serializers.CharField(allow_null=True)


class StoreDetail(StoreOutput):
    """One store with the sectors recorded in it."""

    sectors_by_state = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Counted up to 1,001 each; `sectors` is the number found by hosts.",
    )


class AttachInput(InputSerializer):
    """Path and host; `new` marks an empty folder as a new store."""

    worker_id = serializers.CharField(max_length=100)
    path = serializers.CharField(max_length=500)
    new = serializers.BooleanField(default=False)


class DetachInput(InputSerializer):
    """From which host."""

    worker_id = serializers.CharField(max_length=100)


class MovesInput(InputSerializer):
    """The target, and which proving sectors: those with these uuids, or `count` of them."""

    to = serializers.UUIDField()
    sectors = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=1000)
    count = serializers.IntegerField(required=False, min_value=1, max_value=1000)


class AwaitedRemovalOutput(serializers.Serializer[Any]):
    """An incomplete copy that its host has yet to remove."""

    host = serializers.CharField()
    name = serializers.CharField(help_text="name of the sector's files in the store, such as s-t01000-7")
    store = serializers.CharField()


class MoveOutput(serializers.Serializer[Any]):
    """A sector moving from one store to another."""

    uuid = serializers.UUIDField()
    sector = serializers.UUIDField()
    miner = serializers.CharField()
    number = serializers.IntegerField()
    from_store = serializers.CharField()
    to_store = serializers.CharField()
    host = serializers.CharField()
    state = serializers.CharField()
    error = serializers.CharField(allow_blank=True)
    waits_for = AwaitedRemovalOutput(
        allow_null=True, help_text="copy that must be removed before its next step is ordered"
    )
    updated_at = serializers.DateTimeField()


class MoveList(serializers.Serializer[Any]):
    """The newest moves of a store."""

    results = MoveOutput(many=True)


class CancelledOutput(serializers.Serializer[Any]):
    """How many moves were cancelled."""

    cancelled = serializers.IntegerField()


class StoreInput(InputSerializer):
    """Fields to change; omitted fields stay unchanged."""

    weight = serializers.IntegerField(required=False)
    reserve_bytes = serializers.IntegerField(required=False)
    max_bytes = serializers.IntegerField(required=False)
    read_only = serializers.BooleanField(required=False)  # type: ignore[assignment]  # DRF has one of its own
    labels = serializers.ListField(child=serializers.CharField(max_length=50), required=False)


def store_body(store: Store) -> dict[str, Any]:
    """Write one store."""
    now = clock.now()
    status, rate = store_status(store, now=now), store_fill_rate(store)
    days = store_days_left(store, rate)
    plain = ("uid", "name", "labels", "reserved_bytes", "sectors", "rules", "told_at")
    return {
        "uuid": str(store.uuid),
        "tenant": store.tenant.name,
        "condition": status.condition,
        "reason": status.reason,
        "bytes_per_day": None if rate is None else int(rate),
        "days_to_full": None if days is None else round(days, 2),
        "attachments": [
            {
                "worker_id": str(row.worker.uuid),
                "host": row.worker.name,
                "path": row.path,
                "condition": row.condition,
                "reason": row.reason,
                "since": row.since,
            }
            for row in attachments_of(store)
        ],
        **{name: getattr(store, name) if store.is_bounded else None for name in SIZES},
        **{name: getattr(store, name) for name in plain},
    }


def detail_body(store: Store) -> dict[str, Any]:
    """Write one store with its sectors by state."""
    return {**store_body(store), "sectors_by_state": store_sector_counts(store)}


def order_body(command: WorkerCommand) -> dict[str, Any]:
    """Write an order that a host carries out with its next heartbeat."""
    plain = {"op": command.op, "args": command.args, "created_at": command.created_at}
    return {"id": str(command.uuid), **plain}


class StoresView(PoolView):
    """`/stores`: the caller's stores."""

    filters = ("limit", "cursor")
    whole_methods = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    @extend_schema(
        operation_id="v1_stores_list",
        responses=StoreList,
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor", str)],
    )
    def get(self, request: Request) -> Response:
        """List stores, newest first."""
        limit = number(request, "limit", least=1, default=100, most=1000)
        cursor = request.query_params.get("cursor")
        before = None if cursor is None else cursor_read(cursor)
        rows = stores_page(self.principal, before=before, limit=limit + 1, now=clock.now())
        more = len(rows) > limit
        last = rows[limit - 1] if more else None
        return Response(
            {
                "results": [store_body(row) for row in rows[:limit]],
                "cursor": None if last is None else cursor_write(last.created_at, last.pk),
            }
        )

    @extend_schema(request=AttachInput, responses={201: CommandOutput})
    def post(self, request: Request) -> Response:
        """Order a host to attach a folder; the host's events record the result."""
        body = AttachInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        worker = worker_get(self.principal, given["worker_id"])
        command = store_attach(worker, given["path"], is_new=given["new"], by=self.principal)
        return created(order_body(command))


class StoreView(PoolView):
    """`/stores/{uuid}`: one store."""

    whole_methods = ("PATCH",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"PATCH": "sign"}

    @extend_schema(responses=StoreDetail)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show one store."""
        return Response(detail_body(store_get(self.principal, uuid, now=clock.now())))

    @extend_schema(request=StoreInput, responses=StoreDetail)
    def patch(self, request: Request, uuid: str) -> Response:
        """Change weight, reserve, limit, read-only or labels; all but labels are written into the store."""
        body = StoreInput(data=request.data)
        body.is_valid(raise_exception=True)
        store = store_get(self.principal, uuid, now=clock.now())
        store_change(store, StoreChanges(**body.validated_data), now=clock.now(), by=self.principal)
        return Response(detail_body(store_get(self.principal, uuid, now=clock.now())))


class StoreDetachView(PoolView):
    """`/stores/{uuid}/detach`: a host lets go of a store."""

    whole_methods = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    @extend_schema(request=DetachInput, responses={201: CommandOutput})
    def post(self, request: Request, uuid: str) -> Response:
        """Order a host to detach it; refused while no other host could prove the sectors in it."""
        body = DetachInput(data=request.data)
        body.is_valid(raise_exception=True)
        store = store_get(self.principal, uuid, now=clock.now())
        row = attachment_get(store, body.validated_data["worker_id"])
        return created(order_body(store_detach(row, now=clock.now(), by=self.principal)))


def moves_body(moves: Iterable[StoreMove]) -> dict[str, Any]:
    """Write moves, and what they wait for."""
    rows = list(moves)
    awaited = removals_awaited(rows)
    return {"results": [move_body(row, awaited.get(row.pk)) for row in rows]}


def move_body(move: StoreMove, awaited: Removal | None) -> dict[str, Any]:
    """Write one move."""
    return {
        "uuid": str(move.uuid),
        "sector": str(move.sector.uuid),
        "miner": move.sector.miner.address,
        "number": move.sector.number,
        "from_store": move.from_store.name,
        "to_store": move.to_store.name,
        "host": move.worker.name,
        "state": move.state,
        "error": move.error,
        "waits_for": asdict(awaited) if awaited is not None else None,
        "updated_at": move.updated_at,
    }


class ForgetInput(InputSerializer):
    """The store's name, as confirmation."""

    confirm = serializers.CharField(max_length=110, required=False, allow_blank=True, default="")


class LostSectorOutput(serializers.Serializer[Any]):
    """A sector without files."""

    uuid = serializers.UUIDField()
    miner = serializers.CharField()
    number = serializers.IntegerField()
    state = serializers.CharField()


class LostStoreOutput(serializers.Serializer[Any]):
    """What is lost with a store; `refusal` says why it cannot be forgotten."""

    refusal = serializers.CharField(allow_blank=True)
    proving = serializers.IntegerField()
    under_way = serializers.IntegerField()
    bytes = serializers.IntegerField(help_text="raw bytes of the proving sectors")
    pledge = serializers.CharField(help_text="attoFIL locked for them")
    sectors = LostSectorOutput(many=True)


class StoreForgetView(PoolView):
    """`/stores/{uuid}/forget`: a store is lost with all that lay in it."""

    write_parameters = PARAMETERS
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    @extend_schema(request=ForgetInput, responses=LostStoreOutput, parameters=[DRY_RUN])
    def post(self, request: Request, uuid: str) -> Response:
        """Forget it and mark its sectors as having no files; refused while a host reads it."""
        body = ForgetInput(data=request.data)
        body.is_valid(raise_exception=True)
        store, now = store_get(self.principal, uuid, now=clock.now()), clock.now()
        if is_dry_run(request):
            return Response(lost_body(lost_store(store, now=now)))
        lost = store_forget(store, confirm=body.validated_data["confirm"], now=now, by=self.principal)
        return Response(lost_body(lost))


def lost_body(lost: LostStore) -> dict[str, Any]:
    """Write what is lost."""
    return {
        "refusal": lost.refusal,
        "proving": lost.proving,
        "under_way": lost.under_way,
        "bytes": lost.size,
        "pledge": str(lost.pledge),
        "sectors": [
            {"uuid": row.uuid, "miner": row.miner.address, "number": row.number, "state": row.state}
            for row in lost.named
        ],
    }


class StoreMovesView(PoolView):
    """`/stores/{uuid}/moves`: sectors on their way out of a store, or into it."""

    filters = ("limit",)
    whole_methods = ("POST", "DELETE")
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign", "DELETE": "sign"}

    @extend_schema(
        operation_id="v1_store_moves_list",
        responses=MoveList,
        parameters=[OpenApiParameter("limit", int)],
    )
    def get(self, request: Request, uuid: str) -> Response:
        """List them, newest first."""
        limit = number(request, "limit", least=1, default=100, most=1000)
        store = store_get(self.principal, uuid, now=clock.now())
        return Response(moves_body(moves_of(store)[:limit]))

    @extend_schema(request=MovesInput, responses={201: MoveList})
    def post(self, request: Request, uuid: str) -> Response:
        """Queue moves; a host copies and verifies each, then the old copy is removed."""
        body = MovesInput(data=request.data)
        body.is_valid(raise_exception=True)
        given, now = body.validated_data, clock.now()
        if ("sectors" in given) == ("count" in given):
            raise BadValue(gettext("specify the sectors, or a count"), field="sectors")
        numbers = given["count"] if "count" in given else [str(one) for one in given["sectors"]]
        source = store_get(self.principal, uuid, now=now)
        target = store_get(self.principal, str(given["to"]), now=now)
        made = moves_begin(source, target, numbers=numbers, now=now, by=self.principal)
        return created(moves_body(moves_of(source).filter(pk__in=[one.pk for one in made])))

    @extend_schema(responses=CancelledOutput)
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Cancel moves out of this store that have not started, or whose host is offline."""
        source = store_get(self.principal, uuid, now=clock.now())
        return Response({"cancelled": moves_cancel(source, by=self.principal, now=clock.now())})


urlpatterns = [
    path("stores", StoresView.as_view(), name="v1-stores"),
    path("stores/<str:uuid>", StoreView.as_view(), name="v1-store"),
    path("stores/<str:uuid>/moves", StoreMovesView.as_view(), name="v1-store-moves"),
    path("stores/<str:uuid>/forget", StoreForgetView.as_view(), name="v1-store-forget"),
    path("stores/<str:uuid>/detach", StoreDetachView.as_view(), name="v1-store-detach"),
]
