"""Senders over REST: lanes, states, quotas and fee rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import Pages
from apps.api.v1.serializers import CODE_HELP, AmountField, FactorField, InputSerializer, address_value
from apps.api.v1.views import PoolView
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.core.errors import BadValue, NotAllowed
from apps.core.marked_texts import gettext
from apps.core.reasons import code_of
from apps.messages.selectors.balances import balances_of
from apps.messages.selectors.foreign import is_used_elsewhere
from apps.messages.selectors.nonce_lanes import lanes_of, open_by_sender
from apps.messages.selectors.queue_costs import LEARN_DAYS
from apps.messages.selectors.senders import sender_get, senders_visible
from apps.messages.selectors.spend import spend_by_sender
from apps.messages.services.fee_rules import FEE_FIELDS
from apps.messages.services.senders import sender_set
from apps.messages.states import NoncesBy, SenderState
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.messages.models import Sender


class SenderChange(InputSerializer):
    """Settings of a sender; omitted fields stay unchanged, zero falls back to the general rules."""

    state = serializers.ChoiceField(choices=SenderState.values, required=False)
    nonces_by = serializers.ChoiceField(choices=NoncesBy.values, allow_blank=True, required=False)
    quota = serializers.IntegerField(min_value=0, max_value=(1 << 31) - 1, required=False)
    max_fee = AmountField(required=False)
    gas_fee_cap = AmountField(required=False)
    base_fee = AmountField(required=False)
    gas_over_estimation = FactorField(min_value=0, max_value=1000, required=False)
    gas_over_premium = FactorField(min_value=0, max_value=1000, required=False)


PLACES: Final = ("landed", "replaced", "flight", "stuck", "gap", "next")


class LaneNonceOutput(serializers.Serializer[Any]):
    """One nonce of a lane."""

    nonce = serializers.IntegerField()
    place = serializers.ChoiceField(choices=PLACES)
    message = serializers.CharField(allow_null=True)


class SenderOutput(serializers.Serializer[Any]):
    """One sender; amounts are attoFIL as text."""

    address = serializers.CharField()
    state = serializers.ChoiceField(choices=SenderState.values)
    chain_nonce = serializers.IntegerField(allow_null=True)
    next_nonce = serializers.IntegerField()
    missing_nonce = serializers.IntegerField(allow_null=True)
    is_used_elsewhere = serializers.BooleanField()
    nonces_by = serializers.ChoiceField(choices=NoncesBy.values, allow_blank=True)
    waiting = serializers.IntegerField()
    in_flight = serializers.IntegerField()
    lane = LaneNonceOutput(many=True)
    balance = serializers.CharField(allow_null=True)
    gas_7_days = serializers.CharField()
    quota = serializers.IntegerField()
    max_fee = serializers.CharField()
    gas_fee_cap = serializers.CharField()
    base_fee = serializers.CharField()
    gas_over_estimation = serializers.FloatField()
    gas_over_premium = serializers.FloatField()
    wait = serializers.CharField()
    error = serializers.CharField()
    error_code = serializers.CharField(help_text=CODE_HELP)


def sender_bodies(viewer: Principal, rows: list[Sender]) -> list[dict[str, Any]]:
    """Lay senders out with their lanes; the questions do not grow with their number."""
    head, now = head_current(), clock.now()
    base_fee = 0 if head is None else int(head.base_fee)
    lanes = lanes_of(rows, viewer=viewer, open_counts=open_by_sender(viewer), base_fee=base_fee)
    spent = spend_by_sender(viewer, days=LEARN_DAYS, now=now)
    balances = balances_of(rows)
    return [
        {
            "address": row.address,
            "state": row.state,
            "chain_nonce": row.chain_nonce,
            "next_nonce": row.next_nonce,
            "missing_nonce": row.gap_nonce,
            "is_used_elsewhere": is_used_elsewhere(row, now=now),
            "nonces_by": row.nonces_by,
            "waiting": lanes[row.address].waiting,
            "in_flight": lanes[row.address].in_flight,
            "lane": [
                {"nonce": one.nonce, "place": one.place, "message": one.push_id or None}
                for one in lanes[row.address].nonces
            ],
            "balance": None if (held := balances[row.address]) is None else str(held),
            "gas_7_days": str(spent.get(row.address, 0)),
            "quota": row.quota,
            **{name: _plain(getattr(row, name)) for name in FEE_FIELDS},
            "wait": row.wait,
            "error": row.error,
            "error_code": code_of(row.error),
        }
        for row in rows
    ]


def _plain(value: Any) -> Any:
    return value if isinstance(value, float) else str(value)


class SendersView(PoolView):
    """`/senders`: addresses that messages are sent from."""

    pagination_class = Pages
    filters = ("limit", "offset")

    @extend_schema(responses=SenderOutput(many=True))
    def get(self, request: Request) -> Response:
        """List senders with their lanes of nonces."""
        pages = Pages()
        rows = pages.paginate_queryset(senders_visible(self.principal), request, view=self)
        return pages.get_paginated_response(sender_bodies(self.principal, list(rows or [])))


class SenderView(PoolView):
    """`/senders/{address}`: one sender."""

    perms = {**PoolView.perms, "PATCH": "sign"}

    @extend_schema(responses=SenderOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's form
        """Return a sender with its lane."""
        row = sender_get(self.principal, address_value(address, field="address"))
        return Response(sender_bodies(self.principal, [row])[0])

    @extend_schema(request=SenderChange, responses=SenderOutput)
    def patch(self, request: Request, address: str) -> Response:
        """Pause or resume it, say who gives its nonces, or change its quota and fees."""
        body = SenderChange(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        if not data:
            raise BadValue(gettext("nothing to change"))
        if self.principal.miners:  # a sender's lane shows messages of all miners
            raise NotAllowed(gettext("this token is limited to certain miners"))
        row = sender_set(
            principal=self.principal,
            address=sender_get(self.principal, address_value(address, field="address")).address,
            fees={name: data[name] for name in FEE_FIELDS if name in data},
            quota=data.get("quota"),
            state=data.get("state"),
            nonces_by=data.get("nonces_by"),
        )
        return Response(sender_bodies(self.principal, [row])[0])


urlpatterns = [
    path("senders", SendersView.as_view(), name="api-senders"),
    path("senders/<str:address>", SenderView.as_view(), name="api-sender"),
]
