"""Reading the claims of our miners' verified data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext

from apps.core.errors import BadValue
from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_get
from apps.sectors.models import ClaimsEnding, VerifiedClaim
from apps.sectors.selectors.allocations import NUMBER_DIGITS, client_read
from apps.users.rules.principals import Principal
from poolsite.filecoin.cids import BadCid, cid_parse

CLIENTS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFilter:
    """Filters of the list; an empty field does not filter."""

    miner: str = ""
    client: str = ""
    """An f0 address."""
    q: str = ""
    """A claim's id, or a piece CID."""
    sector: str = ""
    """A sector's number."""
    start: int = 0
    """The first epoch at which a claim of the list ends."""
    stop: int | None = None
    """The last one."""
    after: tuple[int, int] | None = None
    """End and row number of the last row of the page before."""


def claims_visible(viewer: Principal) -> QuerySet[VerifiedClaim]:
    """Return the claims of the miners that this caller sees, those that end first first."""
    rows = VerifiedClaim.objects.select_related("miner__tenant").order_by("end_epoch", "pk")
    if viewer.miners:
        rows = rows.filter(miner__actor_id__in=viewer.miners)
    return rows if viewer.is_operator else rows.filter(miner__tenant_id=viewer.own_id)


def claims_narrowed(viewer: Principal, wanted: ClaimFilter) -> QuerySet[VerifiedClaim]:
    """Return the caller's claims that fit.  Raises MinerUnknown, BadValue."""
    rows = claims_visible(viewer).filter(end_epoch__gte=wanted.start)
    if wanted.miner:
        rows = rows.filter(miner=miner_get(viewer, wanted.miner))
    if wanted.client:
        rows = rows.filter(client=client_read(wanted.client))
    if wanted.q:
        rows = rows.filter(_named(wanted.q))
    if wanted.sector:
        rows = rows.filter(sector_number=_number(wanted.sector, field="sector"))
    if wanted.stop is not None:
        rows = rows.filter(end_epoch__lte=wanted.stop)
    if wanted.after is not None:
        end, pk = wanted.after
        rows = rows.filter(end_epoch__gte=end).exclude(end_epoch=end, pk__lte=pk)
    return rows


def _number(text: str, *, field: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) >= NUMBER_DIGITS:
        raise BadValue(gettext("must be a whole number"), field=field)
    return int(text)


def _named(text: str) -> Q:
    if text.isascii() and text.isdigit() and len(text) < NUMBER_DIGITS:
        return Q(number=int(text))
    try:
        return Q(piece_cid=str(cid_parse(text)))
    except BadCid:
        raise BadValue(gettext("is neither a claim's id nor a piece CID"), field="q") from None


@dataclass(frozen=True, slots=True)
class ClientClaims:
    """What the miners store of one client."""

    client: int
    count: int
    size: int
    """Padded bytes."""


def clients_largest(miners: Iterable[Miner]) -> list[ClientClaims]:
    """Return the clients of these miners by how much of their data is in claims, as last read."""
    counts, sizes = Counter[int](), Counter[int]()
    for found in ClaimsEnding.objects.filter(miner__in=list(miners)).values_list("clients", flat=True):
        for client, count, size in found:
            counts[client] += count
            sizes[client] += size
    return [ClientClaims(client, counts[client], size) for client, size in sizes.most_common(CLIENTS_SHOWN)]
