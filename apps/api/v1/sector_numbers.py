"""Sector numbers over REST: leased to sealers of others, reserved by name, released, used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.chain.node.client import chain_client
from apps.core import clock
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.numbers import numbers_of, reservations_of
from apps.sectors.services.reservations import (
    LEASE_MAX,
    TTL_MAX_S,
    TTL_S,
    NumberRequest,
    numbers_format,
    numbers_parse,
    numbers_reserve,
    reservation_end,
)
from apps.sectors.states import ReservationState
from poolsite.filecoin.bitfield import bitfield_of_runs

if TYPE_CHECKING:
    from apps.sectors.models import NumberReservation

SHOWN_MAX = 200


class ReservationOutput(serializers.Serializer[Any]):
    """Reserved numbers, in lotus-miner's notation: `5-9,12`."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=ReservationState.values)
    is_lease = serializers.BooleanField()
    numbers = serializers.CharField()
    count = serializers.IntegerField()
    expires_at = serializers.DateTimeField(allow_null=True)
    by = serializers.CharField()


class LeaseOutput(serializers.Serializer[Any]):
    """Numbers that a sealer may use until the lease ends."""

    lease_id = serializers.UUIDField()
    token = serializers.IntegerField(
        help_text="grows with each lease: a store that keeps the highest can reject older leases"
    )
    numbers = serializers.ListField(child=serializers.IntegerField())
    expires_at = serializers.DateTimeField()


class NumbersOutput(serializers.Serializer[Any]):
    """The sector number counter; `elsewhere` while another program allocates the numbers."""

    next = serializers.IntegerField()
    elsewhere_since = serializers.DateTimeField(allow_null=True)
    reservations = ReservationOutput(many=True)


class LeaseInput(InputSerializer):
    """How many numbers and for whom; the holder of the allocator role passes its host and token."""

    holder = serializers.CharField(max_length=100)
    count = serializers.IntegerField(min_value=1, max_value=LEASE_MAX, default=1)
    ttl_s = serializers.IntegerField(min_value=1, max_value=TTL_MAX_S, default=TTL_S)
    host = serializers.CharField(max_length=100, required=False)
    token = serializers.IntegerField(required=False)


class ReserveInput(InputSerializer):
    """A name, and a count of next numbers or ranges such as `100-199,205`."""

    name = serializers.CharField(max_length=100)
    count = serializers.IntegerField(min_value=1, max_value=LEASE_MAX, required=False)
    numbers = serializers.CharField(max_length=1_000, required=False)


def reservation_body(row: NumberReservation) -> dict[str, Any]:
    """Return one reservation as JSON."""
    return {
        "id": str(row.uuid),
        "name": row.name,
        "state": row.state,
        "is_lease": row.is_lease,
        "numbers": numbers_format(bitfield_of_runs(row.runs)),
        "count": row.count,
        "expires_at": row.expires_at,
        "by": row.actor,
    }


class SectorNumbersView(PoolView):
    """`/miners/{address}/sector-numbers`: the counter and what is reserved."""

    filters = ()

    @extend_schema(responses=NumbersOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show the next number and the newest reservations."""
        miner = miner_get(self.principal, address)
        row = numbers_of(miner)
        return Response(
            {
                "next": 0 if row is None else row.next_number,
                "elsewhere_since": None if row is None else row.exported_at,
                "reservations": [reservation_body(one) for one in reservations_of(miner)[:SHOWN_MAX]],
            }
        )


class SectorNumbersAllocateView(PoolView):
    """`/miners/{address}/sector-numbers:allocate`: numbers for a sealer that is not ours."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    asks_network = True

    @extend_schema(
        request=LeaseInput,
        responses={201: LeaseOutput},
    )
    def post(self, request: Request, address: str) -> Response:
        """Lease the next numbers; unused ones are never reused, even after the lease has expired."""
        body = LeaseInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        miner = miner_get(self.principal, address)
        if ("host" in data) != ("token" in data):
            raise BadValue(gettext("host and token must be given together"), field="token")
        number_request = NumberRequest(
            name=data["holder"],
            count=data["count"],
            ttl_s=data["ttl_s"],
            allocated=numbers_allocated(chain_client(), miner.address) if miner.address else [],
            key=request.headers.get("Idempotency-Key", "")[:100],
            allocator=(data["host"], data["token"]) if "host" in data else None,
        )
        row = numbers_reserve(miner, request=number_request, principal=self.principal, now=clock.now())
        return created(
            {
                "lease_id": str(row.uuid),
                "token": row.pk,
                "numbers": list(bitfield_of_runs(row.runs)),
                "expires_at": row.expires_at,
            }
        )


class SectorNumbersReserveView(PoolView):
    """`/miners/{address}/sector-numbers:reserve`: numbers by name, for as long as it likes."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    asks_network = True

    @extend_schema(
        request=ReserveInput,
        responses={201: ReservationOutput},
    )
    def post(self, request: Request, address: str) -> Response:
        """Reserve numbers, as lotus-miner's `sectors numbers reserve` does."""
        body = ReserveInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        if ("count" in data) == ("numbers" in data):
            raise BadValue(gettext("specify a count or the numbers"), field="numbers")
        miner = miner_get(self.principal, address)
        number_request = NumberRequest(
            name=data["name"],
            count=data.get("count", 0),
            numbers=numbers_parse(data["numbers"]) if "numbers" in data else None,
            allocated=numbers_allocated(chain_client(), miner.address) if miner.address else [],
            key=request.headers.get("Idempotency-Key", "")[:100],
        )
        return created(
            reservation_body(
                numbers_reserve(miner, request=number_request, principal=self.principal, now=clock.now())
            )
        )


class ReservationReleaseView(PoolView):
    """`/miners/{address}/sector-numbers/{id}/release`: numbers that are not needed."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    event: ClassVar[str] = "RELEASE"
    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses=ReservationOutput)
    def post(self, request: Request, address: str, reservation: str) -> Response:  # noqa: ARG002
        """Record what became of reserved numbers; they are never allocated again."""
        miner = miner_get(self.principal, address)
        row = reservation_end(
            miner, uuid=reservation, event=self.event, principal=self.principal, now=clock.now()
        )
        return Response(reservation_body(row))


class ReservationUseView(ReservationReleaseView):
    """`/miners/{address}/sector-numbers/{id}/use`: sectors were made of them."""

    event: ClassVar[str] = "USE"


NUMBERS = "miners/<str:address>/sector-numbers"
urlpatterns = [
    path(NUMBERS, SectorNumbersView.as_view(), name="v1-sector-numbers"),
    path(f"{NUMBERS}:allocate", SectorNumbersAllocateView.as_view(), name="v1-sector-numbers-allocate"),
    path(f"{NUMBERS}:reserve", SectorNumbersReserveView.as_view(), name="v1-sector-numbers-reserve"),
    path(
        f"{NUMBERS}/<str:reservation>/release",
        ReservationReleaseView.as_view(),
        name="v1-sector-numbers-release",
    ),
    path(f"{NUMBERS}/<str:reservation>/use", ReservationUseView.as_view(), name="v1-sector-numbers-use"),
]
