"""Checks of sectors and claims whose life ends, and of the files that stay."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import QuerySet

from apps.checks import reasons
from apps.checks.findings.acts import sectors_extend
from apps.checks.findings.results import Finding
from apps.checks.findings.text import at_least
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.rare import COUNTED_MAX
from apps.core.formatting import size
from apps.core.reasons import counted
from apps.sectors.models import Sector
from apps.sectors.selectors.ended_sectors import sectors_removable
from apps.sectors.selectors.host_groups import stores_of_hosts
from apps.sectors.selectors.sector_filters import expires_soon
from poolsite.filecoin.power import quality_power_max


def sectors_expiring(data: CheckData) -> Iterator[Finding]:
    """Sealed sectors whose life ends soon."""
    rows = data.sectors.select_related(None).order_by("expiration").filter(expires_soon(data.clock))
    found = list(rows.only("miner", "expiration")[: COUNTED_MAX + 1])
    if found and data.clock is not None:
        has_more = len(found) > COUNTED_MAX
        found = found[:COUNTED_MAX]
        count = len(found)
        yield Finding(
            "expiring",
            reasons.EXPIRING(many=at_least(count, "sector", has_more=has_more), count=count),
            reasons.EXTEND(),
            count=count,
            has_more=has_more,
            per_day=data.rewards_of(found),
            acts=(sectors_extend(at_least(count, "sector", has_more=has_more)),),
            due_s=data.clock.starts_at(found[0].expiration or 0),
            due_label=reasons.UNTIL_EXPIRES() if count == 1 else reasons.UNTIL_FIRST_EXPIRES(),
        )


def claims_end(data: CheckData) -> Iterator[Finding]:
    """Verified claims that end soon: beyond that a sector goes on only without them, and counts less."""
    rows = data.claims_ending
    if not rows or data.clock is None:
        return
    first, count = rows[0], sum(row.count for row in rows)
    size_earning = sum(row.size for row in rows if row.miner.has_min_power)
    yield Finding(
        "claims",
        reasons.CLAIMS_END(claims=counted(count, "verified claim"), count=count),
        reasons.CLAIM_LASTS(
            miner=first.miner.address,
            sector_number=first.sector_number,
            claim=first.claim,
            end_epoch=first.end_epoch,
        ),
        count=count,
        per_day=data.reward_of_power(quality_power_max(size_earning) - size_earning),
        due_s=data.clock.starts_at(first.end_epoch or 0),
        due_label=reasons.UNTIL_ENDS() if count == 1 else reasons.UNTIL_FIRST_ENDS(),
    )


def files_left(data: CheckData) -> QuerySet[Sector]:
    """Return the sectors that the chain has ended for good and whose files some host still has."""
    if data.head is None or data.network is None:
        return data.sectors.none()
    stores = stores_of_hosts(data.viewer)
    return sectors_removable(
        data.sectors, stores=stores, height=data.head.height, network=data.network, now=data.at
    )


def files_of_ended(data: CheckData) -> Iterator[Finding]:
    """Files of sectors that the chain has ended, which only take disk."""
    sizes = list(files_left(data).order_by().values_list("sector_size", flat=True)[: COUNTED_MAX + 1])
    if sizes:
        has_more = len(sizes) > COUNTED_MAX
        sizes = sizes[:COUNTED_MAX]
        many = at_least(len(sizes), "sector", has_more=has_more)
        free = reasons.FREED(sizes=" ".join(size(sum(sizes))))
        yield Finding(
            "files-left",
            reasons.FILES_LEFT(many=many),
            reasons.AT_LEAST(many=free) if has_more else free,
            count=len(sizes),
            has_more=has_more,
        )
