"""Withdrawals of a miner's earnings over REST, with their price."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.address_bodies import price_body, proposal_body, spent_body
from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.proposal_output import ProposedOutput
from apps.api.v1.serializers import APPROVAL_HELP, AmountField, InputSerializer
from apps.api.v1.views import PoolView, created
from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core.marked_texts import gettext
from apps.miners.selectors.miners import miner_get
from apps.miners.services.withdrawals import (
    SentWithdrawal,
    WithdrawalPlan,
    WithdrawalRequest,
    amount_read,
    signer_refusal_read,
    withdrawal_plan,
    withdrawal_push,
)


class WithdrawalInput(InputSerializer):
    """How much to withdraw."""

    amount = AmountField(
        required=False, allow_null=True, help_text="attoFIL; null or left out: everything available"
    )


class WithdrawalOutput(serializers.Serializer[Any]):
    """The message and its cost; amounts in attoFIL."""

    message = serializers.CharField(allow_null=True, help_text="null for a dry run")
    amount = serializers.CharField()
    receiver = serializers.CharField(
        allow_null=True, help_text="beneficiary, else owner; null if the message was pushed before"
    )
    remains = serializers.CharField(
        allow_null=True, help_text="still available afterwards; null if the message was pushed before"
    )
    sender = serializers.CharField()
    method = serializers.IntegerField()
    proposal = ProposedOutput(
        allow_null=True, help_text="of a multisig; null for another sender, or if it was pushed before"
    )
    signer = serializers.CharField(
        allow_blank=True, help_text="dry run: why the signer's policy would refuse it; empty if it would not"
    )
    exit_code = serializers.IntegerField()
    error = serializers.CharField(allow_blank=True)
    cost_expected = serializers.CharField()
    cost_max = serializers.CharField()
    approval = serializers.CharField(help_text=APPROVAL_HELP)


def plan_body(plan: WithdrawalPlan) -> dict[str, Any]:
    """Return a withdrawal with its price as JSON."""
    return {
        "amount": str(plan.amount),
        "receiver": plan.funds.receiver,
        "remains": str(plan.remains),
        "sender": str(plan.item.from_),
        "method": int(plan.item.method),
        "proposal": proposal_body(plan.proposal),
        "signer": "",
        **price_body(plan.run),
    }


def sent_body(sent: SentWithdrawal) -> dict[str, Any]:
    """Return a withdrawal that was pushed, as JSON; with what it cost once it has landed."""
    row = sent.message
    if sent.plan is not None:
        return {"message": str(row.pk), **plan_body(sent.plan)}
    return {
        "message": str(row.pk),
        "amount": str(amount_read(row)),
        "receiver": None,
        "remains": None,
        "sender": str(row.from_addr),
        "method": int(row.method),
        "proposal": None,
        "signer": "",
        **spent_body(row),
    }


class MinerWithdrawalsView(PoolView):
    """`/miners/{address}/withdrawals`: sends available balance to the beneficiary or the owner."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)
    write_parameters = PARAMETERS
    asks_network = True

    @extend_schema(
        request=WithdrawalInput,
        responses={200: WithdrawalOutput, 201: WithdrawalOutput},
        parameters=[DRY_RUN],
    )
    def post(self, request: Request, address: str) -> Response:
        """Push the message of a withdrawal, or return what it would do and cost."""
        body = WithdrawalInput(data=request.data)
        body.is_valid(raise_exception=True)
        miner, head = miner_get(self.principal, address), head_current()
        if head is None:
            raise NetworkUnknown(gettext("no node has answered yet"))
        withdrawal = WithdrawalRequest(
            amount=body.validated_data.get("amount"),
            key=request.headers.get("Idempotency-Key", "") or uuid.uuid4().hex,
        )
        by, client = self.principal, chain_client()
        if is_dry_run(request):
            plan = withdrawal_plan(miner, request=withdrawal, principal=by, client=client, head=head)
            return Response({"message": None, **plan_body(plan), "signer": signer_refusal_read(plan, by=by)})
        sent = withdrawal_push(miner, request=withdrawal, principal=by, client=client, head=head)
        return created(sent_body(sent))


urlpatterns = [
    path("miners/<str:address>/withdrawals", MinerWithdrawalsView.as_view(), name="v1-miner-withdrawals"),
]
