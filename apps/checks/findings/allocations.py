"""Allocations for our miners that end soon and whose data nobody has brought."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext_noop

from apps.checks import reasons
from apps.checks.findings.results import Act, Finding, Link
from apps.checks.findings.text import at_least
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.rare import rare_rows
from apps.core.formatting import joined_size
from apps.sectors.selectors.allocations import NEAR_S, allocations_missing
from apps.users.states import Perm


def allocations_end(data: CheckData) -> Iterator[Finding]:
    """Clients' allocations that expire within 7 days without their data: then nobody is paid for them."""
    if data.clock is None or not data.rare.allocations:
        return
    height = data.clock.epoch
    last = height + NEAR_S // data.clock.delay_s
    rows, has_more = rare_rows(allocations_missing(data.viewer, height=height).filter(expiration__lte=last))
    if not rows:
        return
    first, count = rows[0], len(rows)
    take = Link("pieces", query=f"take={first.number}")
    yield Finding(
        "allocations",
        reasons.ALLOCATIONS_EXPIRE(many=at_least(count, "allocation", has_more=has_more), count=count),
        reasons.ALLOCATION_MISSING(
            miner=first.miner.address, size=joined_size(first.size), client=first.client
        ),
        count=count,
        has_more=has_more,
        due_s=data.clock.starts_at(first.expiration),
        due_label=reasons.UNTIL_EXPIRES() if count == 1 else reasons.UNTIL_FIRST_EXPIRES(),
        acts=(
            Act(
                take,
                gettext_noop("Take the data of"),
                reasons.ALLOCATION(number=first.number),
                perm=Perm.WRITE,
                opens_page=True,
            ),
        ),
    )
