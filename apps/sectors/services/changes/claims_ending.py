"""Reading a miner's verified claims, and which end soon: a node gives all at once, so that is rare."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from typing import Final

from django.db.models import F, Q

from apps.chain.node.isolation import for_each_isolated
from apps.core.clock import DAY_S
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.sectors.models import ClaimsEnding, Sector
from apps.sectors.onchain.live_sectors import Claim, claims_read
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.verified.claims import claims_write
from poolsite.wire.pipeline import SectorState

ENDING_S: Final = 30 * DAY_S
"""A claim can be dropped in the last 30 days of its sector, and its client can lengthen it until it ends.

Source: builtin-actors runtime/src/runtime/policy.rs END_OF_LIFE_CLAIM_DROP_PERIOD.
"""
EVERY: Final = timedelta(hours=1)
"""Least time between two reads of a miner."""
AT_ONCE: Final = 4
"""Miners that are read with a head: what follows active sectors waits meanwhile."""
CLIENTS_MAX: Final = 50
"""Clients of a miner that are added up."""
SHARE: Final = 200
"""A read that took long is made again only after so many times as long."""


def claims_ending_follow(work: SealingContext) -> int:
    """Read the claims of the miners whose last read is old enough; returns of how many miners.

    Only miners whose power is more than their bytes have verified data, or had when they were read last.
    """
    not_due = ClaimsEnding.objects.filter(due_at__gt=work.now).values("miner")
    known = ClaimsEnding.objects.filter(count__gt=0).values("miner")
    rows = Miner.objects.filter(Q(qa_power__gt=F("raw_power")) | Q(pk__in=known), state=MinerState.ACTIVE)
    due = list(rows.exclude(pk__in=not_due).order_by("pk")[:AT_ONCE])
    for_each_isolated(due, lambda miner: _read(miner, work=work), event="claims_not_read")
    return len(due)


def _read(miner: Miner, *, work: SealingContext) -> None:
    started = time.monotonic()
    # A node that does not answer is not asked again at the next head.
    ClaimsEnding.objects.update_or_create(miner=miner, defaults={"due_at": work.now + EVERY})
    claims = claims_read(work.client, miner.address, key=work.head.key)
    claims_write(miner, claims=(claim for of_sector in claims.values() for claim in of_sector))
    height = work.head.height
    last = height + ENDING_S // work.network.epoch_s
    soon = [claim for of_sector in claims.values() for claim in of_sector if height <= claim.last <= last]
    # The chain keeps the claims of terminated sectors until they end.
    live = Sector.objects.filter(
        miner=miner, state=SectorState.PROVING, number__in={one.sector for one in soon}
    )
    ends = dict(live.values_list("number", "expiration"))
    held = (one for one in soon if one.sector in ends and one.is_held(ends[one.sector] or 0))
    ending = sorted(held, key=lambda one: (one.last, one.id))
    due_at = work.now + max(EVERY, SHARE * timedelta(seconds=time.monotonic() - started))
    fields = _fields(ending) | {"clients": _clients(claims, height=height), "due_at": due_at}
    ClaimsEnding.objects.update_or_create(miner=miner, defaults=fields)


def _fields(ending: list[Claim]) -> dict[str, int | None]:
    first = ending[0] if ending else None
    return {
        "count": len(ending),
        "size": sum(claim.size for claim in ending),
        "claim": None if first is None else first.id,
        "sector_number": None if first is None else first.sector,
        "end_epoch": None if first is None else first.last,
    }


def _clients(claims: dict[int, list[Claim]], *, height: int) -> list[tuple[int, int, int]]:
    """Return the clients with most data in claims that have not ended: actor id, claims, padded bytes."""
    counts, sizes = Counter[int](), Counter[int]()
    for of_sector in claims.values():
        for claim in of_sector:
            if claim.last >= height:
                counts[claim.client] += 1
                sizes[claim.client] += claim.size
    return [(client, counts[client], size) for client, size in sizes.most_common(CLIENTS_MAX)]
