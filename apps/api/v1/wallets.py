"""Wallets over REST: list, one, its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.list_filters import ListView, parameters_of
from apps.api.v1.pagination import CURSOR, LIMIT, Pages, cursor_number, cursor_of, cursor_write
from apps.api.v1.serializers import CodeField, InputSerializer
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.wallets.selectors import (
    SignRecordFilters,
    WalletFilters,
    sign_records,
    sign_records_before,
    wallet_get,
    wallets_named,
)
from apps.wallets.services.label import wallet_label_set

if TYPE_CHECKING:
    from apps.wallets.models import Wallet


class WalletOutput(serializers.Serializer[Any]):
    """One wallet."""

    address = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF has a `label` of its own
    signer_label = serializers.CharField(help_text="what its signer calls the key; empty if it does not say")
    tenant = serializers.CharField()
    key_type = serializers.CharField()
    balance = serializers.CharField(allow_null=True)
    nonce = serializers.IntegerField(allow_null=True)
    data_cap = serializers.IntegerField(
        allow_null=True, help_text="bytes of DataCap that it has left; null: none, or not read yet"
    )
    actor = serializers.CharField(allow_null=True)
    served = serializers.BooleanField()
    seen_at = serializers.DateTimeField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    """When the chain said balance and nonce."""


class LabelInput(InputSerializer):
    """A new name for a wallet."""

    label = serializers.CharField(max_length=60, allow_blank=True)  # type: ignore[assignment]  # as above


class SignRecordOutput(serializers.Serializer[Any]):
    """A request that was signed or refused."""

    at = serializers.DateTimeField()
    address = serializers.CharField()
    what = serializers.CharField()
    what_code = CodeField(source="what")
    cid = serializers.CharField()
    asked_by = serializers.CharField()
    ms = serializers.IntegerField(allow_null=True)
    error = serializers.CharField()
    error_code = CodeField(source="error")


class SignRecordPage(serializers.Serializer[Any]):
    """One page, newest first."""

    results = SignRecordOutput(many=True)
    next = serializers.CharField(allow_null=True)


def wallet_data(wallet: Wallet) -> dict[str, Any]:
    """Return a wallet as JSON."""
    return {
        "address": wallet.address,
        "label": wallet.label,
        "signer_label": wallet.signer_label,
        "tenant": wallet.tenant.name,
        "key_type": wallet.key_type,
        "balance": None if wallet.balance is None else str(wallet.balance),
        "nonce": wallet.nonce,
        "data_cap": wallet.data_cap,
        "actor": None if wallet.actor_id is None else f"f0{wallet.actor_id}",
        "served": wallet.is_served(clock.now()),
        "seen_at": wallet.seen_at,
        "checked_at": wallet.checked_at,
    }


class WalletsView(ListView):
    """The addresses that the caller can send from."""

    pagination_class = Pages
    noun = WalletFilters

    @extend_schema(parameters=parameters_of(WalletFilters), responses=WalletOutput(many=True))
    def get(self, request: Request) -> Response:
        """List wallets."""
        pages = Pages()
        rows = pages.paginate_queryset(self.narrowed(wallets_named(self.principal)), request, view=self)
        return pages.get_paginated_response(
            WalletOutput([wallet_data(row) for row in rows or []], many=True).data
        )


class WalletView(PoolView):
    """One wallet."""

    @extend_schema(responses=WalletOutput)
    def get(self, _request: Request, address: str) -> Response:
        """Show it."""
        return Response(WalletOutput(wallet_data(wallet_get(self.principal, address))).data)

    @extend_schema(request=LabelInput, responses=WalletOutput)
    def patch(self, request: Request, address: str) -> Response:
        """Set its name."""
        data = LabelInput(data=request.data)
        data.is_valid(raise_exception=True)
        wallet = wallet_get(self.principal, address)
        wallet_label_set(principal=self.principal, wallet=wallet, label=data.validated_data["label"])
        return Response(WalletOutput(wallet_data(wallet_get(self.principal, address))).data)


class SignRecordsView(ListView):
    """What the signers were asked, newest first."""

    noun = SignRecordFilters

    @extend_schema(
        parameters=[*parameters_of(SignRecordFilters), CURSOR, LIMIT],
        responses=SignRecordPage,
    )
    def get(self, request: Request) -> Response:
        """List records; `cursor` is the `next` of the previous page."""
        limit, rows = self.limit(), self.narrowed(sign_records(self.principal))
        before = cursor_of(request)
        if before is not None:
            rows = sign_records_before(rows, before[0], cursor_number(request))
        found = list(rows[: limit + 1])
        last = found[limit - 1] if len(found) > limit else None
        return Response(
            {
                "results": SignRecordOutput(found[:limit], many=True).data,
                "next": None if last is None else cursor_write(last.at, last.pk),
            }
        )


urlpatterns = [
    path("wallets", WalletsView.as_view(), name="api-wallets"),
    path("wallets/records", SignRecordsView.as_view(), name="api-sign-records"),
    path("wallets/<str:address>", WalletView.as_view(), name="api-wallet"),
]
