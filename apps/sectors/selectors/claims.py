"""Reading the claims of our miners' verified data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.chain.selectors.heads import head_current
from apps.chain.selectors.status import EpochClock, clock_of, network_known
from apps.core.clock import DAY_S, now
from apps.core.filters import Choices, Whole, Words
from apps.miners.models import Miner
from apps.sectors.models import ClaimsEnding, VerifiedClaim
from apps.sectors.selectors.allocations import VerifiedFilters
from apps.users.rules.principals import Principal

CLIENTS_SHOWN: Final = 20
SOON_S: Final = 30 * DAY_S
"""A sector can drop a claim in its last 30 days; as the check `claims_ending`."""


def claims_visible(viewer: Principal) -> QuerySet[VerifiedClaim]:
    """Return the claims of the miners that this caller sees, those that end first first."""
    rows = VerifiedClaim.objects.select_related("miner__tenant").order_by("end_epoch", "pk")
    if viewer.miners:
        rows = rows.filter(miner__actor_id__in=viewer.miners)
    return rows if viewer.is_operator else rows.filter(miner__tenant_id=viewer.own_id)


CLAIM_STATES: Final[dict[str, Callable[[EpochClock], Q]]] = {
    "live": lambda clock: Q(end_epoch__gte=clock.epoch),
    "ending": lambda clock: Q(end_epoch__range=(clock.epoch, clock.epoch + SOON_S // clock.delay_s)),
    "ended": lambda clock: Q(end_epoch__lt=clock.epoch),
}
"""Conditions of claims in force, those that end soon among them, and others."""


class ClaimFilters(VerifiedFilters):
    """Filters of the list of claims."""

    unnamed = _("is neither a claim's id nor a piece CID")
    q = Words(label=_("Claim id or piece CID"), method="named", about="a claim's id, or a piece CID")
    sector = Whole(label=_("Sector"), field_name="sector_number")
    ends_from = Whole(field_name="end_epoch", lookup_expr="gte", about="epoch")
    ends_to = Whole(field_name="end_epoch", lookup_expr="lte", about="epoch")
    state = Choices(CLAIM_STATES, method="of_states", about="default: all, ended ones too")

    @cached_property
    def clock(self) -> EpochClock | None:
        """Epochs and wall time; None before the first head."""
        if self.page is not None:
            return self.page.clock  # type: ignore[no-any-return]  # PageData's
        return clock_of(head_current(), network=network_known(), at=now())

    def of_states(
        self, rows: QuerySet[VerifiedClaim], _name: str, value: list[str]
    ) -> QuerySet[VerifiedClaim]:
        """Narrow to some states; before the first head nothing is told apart."""
        if self.clock is None:
            return rows
        return rows.filter(reduce(or_, [CLAIM_STATES[word](self.clock) for word in value]))

    def rows(self) -> QuerySet[VerifiedClaim]:
        """Return the rows that fit; a page shows those in force, if nothing else is asked for."""
        rows = super().rows()
        return rows if self.page is None or self["state"] else self.of_states(rows, "state", ["live"])


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
