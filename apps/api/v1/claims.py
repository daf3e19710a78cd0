"""Claims of verified data over REST: by client and by end, and their extension."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.address_bodies import price_body
from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.list_filters import ListView, parameters_of
from apps.api.v1.message_changes import head_needed
from apps.api.v1.pagination import CURSOR, LIMIT
from apps.api.v1.serializers import APPROVAL_HELP, AddressField, InputSerializer
from apps.api.v1.views import PoolView, created
from apps.chain.node.client import chain_client
from apps.sectors.selectors.claims import ClaimFilters, claims_visible
from apps.sectors.services.verified.extensions import (
    CLAIMS_MAX,
    ExtensionPlan,
    ExtensionRequest,
    extension_plan,
    extension_push,
    extension_refusal_read,
)

if TYPE_CHECKING:
    from apps.sectors.models import VerifiedClaim


class ClaimOutput(serializers.Serializer[Any]):
    """Verified data in a sector."""

    claim = serializers.IntegerField(help_text="its id in the verified registry")
    client = serializers.CharField()
    miner = serializers.CharField()
    sector = serializers.IntegerField()
    piece_cid = serializers.CharField()
    size = serializers.IntegerField(help_text="padded bytes")
    term_start = serializers.IntegerField(help_text="epoch of the claim")
    term_min = serializers.IntegerField(help_text="epochs for which the data must be kept at least")
    end_epoch = serializers.IntegerField(help_text="until when they can count ten times")


class ClaimPage(serializers.Serializer[Any]):
    """One page, the first to end on top."""

    results = ClaimOutput(many=True)
    next = serializers.CharField(allow_null=True)


def claim_body(row: VerifiedClaim) -> dict[str, Any]:
    """Return one claim as JSON."""
    return {
        "claim": row.number,
        "client": f"f0{row.client}",
        "miner": row.miner.address,
        "sector": row.sector_number,
        **{name: getattr(row, name) for name in ("piece_cid", "size", "term_start", "term_min", "end_epoch")},
    }


class ClaimsView(ListView):
    """`/claims`: verified data of the caller's miners."""

    noun = ClaimFilters

    @extend_schema(parameters=[*parameters_of(ClaimFilters), CURSOR, LIMIT], responses=ClaimPage)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """List claims as last read; `cursor` is the `next` of the previous page."""
        rows, following = self.by_end(claims_visible(self.principal), "end_epoch")
        return Response({"results": [claim_body(row) for row in rows], "next": following})


class ExtensionInput(InputSerializer):
    """Which claims are to last longer, and who sends it."""

    claims = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=2**63 - 1), min_length=1, max_length=CLAIMS_MAX
    )
    sender = AddressField(
        help_text="an address of the caller's: the claims' client, or whose DataCap is spent"
    )
    end_epoch = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, help_text="null or left out: as late as the chain takes"
    )
    spends_data_cap = serializers.BooleanField(
        default=False, help_text="spend DataCap of the claims' size: needed for claims of other clients"
    )


class ExtendedClaim(serializers.Serializer[Any]):
    """A claim with its end before and after, and why it would not be extended."""

    claim = serializers.IntegerField()
    old_end_epoch = serializers.IntegerField()
    end_epoch = serializers.IntegerField(allow_null=True, help_text="null if it is refused")
    refusal = serializers.CharField(allow_blank=True)


class ExtensionOutput(serializers.Serializer[Any]):
    """The message and what it does; amounts in attoFIL."""

    message = serializers.CharField(allow_null=True, help_text="null for a dry run")
    claims = ExtendedClaim(many=True, allow_null=True, help_text="null if the message was pushed before")
    data_cap = serializers.IntegerField(allow_null=True, help_text="bytes of DataCap that it spends")
    signer = serializers.CharField(
        allow_blank=True, help_text="dry run: why the signer's policy would refuse it; empty if it would not"
    )
    exit_code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_blank=True)
    cost_expected = serializers.CharField(allow_null=True)
    cost_max = serializers.CharField(allow_null=True)
    approval = serializers.CharField(allow_blank=True, help_text=APPROVAL_HELP)


def plan_body(plan: ExtensionPlan) -> dict[str, Any]:
    """Return an extension with its price as JSON."""
    claims = [
        {
            "claim": one.row.number,
            "old_end_epoch": one.old_end,
            "end_epoch": None if one.refusal else one.new_end,
            "refusal": one.refusal,
        }
        for one in plan.claims
    ]
    return {
        "message": None,
        "claims": claims,
        "data_cap": plan.data_cap,
        "signer": "",
        **price_body(plan.run),
    }


KNOWN: Final = {
    **dict.fromkeys(("claims", "data_cap", "exit_code", "cost_expected", "cost_max")),
    **dict.fromkeys(("signer", "error", "approval"), ""),
}
"""What is told of a message that the same key has pushed before."""


class ClaimsExtendView(PoolView):
    """`/claims:extend`: let verified claims last longer."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    confirmed_methods = ("POST",)
    write_parameters = PARAMETERS
    asks_network = True

    @extend_schema(
        request=ExtensionInput,
        responses={200: ExtensionOutput, 201: ExtensionOutput},
        parameters=[DRY_RUN],
    )
    def post(self, request: Request) -> Response:
        """Push the message of an extension, of all claims or none; a dry run names those that are refused."""
        body = ExtensionInput(data=request.data)
        body.is_valid(raise_exception=True)
        data, head, client = body.validated_data, head_needed(), chain_client()
        wanted = ExtensionRequest(
            claims=tuple(data["claims"]),
            sender=data["sender"],
            end_epoch=data.get("end_epoch"),
            spends_data_cap=data["spends_data_cap"],
            key=request.headers.get("Idempotency-Key", "") or uuid.uuid4().hex,
        )
        if is_dry_run(request):
            plan = extension_plan(wanted, by=self.principal, client=client, head=head)
            return Response(plan_body(plan) | {"signer": extension_refusal_read(plan, by=self.principal)})
        message, pushed = extension_push(wanted, by=self.principal, client=client, head=head)
        return created((KNOWN if pushed is None else plan_body(pushed)) | {"message": str(message.pk)})


urlpatterns = [
    path("claims", ClaimsView.as_view(), name="v1-claims"),
    path("claims:extend", ClaimsExtendView.as_view(), name="v1-claims-extend"),
]
