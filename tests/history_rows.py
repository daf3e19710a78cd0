"""Rows of hours and days, as a pool that has run for some weeks has them."""

from __future__ import annotations

from apps.core.clock import DAY, now
from apps.history.models import Reading
from apps.history.rules import Figure, begin_of
from apps.history.states import HOUR, METRICS, Kind, Unit
from poolsite.filecoin.amounts import FIL
from tests.demo_data import Pool

USUAL = {Unit.BYTES: 5 << 40, Unit.ATTO: 7 * FIL, Unit.SHARE: 0.42, Unit.CELSIUS: 61, Unit.COUNT: 3}


def subjects(pool: Pool) -> dict[Kind, tuple[int, str]]:
    """Return the key of each kind's thing, and its name in addresses."""
    return {
        Kind.MINER: (pool.miner.pk, pool.miner.address),
        Kind.HOST: (pool.sealer.pk, str(pool.sealer.uuid)),
        Kind.STORE: (pool.store.pk, str(pool.store.uuid)),
        Kind.WALLET: (pool.wallet.pk, str(pool.wallet.address)),
        Kind.GAS: (0, "all"),
        Kind.SEALING: (pool.miner.pk, pool.miner.address),
    }


def seeded(pool: Pool, *, days: int = 40) -> None:
    """Write hours and days of each kind, with a gap of ten hours."""
    at = now()
    for kind, (subject, _key) in subjects(pool).items():
        figures = (
            {"sealed": 2, "PC1": 3}
            if kind == Kind.SEALING
            else {name: USUAL[unit] for name, unit in METRICS[kind].items()}
        )
        stored = {name: Figure.measured(value) for name, value in figures.items()}
        hours = [begin_of(at, HOUR) - HOUR * place for place in range(24 * 8) if not 5 <= place < 15]
        days_of = [begin_of(at, DAY) - DAY * place for place in range(days)]
        Reading.objects.bulk_create(
            Reading(kind=kind, subject=subject, step=step, at=one, slot=one, figures=stored)
            for step, times in ((HOUR, hours), (DAY, days_of))
            for one in times
            if kind != Kind.GAS or pool.miner.tenant.name == "alice"
        )
