"""Sectors of a miner by an epoch that nears, over REST: that expire, or wait for their commit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import CURSOR, LIMIT, PAGE_MAX, number, number_parameter
from apps.api.v1.views import PoolView
from apps.chain.errors import NetworkUnknown
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.expirations import CUTOFF, last_epochs, precommits_open, sectors_expiring
from poolsite.filecoin.policy import Network

if TYPE_CHECKING:
    from apps.chain.models import Head
    from apps.sectors.models import Sector

PAGE_DEFAULT = 100
PLACE: Final = re.compile(r"(\d{1,18})-(\d{1,18})", re.ASCII)
"""Expiration and key of a page's last sector."""


class ExpiringOutput(serializers.Serializer[Any]):
    """A sector that expires soon."""

    uuid = serializers.UUIDField()
    number = serializers.IntegerField()
    seal_proof = serializers.IntegerField()
    initial_pledge = serializers.CharField()
    activation = serializers.IntegerField(allow_null=True)
    expiration = serializers.IntegerField()
    max_expiration = serializers.IntegerField(
        allow_null=True, help_text="latest expiration of its proof type"
    )
    max_extension = serializers.IntegerField(
        help_text="latest epoch to which it can be extended now, regardless of claims"
    )


class ExpiringPage(serializers.Serializer[Any]):
    """Sectors that expire within the cutoff, soonest first."""

    height = serializers.IntegerField()
    cutoff = serializers.IntegerField()
    results = ExpiringOutput(many=True)
    next = serializers.CharField(allow_null=True)


class PreCommitOutput(serializers.Serializer[Any]):
    """A sector whose pre-commit is on chain, but whose commit is not."""

    uuid = serializers.UUIDField()
    number = serializers.IntegerField()
    seal_proof = serializers.IntegerField()
    state = serializers.CharField()
    comm_r = serializers.CharField(allow_null=True)
    precommit_epoch = serializers.IntegerField()
    seed_epoch = serializers.IntegerField(help_text="epoch of its seed, which may be in the future")
    lost_at = serializers.IntegerField(help_text="epoch at which its deposit is lost")


class PreCommitPage(serializers.Serializer[Any]):
    """One page, ordered by number."""

    results = PreCommitOutput(many=True)
    next = serializers.CharField(allow_null=True)


def head_and_network() -> tuple[Head, Network]:
    """Return the head and the network that epochs are reckoned by.  Raises NetworkUnknown."""
    head, network = head_current(), network_current()
    if head is None:
        raise NetworkUnknown
    return head, network


def expiring_body(sector: Sector, *, height: int, network: Network) -> dict[str, Any]:
    """Return a sector that ends soon, as JSON."""
    last = last_epochs(sector, height=height, network=network)
    plain = ("number", "seal_proof", "activation", "expiration")
    return {
        "uuid": str(sector.uuid),
        "initial_pledge": str(sector.initial_pledge),
        "max_expiration": last.ever,
        "max_extension": last.now,
        **{name: getattr(sector, name) for name in plain},
    }


def precommit_body(sector: Sector, *, network: Network) -> dict[str, Any]:
    """Return a sector that waits for its commit, as JSON."""
    start_epoch = sector.precommit_epoch or 0
    seed = start_epoch + network.pre_commit_challenge_delay
    plain = ("number", "seal_proof", "state", "precommit_epoch")
    return {
        "uuid": str(sector.uuid),
        "comm_r": None if sector.comm_r is None else bytes(sector.comm_r).hex(),
        "seed_epoch": seed if sector.seed_epoch is None else sector.seed_epoch,
        "lost_at": start_epoch + network.max_prove_commit_duration,
        **{name: getattr(sector, name) for name in plain},
    }


class MinerExpiringView(PoolView):
    """`/miners/{address}/expiring`: its sectors that end soon."""

    filters = ("cutoff", "cursor", "limit")

    @extend_schema(
        parameters=[
            number_parameter("cutoff", least=0, description="epochs from the head"),
            CURSOR,
            LIMIT,
        ],
        responses=ExpiringPage,
    )
    def get(self, request: Request, address: str) -> Response:
        """List sectors that expire soon and their limits; `cursor` is the `next` of the previous page."""
        miner = miner_get(self.principal, address)
        head, network = head_and_network()
        cutoff = number(request, "cutoff", least=0, default=CUTOFF, most=10**9)
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        after = _place(request.query_params.get("cursor", ""))
        before = head.height + cutoff + 1
        rows = sectors_expiring(
            self.principal, miner, start=head.height, before=before, after=after, limit=limit + 1
        )
        last = rows[limit - 1] if len(rows) > limit else None
        found = [expiring_body(row, height=head.height, network=network) for row in rows[:limit]]
        place = None if last is None else f"{last.expiration}-{last.pk}"
        return Response({"height": head.height, "cutoff": cutoff, "results": found, "next": place})


def _place(text: str) -> tuple[int, int] | None:
    """Read a cursor.  Raises BadValue."""
    if not text:
        return None
    found = PLACE.fullmatch(text)
    if found is None:
        raise BadValue(gettext("is not a cursor of this list"), field="cursor")
    return int(found[1]), int(found[2])


class MinerPreCommitsView(PoolView):
    """`/miners/{address}/precommits`: its sectors whose deposit waits for their commit."""

    filters = ("cursor", "limit")

    @extend_schema(
        parameters=[CURSOR, LIMIT],
        responses=PreCommitPage,
    )
    def get(self, request: Request, address: str) -> Response:
        """List sectors awaiting their commit; `cursor` is the `next` of the previous page."""
        miner = miner_get(self.principal, address)
        _, network = head_and_network()
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        after = number(request, "cursor", least=0, default=-1, most=2**63 - 1)
        rows = precommits_open(self.principal, miner, after=after, limit=limit + 1)
        more = str(rows[limit - 1].number) if len(rows) > limit else None
        found = [precommit_body(row, network=network) for row in rows[:limit]]
        return Response({"results": found, "next": more})


urlpatterns = [
    path("miners/<str:address>/expiring", MinerExpiringView.as_view(), name="v1-miner-expiring"),
    path("miners/<str:address>/precommits", MinerPreCommitsView.as_view(), name="v1-miner-precommits"),
]
