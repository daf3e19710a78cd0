"""Terminations and extensions over REST: one sector, many at once, what is under way, cancelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.message_changes import head_needed
from apps.api.v1.pagination import CURSOR, LIMIT, PAGE_MAX, number
from apps.api.v1.sector_change_output import (
    ChangeOutput,
    ChangePriceOutput,
    ChangeRefusedOutput,
    change_body,
    plan_body,
)
from apps.api.v1.serializers import AddressField, AmountField, InputSerializer, SectorField
from apps.api.v1.views import PoolView, created
from apps.chain.node.client import chain_client
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.change_prices import ChangeRequest
from apps.sectors.selectors.sector_changes import change_get, changes_visible
from apps.sectors.selectors.sectors import sector_get, sectors_picked
from apps.sectors.services.changes.expiring import TOLERANCE, ExpiringChoice, expiring_choose
from apps.sectors.services.changes.plans import changes_plan
from apps.sectors.services.changes.signing import signers_refusal_find
from apps.sectors.services.changes.steps import CHANGES_MAX, change_cancel, changes_request
from poolsite.wire.pipeline.changes import ChangeKind, ChangeState

if TYPE_CHECKING:
    from apps.sectors.models import Sector

PAGE_DEFAULT = 100
OF_MINER = ("ends_from", "ends_to", "exclude", "only_cc", "tolerance", "max_sectors")
"""What narrows the sectors of a miner that end soon."""


class TerminateInput(InputSerializer):
    """Why a sector is terminated early."""

    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class ExtendInput(InputSerializer):
    """The new expiration of a sector."""

    expiration = serializers.IntegerField(
        required=False,
        min_value=1,
        help_text="epoch; by default the latest that the chain allows for each sector with all its claims",
    )
    drop_claims = serializers.BooleanField(
        default=False, help_text="drop claims that end sooner, possible in a sector's last 30 days"
    )
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class ChangesInput(ExtendInput):
    """A change of many sectors, sent in as few messages per miner as possible.

    Of `sectors`, or an extension of the sectors of `miner` that end in a range of epochs.
    """

    kind = serializers.ChoiceField(choices=[str(kind) for kind in ChangeKind])
    sectors = serializers.ListField(child=SectorField(), min_length=1, max_length=CHANGES_MAX, required=False)
    miner = AddressField(
        required=False, help_text="extend what ends soon of this miner, instead of `sectors`"
    )
    ends_from = serializers.IntegerField(
        required=False, min_value=0, help_text="of miner: first epoch; by default an hour from now"
    )
    ends_to = serializers.IntegerField(
        required=False, min_value=0, help_text="of miner: last epoch; by default 32 days from now"
    )
    exclude = serializers.CharField(
        required=False, max_length=10_000, help_text="of miner: without these numbers, such as 5,7-9"
    )
    only_cc = serializers.BooleanField(required=False, help_text="of miner: only sectors without data")
    tolerance = serializers.IntegerField(
        required=False, min_value=1, help_text=f"of miner: fewest epochs to be gained; default {TOLERANCE}"
    )
    max_sectors = serializers.IntegerField(
        required=False, min_value=1, max_value=CHANGES_MAX, help_text="of miner: at most so many"
    )
    max_fee = AmountField(required=False, help_text="most that the gas of all messages may cost")


class ChangePage(serializers.Serializer[Any]):
    """One page, newest first."""

    results = ChangeOutput(many=True)
    next = serializers.CharField(allow_null=True)


class ChangingView(PoolView):
    """What asks for a change: the price alone, or the price with what was written."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign", "DELETE": "sign"}
    confirmed_methods: ClassVar[tuple[str, ...]] = ("POST",)
    write_parameters = PARAMETERS
    asks_network = True

    def change(self, sectors: Sequence[Sector], change: ChangeRequest) -> Response:
        """Answer with the price, after asking for the change unless it is a dry run."""
        head, network, client = head_needed(), network_current(), chain_client()
        if is_dry_run(self.request):
            plan = changes_plan(sectors, request=change, client=client, head=head, network=network)
            return Response(plan_body(plan) | {"signer": signers_refusal_find(plan, by=self.principal)})
        plan, made = changes_request(
            sectors,
            request=change,
            by=self.principal,
            client=client,
            head=head,
            network=network,
            now=clock.now(),
        )
        return created(plan_body(plan, made))


class SectorTerminateView(ChangingView):
    """`/sectors/{uuid}/terminate`: end a proving sector before its time, for a fee."""

    @extend_schema(
        request=TerminateInput,
        parameters=[DRY_RUN],
        responses={200: ChangePriceOutput, 201: ChangePriceOutput, 409: ChangeRefusedOutput},
    )
    def post(self, request: Request, uuid: str) -> Response:
        """Request the termination; its message is sent as soon as the sector's deadline allows it."""
        body = TerminateInput(data=request.data)
        body.is_valid(raise_exception=True)
        change = ChangeRequest(kind=ChangeKind.TERMINATE, reason=body.validated_data["reason"])
        return self.change([sector_get(self.principal, uuid)], change)


class SectorExtendView(ChangingView):
    """`/sectors/{uuid}/extend`: let a proving sector live longer."""

    @extend_schema(
        request=ExtendInput,
        parameters=[DRY_RUN],
        responses={200: ChangePriceOutput, 201: ChangePriceOutput, 409: ChangeRefusedOutput},
    )
    def post(self, request: Request, uuid: str) -> Response:
        """Request the extension; its message is sent with the next heads."""
        body = ExtendInput(data=request.data)
        body.is_valid(raise_exception=True)
        return self.change([sector_get(self.principal, uuid)], extension_of(body.validated_data))


def extension_of(data: dict[str, Any]) -> ChangeRequest:
    """Read an extension."""
    return ChangeRequest(
        kind=ChangeKind.EXTEND,
        expiration=data.get("expiration"),
        drops_claims=data["drop_claims"],
        reason=data["reason"],
        gas_max=data.get("max_fee"),
    )


class SectorChangesView(ChangingView):
    """`/sector-changes`: terminations and extensions of the caller's sectors."""

    filters = ("state", "cursor", "limit")
    repeatable = ("state",)

    @extend_schema(
        parameters=[
            OpenApiParameter("state", str, many=True, enum=[str(one) for one in ChangeState]),
            CURSOR,
            LIMIT,
        ],
        responses=ChangePage,
    )
    def get(self, request: Request) -> Response:
        """List them, newest first; `cursor` is the `next` of the previous page."""
        query = request.query_params
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        before = number(request, "cursor", least=1, default=0, most=10**12)
        if any(state not in list(ChangeState) for state in query.getlist("state")):
            raise BadValue(gettext("there is no such state"), field="state")
        found = changes_visible(self.principal)
        found = found.filter(state__in=query.getlist("state")) if query.getlist("state") else found
        rows = list((found.filter(pk__lt=before) if before else found)[: limit + 1])
        more = str(rows[limit - 1].pk) if len(rows) > limit else None
        return Response({"results": [change_body(row) for row in rows[:limit]], "next": more})

    @extend_schema(
        request=ChangesInput,
        parameters=[DRY_RUN],
        responses={200: ChangePriceOutput, 201: ChangePriceOutput, 409: ChangeRefusedOutput},
    )
    def post(self, request: Request) -> Response:
        """Request a change of many sectors; those that the chain would refuse are listed and left out."""
        body = ChangesInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        change = extension_of(data)
        if data["kind"] == ChangeKind.TERMINATE:
            if change.expiration is not None or change.drops_claims:
                raise BadValue(gettext("a termination takes no expiration"), field="expiration")
            change = replace(change, kind=ChangeKind.TERMINATE)
        return self.change(self._sectors(data, change), change)

    def _sectors(self, data: dict[str, Any], change: ChangeRequest) -> list[Sector]:
        """Return the named sectors, or those of a miner that end soon.  Raises BadValue."""
        choice = {name: data[name] for name in OF_MINER if name in data}
        if ("miner" in data) == ("sectors" in data):
            raise BadValue(gettext("name either sectors or a miner"), field="sectors")
        if "sectors" in data:
            if choice:
                raise BadValue(gettext("only with a miner"), field=next(iter(choice)))
            return sectors_picked(self.principal, data["sectors"])
        if change.kind is not ChangeKind.EXTEND:
            raise BadValue(gettext("a termination names its sectors"), field="miner")
        miner = miner_get(self.principal, data["miner"])
        return expiring_choose(
            ExpiringChoice(miner, **choice),
            request=change,
            viewer=self.principal,
            client=chain_client(),
            head=head_needed(),
            network=network_current(),
        )


class SectorChangeView(ChangingView):
    """`/sector-changes/{uuid}`: one of them."""

    filters = ()
    confirmed_methods = ()

    @extend_schema(responses=ChangeOutput)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show one change."""
        return Response(change_body(change_get(self.principal, uuid)))

    @extend_schema(responses={200: ChangeOutput})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Cancel a change whose message has not been sent yet."""
        change_cancel(change_get(self.principal, uuid), by=self.principal, now=clock.now())
        return Response(change_body(change_get(self.principal, uuid)))


urlpatterns = [
    path("sectors/<str:uuid>/terminate", SectorTerminateView.as_view(), name="v1-sector-terminate"),
    path("sectors/<str:uuid>/extend", SectorExtendView.as_view(), name="v1-sector-extend"),
    path("sector-changes", SectorChangesView.as_view(), name="v1-sector-changes"),
    path("sector-changes/<str:uuid>", SectorChangeView.as_view(), name="v1-sector-change"),
]
