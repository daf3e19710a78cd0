"""New fees for a message over REST."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.message_input import zero_amount
from apps.api.v1.message_output import MessageOutput, head_height_or_zero, message_body
from apps.api.v1.serializers import AmountField, InputSerializer
from apps.api.v1.views import PoolView
from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.messages.selectors.messages import message_get
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.publish import messages_publish
from apps.messages.services.replace import fee_limits_set, message_replace
from apps.messages.states import MessageState
from poolsite.filecoin.amounts import TOTAL_FILECOIN


class ReplaceInput(InputSerializer):
    """New fees; if all are empty, they are estimated again."""

    max_fee = AmountField(default=zero_amount)
    gas_limit = serializers.IntegerField(min_value=0, default=0)
    gas_fee_cap = AmountField(default=zero_amount)
    gas_premium = AmountField(default=zero_amount)


class ReplaceView(PoolView):
    """`/messages/{id}/replace`: higher fees for a message in flight, or other limits before it is signed."""

    perms = {**PoolView.perms, "POST": "sign"}
    asks_network = True

    @extend_schema(request=ReplaceInput, responses=MessageOutput)
    def post(self, request: Request, id: str) -> Response:  # the route's word
        """Sign again with the same nonce and new fees, and publish; for a message without a nonce yet, set
        its own `max_fee` and `gas_fee_cap` (one that is not given stays) and retry it at once.
        """
        body = ReplaceInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        if max(data["gas_fee_cap"], data["gas_premium"], data["max_fee"]) > TOTAL_FILECOIN:
            raise BadValue(gettext("exceeds the total FIL supply"), field="gas_fee_cap")
        found = message_get(self.principal, id)
        if found.state == MessageState.UNFILLED:
            names = ("max_fee", "gas_fee_cap")
            limits = {
                name: data[name] if name in request.data else int(getattr(found, name)) for name in names
            }
            row = fee_limits_set(message=found, **limits, now=clock.now(), by=self.principal)
            return Response(message_body(row, head_height=head_height_or_zero()))
        head = head_current()
        if head is None:
            raise NetworkUnknown(gettext("no chain head is known yet"))
        fees = NewFees(
            is_auto=not (data["gas_fee_cap"] or data["gas_premium"]),
            max_fee=data["max_fee"],
            gas_limit=data["gas_limit"],
            premium=data["gas_premium"],
            fee_cap=data["gas_fee_cap"],
        )
        row = message_replace(
            message=found,
            fees=fees,
            client=chain_client(),
            head=head,
            now=clock.now(),
            by=self.principal,
        )
        messages_publish([row.pk], now=clock.now())
        row.refresh_from_db()
        return Response(message_body(row, head_height=head.height))


urlpatterns = [
    path("messages/<path:id>/replace", ReplaceView.as_view(), name="api-message-replace"),
]
