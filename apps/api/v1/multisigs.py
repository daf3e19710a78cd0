"""Multisigs over REST: what waits in them for whom; proposing, approving, cancelling, with the price."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.address_bodies import price_body, proposal_body
from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.message_input import Base64Field, zero_amount
from apps.api.v1.proposal_output import ProposedOutput
from apps.api.v1.serializers import APPROVAL_HELP, AddressField, AmountField, InputSerializer, checked
from apps.api.v1.views import PoolView, created
from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import chain_client, page_client
from apps.chain.selectors.heads import head_current
from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.miners.selectors.act_texts import act_method, act_params, act_text
from apps.miners.selectors.multisigs import VisibleMultisig, multisig_get, multisigs_visible
from apps.miners.selectors.proposals import Act
from apps.miners.services.multisig_acts import (
    DecisionRequest,
    MultisigPlan,
    ProposalRequest,
    decision_plan,
    decision_push,
    proposal_plan,
    proposal_push,
    signer_refusal_read,
)
from apps.miners.states import Decision
from poolsite.filecoin.message import METHOD_MAX

if TYPE_CHECKING:
    from apps.chain.models import Head
    from apps.messages.models import Message


def _no_params() -> Any:
    """Return the parameters of an act that has none, as the field's own reading would."""
    return b""


class ActOutput(serializers.Serializer[Any]):
    """The inner message of a proposal: receiver, value, method, parameters, and all of it in words."""

    to = serializers.CharField()
    value = serializers.CharField(help_text="attoFIL")
    method = serializers.IntegerField()
    method_name = serializers.CharField()
    params = serializers.JSONField(help_text="as named fields where they can be read")
    says = serializers.CharField()


class SignerOutput(serializers.Serializer[Any]):
    """One signer of a multisig."""

    id = serializers.CharField(help_text="f0 address")
    wallet = serializers.CharField(allow_null=True, help_text="its key, if a signer of the tenant holds it")


class ProposalOutput(ActOutput):
    """A proposal that has not enough approvals yet."""

    id = serializers.IntegerField()
    hash = serializers.CharField(help_text="names this very proposal: an approval is for it alone")
    proposer = serializers.CharField()
    approved = serializers.ListField(child=serializers.CharField())
    waits_for = serializers.ListField(
        child=serializers.CharField(), help_text="signers that have not approved"
    )
    missing = serializers.IntegerField(help_text="approvals that it needs still")


class MultisigOutput(serializers.Serializer[Any]):
    """A multisig, and what waits in it."""

    address = serializers.CharField()
    threshold = serializers.IntegerField()
    balance = serializers.CharField(help_text="attoFIL")
    signers = SignerOutput(many=True)
    miners = serializers.ListField(
        child=serializers.CharField(), help_text="your miners that it owns or receives for"
    )
    proposals = ProposalOutput(many=True)


class ProposalInput(InputSerializer):
    """A new proposal: the message that the multisig shall send."""

    to = AddressField()
    value = AmountField(default=zero_amount)
    method = serializers.IntegerField(min_value=0, max_value=METHOD_MAX, default=0)
    params = Base64Field(default=_no_params, allow_blank=True)
    signer = AddressField(required=False, help_text="who proposes; left out: the first signer that is here")


class ProposalDecisionInput(InputSerializer):
    """One signer's decision about a proposal."""

    decision = serializers.ChoiceField(choices=Decision.values)
    hash = serializers.CharField(max_length=64, help_text="`hash` of the proposal that was reviewed")
    signer = AddressField(required=False, help_text="who decides; left out: the first of yours that may")


class MultisigActOutput(serializers.Serializer[Any]):
    """The message and its cost; amounts in attoFIL."""

    message = serializers.CharField(allow_null=True, help_text="null for a dry run")
    act = ActOutput()
    sender = serializers.CharField()
    method = serializers.IntegerField()
    proposal = ProposedOutput(allow_null=True, help_text="null where the proposal is cancelled")
    signer = serializers.CharField(help_text="why the signer would not sign it; empty if it would")
    exit_code = serializers.IntegerField()
    error = serializers.CharField(allow_blank=True)
    cost_expected = serializers.CharField()
    cost_max = serializers.CharField()
    approval = serializers.CharField(help_text=APPROVAL_HELP)


class SentMultisigActOutput(serializers.Serializer[Any]):
    """The message that was pushed."""

    message = serializers.CharField()
    sender = serializers.CharField()
    state = serializers.CharField()


def act_body(act: Act) -> dict[str, Any]:
    """Return what a multisig is to send, as JSON."""
    return {
        "to": act.to,
        "value": str(act.value),
        "method": act.method,
        "method_name": act_method(act),
        "params": act_params(act),
        "says": act_text(act),
    }


def multisig_body(row: VisibleMultisig) -> dict[str, Any]:
    """Return a multisig as JSON."""
    facts = row.facts
    return {
        "address": facts.address,
        "threshold": facts.threshold,
        "balance": str(facts.balance),
        "signers": [{"id": one, "wallet": row.wallets.get(one)} for one in facts.signers],
        "miners": [miner.address for miner in row.miners],
        "proposals": [
            {
                "id": one.id,
                "hash": one.hash.hex(),
                "proposer": one.proposer,
                "approved": list(one.approved),
                "waits_for": [signer for signer in facts.signers if signer not in one.approved],
                "missing": max(facts.threshold - len(one.approved), 0),
                **act_body(Act(one.to, one.method, one.params, one.value)),
            }
            for one in facts.pending
        ],
    }


def plan_body(plan: MultisigPlan, *, refusal: str) -> dict[str, Any]:
    """Return a message to a multisig with its price as JSON."""
    return {
        "message": None,
        "act": act_body(plan.act),
        "sender": str(plan.item.from_),
        "method": int(plan.item.method),
        "proposal": proposal_body(plan.outcome),
        "signer": refusal,
        **price_body(plan.run),
    }


def sent_body(row: Message) -> dict[str, Any]:
    """Return a message that was pushed as JSON."""
    return {"message": str(row.pk), "sender": str(row.from_addr), "state": str(row.state)}


def _head() -> Head:
    head = head_current()
    if head is None:
        raise NetworkUnknown(gettext("no node has answered yet"))
    return head


class MultisigsView(PoolView):
    """`/multisigs`: those that own the caller's miners, or have a wallet of the caller as signer."""

    filters = ()

    @extend_schema(responses=MultisigOutput(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """List multisigs with what waits in them, as read from a node."""
        rows = multisigs_visible(self.principal, client=page_client(), head=_head())
        return Response([multisig_body(row) for row in rows])


class MultisigView(PoolView):
    """`/multisigs/{address}`."""

    filters = ()

    @extend_schema(responses=MultisigOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's form
        """Return one multisig, as read from a node."""
        return Response(
            multisig_body(multisig_get(self.principal, address, client=page_client(), head=_head()))
        )


class ProposalsView(PoolView):
    """`/multisigs/{address}/proposals`."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)
    write_parameters = PARAMETERS
    asks_network = True

    @extend_schema(
        request=ProposalInput,
        responses={200: MultisigActOutput, 201: SentMultisigActOutput},
        parameters=[DRY_RUN],
    )
    def post(self, request: Request, address: str) -> Response:
        """Propose an act to a multisig, or return what that would do and cost."""
        data = checked(ProposalInput(data=request.data))
        by, client, head = self.principal, chain_client(), _head()
        row = multisig_get(by, address, client=client, head=head)
        wanted = ProposalRequest(
            act=Act(data["to"], data["method"], data["params"] or b"", data["value"]),
            signer=data.get("signer", ""),
            key=request.headers.get("Idempotency-Key", "") or uuid.uuid4().hex,
        )
        if is_dry_run(request):
            plan = proposal_plan(row, request=wanted, principal=by, client=client, head=head)
            return Response(plan_body(plan, refusal=signer_refusal_read(plan, by=by)))
        sent = proposal_push(row, request=wanted, principal=by, client=client, head=head)
        return created(sent_body(sent))


class DecisionsView(PoolView):
    """`/multisigs/{address}/proposals/{id}/decisions`."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)
    write_parameters = PARAMETERS
    asks_network = True

    @extend_schema(
        request=ProposalDecisionInput,
        responses={200: MultisigActOutput, 201: SentMultisigActOutput},
        parameters=[DRY_RUN],
    )
    def post(self, request: Request, address: str, id: str) -> Response:  # the actor's word
        """Approve or cancel a proposal, or return what that would do and cost."""
        if not id.isdecimal():
            raise NotFound(gettext("no proposal {id} waits in {multisig}").format(id=id, multisig=address))
        data = checked(ProposalDecisionInput(data=request.data))
        by, client, head = self.principal, chain_client(), _head()
        row = multisig_get(by, address, client=client, head=head)
        wanted = DecisionRequest(
            decision=data["decision"], id=int(id), hash=data["hash"], signer=data.get("signer", "")
        )
        if is_dry_run(request):
            plan = decision_plan(row, request=wanted, principal=by, client=client, head=head)
            return Response(plan_body(plan, refusal=signer_refusal_read(plan, by=by)))
        sent = decision_push(row, request=wanted, principal=by, client=client, head=head)
        return created(sent_body(sent))


urlpatterns = [
    path("multisigs", MultisigsView.as_view(), name="v1-multisigs"),
    path("multisigs/<str:address>", MultisigView.as_view(), name="v1-multisig"),
    path("multisigs/<str:address>/proposals", ProposalsView.as_view(), name="v1-multisig-proposals"),
    path(
        "multisigs/<str:address>/proposals/<str:id>/decisions",
        DecisionsView.as_view(),
        name="v1-multisig-decisions",
    ),
]
