"""What tenants were charged over REST: charges by day, monthly statements, and whether these are paid."""

from __future__ import annotations

from typing import Any, Final

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.billing_output import ChargeOutput, StatementOutput, charge_body, statement_body
from apps.api.v1.day_ranges import month_read
from apps.api.v1.pagination import Pages
from apps.api.v1.serializers import InputSerializer, checked
from apps.api.v1.views import PoolView
from apps.blocks.selectors.billing import charges_visible, statement_get, statements_visible
from apps.blocks.services.statements import payment_record, payment_remove
from apps.core import clock
from apps.core.addresses import address_fault
from apps.core.day_ranges import month_after
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from poolsite.filecoin.address import BadAddress, address_format, address_parse

TENANT: Final = OpenApiParameter("tenant", str, description="name")
MONTH: Final = OpenApiParameter("month", str, description="`2026-11`, in UTC")
MINER: Final = OpenApiParameter("miner", str, description="f0 address")
PAID: Final = OpenApiParameter("paid", bool)


class PaymentInput(InputSerializer):
    """What a statement was paid by."""

    payment = serializers.CharField(max_length=200, help_text="a message's CID, or words")


def miner_read(text: str) -> str:
    """Read the address of a miner, which may have left the pool.  Raises BadValue."""
    try:
        address = address_parse(text)
    except BadAddress as error:
        raise BadValue(address_fault(error), field="miner") from None
    return address_format(address, prefix="f")


class ChargesView(PoolView):
    """`/charges`: what tenants are charged, by day."""

    pagination_class = Pages
    filters = ("tenant", "month", "miner", "limit", "offset")

    @extend_schema(responses=ChargeOutput(many=True), parameters=[TENANT, MONTH, MINER])
    def get(self, request: Request) -> Response:
        """List charges, the newest day first."""
        query, rows = request.query_params, charges_visible(self.principal)
        if query.get("tenant"):
            rows = rows.filter(tenant__name=query["tenant"])
        if query.get("miner"):
            rows = rows.filter(miner_address=miner_read(query["miner"]))
        if query.get("month"):
            month = month_read(query["month"])
            rows = rows.filter(day__gte=month, day__lt=month_after(month))
        pages = Pages()
        found: Any = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(ChargeOutput([charge_body(row) for row in found], many=True).data)


class StatementsView(PoolView):
    """`/statements`: closed months."""

    pagination_class = Pages
    filters = ("tenant", "month", "paid", "limit", "offset")

    @extend_schema(responses=StatementOutput(many=True), parameters=[TENANT, MONTH, PAID])
    def get(self, request: Request) -> Response:
        """List statements, the newest month first."""
        query, rows = request.query_params, statements_visible(self.principal)
        if query.get("tenant"):
            rows = rows.filter(tenant__name=query["tenant"])
        if query.get("month"):
            rows = rows.filter(month=month_read(query["month"]))
        if query.get("paid"):
            if query["paid"] not in ("true", "false"):
                raise BadValue(gettext("must be true or false"), field="paid")
            rows = rows.filter(paid_at__isnull=query["paid"] == "false")
        pages = Pages()
        found: Any = pages.paginate_queryset(rows, request, view=self)
        bodies = [statement_body(row) for row in found]
        return pages.get_paginated_response(StatementOutput(bodies, many=True).data)


class StatementView(PoolView):
    """`/statements/{uuid}`: one closed month."""

    filters = ()

    @extend_schema(responses=StatementOutput)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show a statement."""
        return Response(StatementOutput(statement_body(statement_get(self.principal, uuid))).data)


class PaymentView(PoolView):
    """`/statements/{uuid}/payment`: whether it is paid; the pool itself moves no money."""

    operator_only = True
    perms = {**PoolView.perms, "PUT": "admin", "DELETE": "admin"}
    whole_methods = ("PUT", "DELETE")

    @extend_schema(request=PaymentInput, responses=StatementOutput)
    def put(self, request: Request, uuid: str) -> Response:
        """Mark the statement as paid."""
        data = checked(PaymentInput(data=request.data))
        row = payment_record(
            principal=self.principal,
            statement=statement_get(self.principal, uuid),
            payment=data["payment"],
            now=clock.now(),
        )
        return Response(StatementOutput(statement_body(row)).data)

    @extend_schema(responses={200: StatementOutput})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Mark it as open again."""
        row = payment_remove(principal=self.principal, statement=statement_get(self.principal, uuid))
        return Response(StatementOutput(statement_body(row)).data)


urlpatterns = [
    path("charges", ChargesView.as_view(), name="v1-charges"),
    path("statements", StatementsView.as_view(), name="v1-statements"),
    path("statements/<uuid:uuid>", StatementView.as_view(), name="v1-statement"),
    path("statements/<uuid:uuid>/payment", PaymentView.as_view(), name="v1-statement-payment"),
]
