"""When sectors will be proving, and how long from a ticket to the pre-commit that uses it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.core.cache import cache
from redis.exceptions import RedisError

from apps.sectors.selectors.percentiles import percentile
from apps.sectors.selectors.stage_runs import InWork, finished_spans
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline import NEXT_STAGE, SEALING, WORKER_STAGES, SectorEvent, Stage

WITH_TICKET: Final = tuple(
    spec for spec in SEALING if SectorEvent.RETICKET in spec.others or spec.stage == Stage.PRECOMMIT_WAIT
)
"""The way of a ticket: from its draw to the pre-commit that uses it."""
TIMES_SHARED_S: Final = 300


@dataclass(frozen=True, slots=True)
class SectorEta:
    """When a sector will be proving."""

    sector: InWork
    stage: str
    eta: datetime | None
    """None while no sector of its kind has been finished, and while it waits for somebody or for its host."""
    is_late: bool
    """It is longer in its stage than nine of ten were."""
    waits_for_host: bool = False
    """Its next stage is for a host that is away or paused, and claims nothing."""


def precommit_times(viewer: Principal) -> dict[tuple[int, str], float]:
    """Return the seconds from each state with a ticket until the pre-commit lands, by proof type and state.

    19 of 20 of the newest finished sectors took no longer, waits included; kept for `TIMES_SHARED_S`.
    """
    name = f"sectors-precommit-times-{'all' if viewer.is_operator else viewer.own_id}"
    # Without Redis each page computes them anew.
    with suppress(RedisError, OSError):
        if (known := cache.get(name)) is not None:
            return dict(known)
    left: dict[tuple[int, str], list[float]] = defaultdict(list)
    for seal_proof, seconds_by_stage in finished_spans(viewer):
        seconds = 0.0
        for spec in reversed(WITH_TICKET):
            seconds += seconds_by_stage.get(str(spec.stage), 0.0)
            left[seal_proof, str(spec.state)].append(seconds)
    found = {key: percentile(sorted(all_of), 0.95) or 0.0 for key, all_of in left.items()}
    with suppress(RedisError, OSError):
        cache.set(name, found, TIMES_SHARED_S)
    return found


def sector_etas(
    sectors: Iterable[InWork], spans: Mapping[int, Mapping[str, Sequence[float]]], *, now: datetime
) -> tuple[SectorEta, ...]:
    """Return when sectors will be proving, by what finished ones of their proof type took for each stage.

    Those that wait for a decision first, then those that are late, then the soonest.
    """
    known = {proof: {name: StageTimes.of(many) for name, many in of.items()} for proof, of in spans.items()}
    found = [_eta(sector, known.get(sector.seal_proof, {}), now=now) for sector in sectors]
    return tuple(
        sorted(
            found,
            key=lambda one: (not one.sector.is_paused, not one.is_late, one.eta or now, one.sector.number),
        )
    )


STATES: Final = [str(spec.state) for spec in SEALING]
STAGES: Final = [str(spec.stage) for spec in SEALING if spec.next]


class StageTimes(NamedTuple):
    """Seconds that finished sectors took for a stage."""

    half: float
    """Half of them took no longer."""
    most: float | None
    """Nine of ten took no longer; None without any."""

    @classmethod
    def of(cls, seconds: Iterable[float]) -> StageTimes:
        """Return the times of some sectors."""
        rising = sorted(seconds)
        return cls(percentile(rising, 0.5) or 0.0, percentile(rising, 0.9))


UNKNOWN: Final = StageTimes(0.0, None)


def _eta(sector: InWork, spans: Mapping[str, StageTimes], *, now: datetime) -> SectorEta:
    stage = str(NEXT_STAGE[sector.state].stage)
    present = spans.get(stage, UNKNOWN)
    elapsed = (now - sector.since).total_seconds()
    is_late = present.most is not None and elapsed > present.most
    waits_for_host = stage in WORKER_STAGES and (sector.is_host_away or sector.is_host_paused)
    if sector.is_paused or waits_for_host or not spans:
        return SectorEta(sector, stage, None, is_late and not sector.is_paused, waits_for_host)
    left = max(present.half - elapsed, 0.0)
    left += sum(spans.get(one, UNKNOWN).half for one in STAGES[STATES.index(sector.state) + 1 :])
    return SectorEta(sector, stage, now + timedelta(seconds=left), is_late)
