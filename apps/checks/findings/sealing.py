"""Checks of sectors in progress, of what a restore holds, and of targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from django.utils.translation import gettext_noop

from apps.checks import reasons
from apps.checks.findings.acts import ACTS_MAX, group_retry, sectors_retry
from apps.checks.findings.results import Act, Finding, Link
from apps.checks.findings.text import at_least, grouped, named
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import deposits_of
from apps.core.reasons import as_reason, colon, counted
from apps.sectors.models import Sector
from apps.sectors.selectors.failures import sectors_alike, sectors_failed
from apps.sectors.selectors.restored import hosts_unreported, miners_unread, sectors_unpledged
from apps.sectors.selectors.sectors import DEPOSIT_OVER

SHOWN: Final = (
    "uuid",
    "number",
    "state",
    "paused_at",
    "paused_by",
    "error",
    "error_coded",
    "error_level",
    "precommit_epoch",
    "sector_size",
    "miner__actor_id",
)
FAILED_MAX: Final = 2_000
"""Paused sectors that are counted and priced; of more the check says "at least"."""


def sectors_paused(data: CheckData) -> Iterator[Finding]:
    """Sectors that failed, or were paused by a person, and wait for a decision."""
    count = data.sector_counts["PAUSED"]
    if not count:
        return
    rows = data.sectors.exclude(paused_at=None).select_related(None).select_related("miner").only(*SHOWN)
    failed = list(sectors_failed(rows)[:FAILED_MAX])
    has_more = len(failed) == FAILED_MAX
    for groups in grouped(sectors_alike(failed)):
        sectors = [sector for group in groups for sector in group.sectors]
        acts = sectors_retry(sectors)
        if len(groups) == 1 and len(sectors) > 1:
            acts = (group_retry(groups[0]),)
        yield _paused(
            data,
            sectors,
            key=f"paused-{groups[0].key}",
            link=Link("sectors-failures"),
            acts=acts,
            has_more=has_more,
        )
    if count > len(failed) and not has_more:
        by_people = list(rows.exclude(paused_by="")[:FAILED_MAX])
        if by_people:
            acts = sectors_retry(by_people[:ACTS_MAX])
            more = len(by_people) == FAILED_MAX
            yield _paused(data, by_people, key="paused", link=None, acts=acts, has_more=more)


def _paused(
    data: CheckData,
    sectors: Sequence[Sector],
    *,
    key: str,
    link: Link | None,
    acts: tuple[Act, ...],
    has_more: bool,
) -> Finding:
    """Return the finding of sectors that are paused alike."""
    first = sectors[0]
    paid = [row for row in sectors if row.precommit_epoch is not None and row.state not in DEPOSIT_OVER]
    deposits = deposits_of(data, [row.sector_size for row in paid])
    is_single = len(sectors) == 1
    return Finding(
        key,
        reasons.PAUSED(count=at_least(len(sectors), "sector", has_more=has_more)),
        colon(f"{first.miner.address} / {first.number}", first.error),
        link=Link("sector", (str(first.uuid),)) if is_single else link,
        button=gettext_noop("Failures") if link is not None and (not is_single) else "",
        count=len(sectors),
        has_more=has_more,
        at_risk=deposits,
        deposits=deposits,
        acts=acts,
    )


def sector_recovery(data: CheckData) -> Iterator[Finding]:
    """Sectors or pledges are held: the database was restored, and chain and hosts know more than it."""
    row, may_see = data.recovery, data.viewer.sees_pool
    if row is None or row.sectors_since is None:
        count = sectors_unpledged(data.restored).count() if may_see else 0
        if count:
            yield Finding(
                "pledges-held",
                reasons.PLEDGES_HELD(),
                reasons.PLEDGES_LOST(sectors=counted(count, "sector")),
                link=Link("recovery"),
                button=gettext_noop("Recovery"),
                count=count,
            )
        return
    names = list(hosts_unreported(row).values_list("name", flat=True))
    if miners_unread(row).exists():
        left = reasons.SECTORS_READ()
    elif names:
        hosts = named(names) if may_see else counted(len(names), "host")
        left = reasons.HOSTS_START(hosts=hosts)
    else:
        return
    yield Finding(
        "sector-recovery",
        reasons.SECTORS_ON_HOLD(),
        left,
        link=Link("recovery") if may_see else None,
        button=gettext_noop("Recovery") if may_see else "",
    )


def targets_paused(data: CheckData) -> Iterator[Finding]:
    """Targets that want sectors and may not pledge them."""
    for row in data.targets_paused:
        yield Finding(
            f"target-{row.miner_id}",
            reasons.TARGET_PAUSED(miner=str(row.miner)),
            as_reason(row.reason),
            link=Link("miner-target", (row.miner.address,)),
        )
