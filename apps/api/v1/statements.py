"""What tenants were charged over REST: charges by day, monthly statements, and whether these are paid."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.billing_output import ChargeOutput, StatementOutput, charge_body, statement_body
from apps.api.v1.list_filters import ListView, parameters_of
from apps.api.v1.pagination import Pages
from apps.api.v1.serializers import InputSerializer, checked
from apps.api.v1.views import PoolView
from apps.blocks.selectors.billing import (
    ChargeFilters,
    StatementFilters,
    charges_visible,
    statement_get,
    statements_visible,
)
from apps.blocks.services.statements import payment_record, payment_remove
from apps.core import clock


class PaymentInput(InputSerializer):
    """What a statement was paid by."""

    payment = serializers.CharField(max_length=200, help_text="a message's CID, or words")


class ChargesView(ListView):
    """`/charges`: what tenants are charged, by day."""

    pagination_class = Pages
    noun = ChargeFilters

    @extend_schema(responses=ChargeOutput(many=True), parameters=parameters_of(ChargeFilters))
    def get(self, request: Request) -> Response:
        """List charges, the newest day first."""
        pages = Pages()
        rows = self.narrowed(charges_visible(self.principal))
        found: Any = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(ChargeOutput([charge_body(row) for row in found], many=True).data)


class StatementsView(ListView):
    """`/statements`: closed months."""

    pagination_class = Pages
    noun = StatementFilters

    @extend_schema(responses=StatementOutput(many=True), parameters=parameters_of(StatementFilters))
    def get(self, request: Request) -> Response:
        """List statements, the newest month first."""
        pages = Pages()
        rows = self.narrowed(statements_visible(self.principal))
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
