"""Moves of sectors between stores over REST."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.list_filters import ListView, parameters_of
from apps.api.v1.pagination import CURSOR, LIMIT, newest_page
from apps.api.v1.serializers import CODE_HELP, InputSerializer, SectorField
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.core.reasons import code_of
from apps.sectors.selectors.moves import MoveFilters, Removal, moves_of, moves_visible, removals_awaited
from apps.sectors.selectors.sectors import sectors_picked
from apps.sectors.selectors.stores import store_get
from apps.sectors.services.stores.moves import moves_begin, moves_cancel

if TYPE_CHECKING:
    from apps.sectors.models import StoreMove


class MovesInput(InputSerializer):
    """The target, and which proving sectors: those named, or `count` of them."""

    to = serializers.UUIDField()
    sectors = serializers.ListField(child=SectorField(), required=False, max_length=1000)
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
    error_code = serializers.CharField(help_text=CODE_HELP)
    waits_for = AwaitedRemovalOutput(
        allow_null=True, help_text="copy that must be removed before its next step is ordered"
    )
    updated_at = serializers.DateTimeField()


class MoveList(serializers.Serializer[Any]):
    """Moves of a store."""

    results = MoveOutput(many=True)


class MovePage(MoveList):
    """One page of them, newest first."""

    next = serializers.CharField(allow_null=True)


class CancelledOutput(serializers.Serializer[Any]):
    """How many moves were cancelled."""

    cancelled = serializers.IntegerField()


def moves_body(moves: Iterable[StoreMove]) -> dict[str, Any]:
    """Return moves, and what they wait for, as JSON."""
    rows = list(moves)
    awaited = removals_awaited(rows)
    return {"results": [move_body(row, awaited.get(row.pk)) for row in rows]}


def move_body(move: StoreMove, awaited: Removal | None) -> dict[str, Any]:
    """Return one move as JSON."""
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
        "error_code": code_of(move.error),
        "waits_for": asdict(awaited) if awaited is not None else None,
        "updated_at": move.updated_at,
    }


class MovesView(ListView):
    """`/store-moves`: sectors on their way from one store to another."""

    noun = MoveFilters

    @extend_schema(responses=MovePage, parameters=[*parameters_of(MoveFilters), CURSOR, LIMIT])
    def get(self, _request: Request) -> Response:
        """List them, newest first; `cursor` is the `next` of the previous page."""
        found, following = self.newest(moves_visible(self.principal))
        return Response(moves_body(found) | {"next": following})


class StoreMovesView(PoolView):
    """`/stores/{uuid}/moves`: sectors on their way out of a store, or into it."""

    filters = ("limit", "cursor")
    whole_methods = ("POST", "DELETE")
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign", "DELETE": "sign"}

    @extend_schema(
        responses=MovePage,
        parameters=[CURSOR, LIMIT],
    )
    def get(self, request: Request, uuid: str) -> Response:
        """List them, newest first; `cursor` is the `next` of the previous page."""
        store = store_get(self.principal, uuid, now=clock.now())
        rows = moves_of(self.principal, store)
        found, following = newest_page(request, rows, default=100, most=1000)
        return Response(moves_body(found) | {"next": following})

    @extend_schema(request=MovesInput, responses={201: MoveList})
    def post(self, request: Request, uuid: str) -> Response:
        """Queue moves; a host copies and verifies each, then the old copy is removed."""
        body = MovesInput(data=request.data)
        body.is_valid(raise_exception=True)
        data, now = body.validated_data, clock.now()
        if ("sectors" in data) == ("count" in data):
            raise BadValue(gettext("specify the sectors, or a count"), field="sectors")
        numbers = data["count"] if "count" in data else self._uuids(data["sectors"])
        source = store_get(self.principal, uuid, now=now)
        target = store_get(self.principal, str(data["to"]), now=now)
        made = moves_begin(source, target=target, numbers=numbers, now=now, by=self.principal)
        return created(moves_body(moves_of(self.principal, source).filter(pk__in=[one.pk for one in made])))

    def _uuids(self, names: list[str]) -> list[str]:
        return [str(row.uuid) for row in sectors_picked(self.principal, names)]

    @extend_schema(responses={200: CancelledOutput})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Cancel moves out of this store that have not started, or whose host is offline."""
        source = store_get(self.principal, uuid, now=clock.now())
        return Response({"cancelled": moves_cancel(source, by=self.principal, now=clock.now())})


urlpatterns = [
    path("store-moves", MovesView.as_view(), name="v1-moves"),
    path("stores/<str:uuid>/moves", StoreMovesView.as_view(), name="v1-store-moves"),
]
