"""A miner's addresses over REST: what the chain says, what is pending, and changes with their price."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.address_bodies import addresses_body, priced_body, reach_body, sent_body
from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.message_input import zero_amount
from apps.api.v1.proposal_output import ProposedOutput
from apps.api.v1.serializers import APPROVAL_HELP, AmountField, InputSerializer
from apps.api.v1.views import PoolView, created
from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import chain_client, page_client
from apps.chain.selectors.heads import head_current
from apps.core.marked_texts import gettext
from apps.miners.selectors.address_messages import address_messages
from apps.miners.selectors.addresses import addresses_read
from apps.miners.selectors.deal_reach import ReachState
from apps.miners.selectors.miners import miner_get
from apps.miners.services.address_change_messages import AddressRequest
from apps.miners.services.address_changes import change_plan, change_push
from apps.miners.states import AddressChange
from poolsite.filecoin.multiaddr import MULTIADDRS_MAX_BYTES


class PendingBeneficiaryOutput(serializers.Serializer[Any]):
    """A proposed beneficiary, and who has approved."""

    address = serializers.CharField()
    quota = serializers.CharField()
    expiration = serializers.IntegerField()
    by_beneficiary = serializers.BooleanField()
    by_nominee = serializers.BooleanField()


class AddressMessageOutput(serializers.Serializer[Any]):
    """A message that would change the addresses and is not on chain yet, whoever pushed it."""

    message = serializers.CharField()
    state = serializers.CharField()
    says = serializers.CharField()


class MinerAddressesOutput(serializers.Serializer[Any]):
    """The addresses as f0 at the newest head; amounts in attoFIL."""

    owner = serializers.CharField()
    worker = serializers.CharField()
    control = serializers.ListField(child=serializers.CharField())
    beneficiary = serializers.CharField()
    quota = serializers.CharField()
    used_quota = serializers.CharField()
    expiration = serializers.IntegerField()
    new_worker = serializers.CharField(allow_null=True)
    worker_epoch = serializers.IntegerField(allow_null=True, help_text="epoch from which it can be confirmed")
    pending_owner = serializers.CharField(allow_null=True)
    pending_beneficiary = PendingBeneficiaryOutput(allow_null=True)
    peer_id = serializers.CharField(allow_null=True, help_text="peer ID of the node that takes its deals")
    multiaddrs = serializers.ListField(child=serializers.CharField())
    on_the_way = AddressMessageOutput(many=True)


class AddressChangeInput(InputSerializer):
    """The change; with `dry_run`, here or in the query, it only returns what it would do and cost."""

    change = serializers.ChoiceField(choices=AddressChange.values)
    addresses = serializers.ListField(
        child=serializers.CharField(max_length=500),
        max_length=MULTIADDRS_MAX_BYTES,
        required=False,
        help_text="all control addresses or multiaddresses (empty list for none), or the one new address",
    )
    quota = AmountField(default=zero_amount, help_text="quota of a beneficiary, in attoFIL")
    expiration = serializers.IntegerField(
        required=False, min_value=0, help_text="expiration epoch of a beneficiary"
    )
    dry_run = serializers.BooleanField(default=False)


class AddressChangeOutput(serializers.Serializer[Any]):
    """The message and its cost; `message` is null for a dry run."""

    message = serializers.CharField(allow_null=True)
    says = serializers.CharField()
    sender = serializers.CharField()
    method = serializers.IntegerField()
    proposal = ProposedOutput(
        allow_null=True, help_text="of a multisig; null for another sender, or if it was pushed before"
    )
    exit_code = serializers.IntegerField()
    error = serializers.CharField()
    cost_expected = serializers.CharField()
    cost_max = serializers.CharField()
    approval = serializers.CharField(help_text=APPROVAL_HELP)
    signer = serializers.CharField(
        required=False, help_text="of a dry run: why the signer would not sign it; empty if it would"
    )


class MinerAddressesView(PoolView):
    """`/miners/{address}/addresses`: owner, worker, control addresses, beneficiary; and a change."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)
    write_parameters = PARAMETERS
    asks_network = True
    filters = ()

    @extend_schema(responses=MinerAddressesOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Return who may act for the miner, and pending changes, as read from a node."""
        miner = miner_get(self.principal, address)
        now = addresses_read(miner, client=page_client())
        return Response(addresses_body(now, address_messages(miner)))

    @extend_schema(
        request=AddressChangeInput,
        responses={200: AddressChangeOutput, 201: AddressChangeOutput},
        parameters=[DRY_RUN],
    )
    def post(self, request: Request, address: str) -> Response:
        """Push the message of a change, or return what it would cost."""
        body = AddressChangeInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        only_priced = is_dry_run(request) or data["dry_run"]
        miner, head = miner_get(self.principal, address), head_current()
        if head is None:
            raise NetworkUnknown(gettext("no node has answered yet"))
        change = AddressRequest(
            change=data["change"],
            addresses=tuple(data["addresses"]) if "addresses" in data else None,
            quota=data["quota"],
            expiration=data.get("expiration", 0),
            key=request.headers.get("Idempotency-Key", "") or uuid.uuid4().hex,
        )
        client = chain_client()
        if only_priced:
            plan = change_plan(miner, request=change, principal=self.principal, client=client, head=head)
            return Response(priced_body(plan))
        sent = change_push(miner, request=change, principal=self.principal, client=client, head=head)
        return created(sent_body(sent))


REACH_STATES = [str(one) for one in ReachState]


class ReachOutput(serializers.Serializer[Any]):
    """An announced address, and whether the console's machine could reach it."""

    address = serializers.CharField()
    state = serializers.ChoiceField(choices=REACH_STATES)
    says = serializers.CharField()


class ReachList(serializers.Serializer[Any]):
    """All addresses that the miner announces."""

    peer_id = serializers.CharField(allow_null=True)
    results = ReachOutput(many=True)


class MinerReachView(PoolView):
    """`/miners/{address}/reach`: whether clients reach the node that takes its deals."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"GET": "write"}
    filters = ()

    @extend_schema(responses=ReachList)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Open a connection to each public address, as a libp2p client does."""
        now = addresses_read(miner_get(self.principal, address), client=page_client())
        return Response(reach_body(now))


urlpatterns = [
    path("miners/<str:address>/reach", MinerReachView.as_view(), name="v1-miner-reach"),
    path("miners/<str:address>/addresses", MinerAddressesView.as_view(), name="v1-miner-addresses"),
]
