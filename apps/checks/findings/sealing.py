"""Checks of sectors in progress, of what a restore holds, and of targets."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count
from django.utils.translation import gettext

from apps.checks.findings.acts import ACTS_MAX, sectors_retry
from apps.checks.findings.results import Finding, Link
from apps.checks.findings.text import named
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import deposits_of
from apps.core.formatting import plural
from apps.core.languages import colon_text
from apps.core.stored_texts import stored_text
from apps.sectors.selectors.restored import hosts_unreported, miners_unread, sectors_unpledged
from apps.sectors.selectors.sectors import DEPOSIT_OVER


def sectors_paused(data: CheckData) -> Iterator[Finding]:
    """Sectors that failed, or were paused by a person, and wait for a decision."""
    count = data.sector_counts["PAUSED"]
    if not count:
        return
    paused = data.sectors.exclude(paused_at=None)
    named_ones = list(paused[:ACTS_MAX])
    first = next(iter(named_ones), None)
    why = (
        ""
        if first is None
        else colon_text(f"{first.miner.address} / {first.number}", stored_text(first.error))
    )
    is_single = first is not None and count == 1
    paid = paused.exclude(precommit_epoch=None).exclude(state__in=DEPOSIT_OVER)
    by_size = paid.select_related(None).order_by().values_list("sector_size").annotate(Count("pk"))
    deposits = deposits_of(data, dict(by_size))
    yield Finding(
        "paused",
        gettext("{sectors} paused").format(sectors=plural(count, "sector")),
        why,
        link=Link("sector", (str(first.uuid),)) if first is not None and is_single else None,
        count=count,
        at_risk=deposits,
        deposits=deposits,
        acts=sectors_retry(named_ones),
    )


def sector_recovery(data: CheckData) -> Iterator[Finding]:
    """Sectors or pledges are held: the database was restored, and chain and hosts know more than it."""
    row, may_see = data.recovery, data.viewer.sees_pool
    if row is None or row.sectors_since is None:
        count = sectors_unpledged(data.restored).count() if may_see else 0
        if count:
            yield Finding(
                "pledges-held",
                gettext("pledges with an idempotency key are refused after a restore"),
                gettext(
                    "{sectors} created since the backup by lost pledges: confirm that none is repeated"
                ).format(sectors=plural(count, "sector")),
                link=Link("recovery"),
                button=gettext("Recovery"),
                count=count,
            )
        return
    names = list(hosts_unreported(row).values_list("name", flat=True))
    if miners_unread(row).exists():
        left = gettext("sectors are being read back from chain and hosts; sealing resumes automatically")
    elif names:
        hosts = named(names) if may_see else plural(len(names), "host")
        left = gettext("start or retire {hosts}: work it may have begun is not given to another host").format(
            hosts=hosts
        )
    else:
        return
    yield Finding(
        "sector-recovery",
        gettext("sectors are on hold: the pool is recovering from a restored backup"),
        left,
        link=Link("recovery") if may_see else None,
        button=gettext("Recovery") if may_see else "",
    )


def targets_paused(data: CheckData) -> Iterator[Finding]:
    """Targets that want sectors and may not pledge them."""
    for row in data.targets_paused:
        yield Finding(
            f"target-{row.miner_id}",
            gettext("the target of {miner} is paused").format(miner=row.miner),
            stored_text(row.reason),
            link=Link("miner-target", (row.miner.address,)),
        )
