"""Rows of hours and days of what was measured: miners, hosts, stores, wallets, base fee, sealing."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from apps.core.clock import DAY
from apps.history.models import Reading
from apps.history.rules import Figure, Number, begin_of
from apps.history.states import HOUR, SEALED, WALLET_HOURS_RETENTION, Kind
from apps.sectors.models import JobEvent
from poolsite.demo.figures import Figures
from poolsite.demo.hosts import FULL, STOPPED, STOPPED_FOR
from poolsite.demo.money import Held, WalletCourse
from poolsite.demo.world import World, midnight, rows_write
from poolsite.filecoin.sizes import GIB
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import WORKER_STAGES

PART: Final = 20_000
Measure = Callable[[datetime], dict[str, Number]]


def history_make(
    world: World, figures: Figures, held: dict[int, Held], wallets: dict[int, WalletCourse]
) -> None:
    """Write the readings of everything."""
    part: list[Reading] = []
    for row in _all(world, figures, held, wallets):
        part.append(row)
        if len(part) >= PART:
            rows_write(Reading, part)
            part = []
    rows_write(Reading, part)


def _all(
    world: World, figures: Figures, held: dict[int, Held], wallets: dict[int, WalletCourse]
) -> Iterator[Reading]:
    for miner in world.miners:
        yield from _rows(world, Kind.MINER, miner.pk, _miner(world, figures, miner.pk, held[miner.pk]))
    for place, host in enumerate([*world.hosts, *world.provers]):
        until = world.now - STOPPED_FOR if place == STOPPED and len(world.hosts) > STOPPED else world.now
        yield from _rows(world, Kind.HOST, host.pk, _host(place, JobKind.SEAL in host.kinds), until=until)
    for place, store in enumerate(world.stores):
        yield from _rows(world, Kind.STORE, store.pk, _store(world, place))
    for wallet in world.wallets:
        course = wallets[wallet.pk]
        hours = min(world.scale.hours, WALLET_HOURS_RETENTION // HOUR)
        yield from _rows(
            world,
            Kind.WALLET,
            wallet.pk,
            lambda at, course=course: {"balance": course.at(at)},  # type: ignore[misc]  # bound at once
            hours=hours,
        )
    yield from _rows(world, Kind.GAS, 0, lambda at: {"base_fee": world.base_fee(at)})
    yield from _sealing(world)


def _rows(
    world: World,
    kind: Kind,
    subject: int,
    measure: Measure,
    *,
    hours: int | None = None,
    until: datetime | None = None,
) -> Iterator[Reading]:
    """Yield the hours and days of one thing, each day with what four moments of it say."""
    until = until or world.now
    hour = begin_of(world.now, HOUR)
    for place in range(hours or world.scale.hours):
        at = hour - HOUR * place
        if at <= until:
            found = {
                name: Figure.measured(value) for name, value in measure(min(at + HOUR / 2, until)).items()
            }
            yield Reading(kind=kind, subject=subject, step=HOUR, at=at, slot=at, figures=found)
    for day in world.days[1:]:
        at = midnight(day)
        moments = [moment for moment in (at + DAY / 4 * part for part in range(4)) if moment <= until]
        sums: dict[str, Figure] = {}
        for moment in moments:
            for name, value in measure(moment).items():
                one = Figure.measured(value)
                sums[name] = sums[name].plus(one) if name in sums else one
        if sums:
            yield Reading(kind=kind, subject=subject, step=DAY, at=at, slot=moments[-1], figures=sums)


def _miner(world: World, figures: Figures, pk: int, held: Held) -> Measure:
    course = figures.courses[pk]
    size = 32 * GIB
    faulty_since = world.now - timedelta(days=3)

    def interpolated(values: list[int], at: datetime) -> int:
        days = (at - midnight(world.days[0])) / DAY
        place = min(max(int(days), 0), len(values) - 2)
        share = min(max(days - place, 0.0), 1.0)
        return values[place] + int((values[place + 1] - values[place]) * share)

    def measure(at: datetime) -> dict[str, Number]:
        height = world.height_at(at)
        faulty = course.faulty if at > faulty_since else 0
        live, pledge = figures.sectors_at(pk, height), figures.pledge_at(pk, height)
        locked = interpolated(held.locked, at)
        balance = max(interpolated(held.balance, at), pledge + locked + figures.deposits_at(pk, height))
        return {
            "raw_power": (live - faulty) * size,
            "qa_power": figures.power_at(pk, height) - faulty * size,
            "balance": balance,
            "available": balance - pledge - locked - figures.deposits_at(pk, height),
            "locked": locked,
            "pledge": pledge,
            "fee_debt": 0,
            "active_sectors": live - faulty,
            "faulty_sectors": faulty,
        }

    return measure


def _host(place: int, is_sealer: bool) -> Measure:
    def measure(at: datetime) -> dict[str, Number]:
        hours = at.timestamp() / 3600
        wave = 0.5 + 0.5 * math.sin(hours / (5 + place % 4) + place)
        jitter = 0.5 + 0.5 * math.sin(hours * 12.9898 + place * 78.233)
        busy = 0.45 + 0.45 * wave if is_sealer else 0.05 + 0.1 * wave
        cpu = min(busy + 0.08 * jitter, 0.99)
        return {
            "slots_busy": round(busy, 3) if is_sealer else 0,
            "cpu": round(cpu, 3),
            "memory": round(0.3 + 0.5 * wave if is_sealer else 0.2 + 0.05 * wave, 3),
            "gpu": round(min(0.15 + 0.6 * wave * jitter + (0 if is_sealer else -0.1), 0.98), 3),
            "disk": round(0.42 + 0.25 * wave, 3),
            "temperature": round(44 + 28 * cpu),
            "gpu_temperature": round(42 + 30 * wave * (0.5 + 0.5 * jitter)),
        }

    return measure


def _store(world: World, place: int) -> Measure:
    store = world.stores[place]
    sealed = sorted(
        one.activation
        for one in world.sectors
        if one.store == store.name and one.miner.tenant_id == store.tenant_id and one.activation
    )
    used = store.total_bytes - store.free_bytes

    def measure(at: datetime) -> dict[str, Number]:
        height = world.height_at(at)
        missing = sum(1 for one in sealed if one > height) if place != FULL or at < world.now - DAY / 5 else 0
        return {"used": max(used - missing * 32 * GIB, 0), "size": store.total_bytes}

    return measure


def _sealing(world: World) -> Iterator[Reading]:
    """Yield what was sealed by hours and days, counted from the steps' rows."""
    found: defaultdict[tuple[int, datetime], Counter[str]] = defaultdict(Counter)
    rows = JobEvent.objects.filter(is_error=False).order_by()
    for miner, at, event, stage, ms in rows.values_list(
        "job__miner_id", "at", "event", "stage", "ms"
    ).iterator():
        for step in (HOUR, DAY):
            counts = found[miner, begin_of(at, step)] if step == HOUR else found[-miner, begin_of(at, step)]
            if ms is not None and stage in WORKER_STAGES:
                counts[stage] += 1
            if event == "FINALIZE":
                counts[SEALED] += 1
    hour = begin_of(world.now, HOUR)
    for of in world.miners:
        for step, times, key in (
            (HOUR, [hour - HOUR * place for place in range(world.scale.hours)], of.pk),
            (DAY, [midnight(day) for day in world.days], -of.pk),
        ):
            for begin in times:
                sealed: dict[str, int] = {SEALED: 0, **found.get((key, begin), {})}
                stored = {name: Figure.measured(count) for name, count in sealed.items()}
                yield Reading(
                    kind=Kind.SEALING, subject=of.pk, step=step, at=begin, slot=begin, figures=stored
                )
