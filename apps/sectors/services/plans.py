"""A plan of a farm: what it is by its hosts and history, what is typed instead, and what it costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.clock import DAY_S
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.miners.models import Miner, RewardEstimate
from apps.sectors.models import Worker
from apps.sectors.rules.batch_sizes import FarmBatches, farm_batches
from apps.sectors.rules.hardware import sealing_disks
from apps.sectors.rules.plan_goals import SectorMoney
from apps.sectors.rules.planner import COMMIT, ROOMS_MAX, SEED, STAGES, Outcome, Plan
from apps.sectors.selectors.host_lanes import slots_of
from apps.sectors.selectors.hosts import worker_is_away, workers_visible
from apps.sectors.selectors.percentiles import percentile
from apps.sectors.selectors.sealing_report import HOSTS_MAX
from apps.sectors.selectors.stage_runs import stage_runs, stage_spans
from apps.sectors.services.sealing.prices import PledgePrice, payers_list, pledge_price
from apps.users.rules.principals import Principal
from poolsite.filecoin.pledge import expected_reward
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET, Network, ProofForm
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SEALING, WORKER_STAGES, Owner, Stage
from poolsite.wire.sums import memory_for_slots

PUBLISHED_S: Final[dict[str, float]] = {
    spec.stage: spec.published_s for spec in SEALING if spec.owner is Owner.WORKER
}
"""A sector of 32 GiB on an EPYC 7642 with an RTX 3080, by damocles' documentation; storing and clearing are
guesses of a disk that takes 200 MiB/s."""
PUBLISHED_BYTES: Final = 32 << 30
STAGE_LEAST_S: Final = 1.0
"""Of a stage that was never measured: claiming and reporting it take as long, however small the sector."""
ROOM_TENTHS: Final = 161
"""Disk of a sector while it is sealed, in tenths of its size.  Source: lotus' overhead table."""
ON_CHAIN: Final = {
    SEED: (Stage.PRECOMMIT, Stage.PRECOMMIT_WAIT, Stage.WAIT_SEED),
    COMMIT: (Stage.COMMIT, Stage.COMMIT_WAIT),
}
"""Stages of the console of which each wait is made."""
LAND_EPOCHS: Final = 6
"""Epochs that a message takes to land, as long as nothing was measured."""
SECONDS_MAX: Final = 10_000_000.0
MOST: Final = {"hosts": 10_000, "rooms": ROOMS_MAX}
SLOTS_MOST: Final = 1_000

GUESSED: Final = frozenset(spec.stage for spec in SEALING if spec.is_guessed)
"""Stages whose published time is none: what a disk of 200 MiB/s would take."""

MEMORY: Final = "memory"
"""Source of slots that the hosts' memory limits; also the limit of a plan for which it has room for none."""
SOURCES: Final = ("measured", "host", "mean", MEMORY, "published", "guess", "assumed", "network", "typed")
"""Where a number of a plan comes from."""


@dataclass(frozen=True, slots=True)
class PlanValue:
    """One number of a plan."""

    key: str
    """`hosts`, `rooms`, `slots_PC1`, `s_PC1`, …"""
    value: float
    source: str
    """One of `SOURCES`."""
    runs: int = 0
    """Measured ones: how many it rests on."""


GAPS: Final = ("offline", "paused", "no_disk", "no_times", "not_read")
"""Why a host counts for less than it is in a plan."""


@dataclass(frozen=True, slots=True)
class HostGap:
    """A host of which a plan does not know all."""

    name: str
    why: str
    """One of `GAPS`."""


@dataclass(frozen=True, slots=True)
class PlanFarm:
    """The numbers of a farm, and the hosts of which they lack something."""

    values: dict[str, PlanValue]
    gaps: tuple[HostGap, ...]


KEYS: Final = (
    *("hosts", "rooms"),
    *(f"slots_{stage}" for stage in STAGES),
    *(f"s_{step}" for step in (*STAGES, SEED, COMMIT)),
)


@dataclass(frozen=True, slots=True)
class PayerPlan:
    """An address that pays for the plan's sectors."""

    address: str
    left: int
    """attoFIL beyond what is promised to sectors and messages under way."""
    per_day: int
    days: float | None
    """Until it is empty; None: it does not run dry."""


@dataclass(frozen=True, slots=True)
class PlanCosts:
    """What a plan's sectors cost at the present head."""

    price: PledgePrice
    locked_per_day: int
    gas_per_day: int
    payers: tuple[PayerPlan, ...]


def plan_values_collect(
    viewer: Principal, *, miner: Miner | None, network: Network | None, now: datetime
) -> dict[str, PlanValue]:
    """Return the numbers of the viewer's present farm, with where each comes from.

    Slots and disk are the mean of the hosts that are there, no slots without the memory for them; times
    also of those that are paused or away, of sectors of this size alone.
    """
    return plan_farm_collect(viewer, miner=miner, network=network, now=now).values


def plan_farm_collect(
    viewer: Principal, *, miner: Miner | None, network: Network | None, now: datetime
) -> PlanFarm:
    """Return the same, and each host that is left out of it or that is assumed to be as the others."""
    sealing = _hosts_sealing(viewer, miner)
    known = sealing[:HOSTS_MAX]
    hosts = _hosts_at_work(known, now=now)
    size = PUBLISHED_BYTES if miner is None else miner.sector_size
    found = [PlanValue("hosts", len(hosts) or 1, "host" if hosts else "assumed"), _rooms(hosts, size)]
    slots = [slots_of(host) for host in hosts]
    for stage in STAGES:
        wished = [one.get(stage, 0) for one in slots]
        counts = [
            min(count, _slots_in_memory(host, stage, size)) for host, count in zip(hosts, wished, strict=True)
        ]
        source = "assumed" if not hosts else "host" if len(set(counts)) == 1 else "mean"
        if counts != wished:
            source = MEMORY
        found.append(PlanValue(f"slots_{stage}", _slots_each(counts) if hosts else 1, source))
    seconds: dict[str, list[float]] = defaultdict(list)
    timed: set[int] = set()
    for run in stage_runs(viewer, known, since=now).runs:
        if run.sector_size == size and not run.is_error:
            seconds[run.stage].append(run.seconds)
            timed.add(run.worker)
    for stage in STAGES:
        measured = sorted(seconds[stage])
        if (half := percentile(measured, 0.5)) is not None:
            found.append(PlanValue(f"s_{stage}", round(half, 3), "measured", len(measured)))
        else:
            scaled = round(max(PUBLISHED_S[stage] * size / PUBLISHED_BYTES, STAGE_LEAST_S), 3)
            found.append(PlanValue(f"s_{stage}", scaled, "guess" if stage in GUESSED else "published"))
    found += _waits(viewer, miner, network)
    gaps = (
        *_gaps(known, timed=timed, now=now),
        *(HostGap(host.name, "not_read") for host in sealing[HOSTS_MAX:]),
    )
    return PlanFarm({one.key: one for one in found}, gaps)


def _gaps(hosts: Sequence[Worker], *, timed: set[int], now: datetime) -> Iterator[HostGap]:
    """Yield why hosts count for less than they are: the first reason of each, then times that are assumed."""
    for host in hosts:
        if worker_is_away(host, now=now):
            yield HostGap(host.name, "offline")
        elif host.is_paused:
            yield HostGap(host.name, "paused")
        elif not any(total for _, total in sealing_disks(host.hardware)):
            yield HostGap(host.name, "no_disk")
        elif host.pk not in timed:
            yield HostGap(host.name, "no_times")


def _hosts_sealing(viewer: Principal, miner: Miner | None) -> list[Worker]:
    """Return the hosts that seal for a miner, or for any of the viewer's."""
    return [
        host
        for host in workers_visible(viewer)
        if str(JobKind.SEAL) in host.kinds and (miner is None or host.tenant_id == miner.tenant_id)
    ]


def _hosts_at_work(hosts: Sequence[Worker], *, now: datetime) -> list[Worker]:
    """Return those that are neither paused nor offline."""
    return [host for host in hosts if not host.is_paused and not worker_is_away(host, now=now)]


def plan_batches_collect(viewer: Principal, *, miner: Miner | None, now: datetime) -> FarmBatches:
    """Return what batches with their layers on drives make on the viewer's present farm."""
    hosts = _hosts_at_work(_hosts_sealing(viewer, miner)[:HOSTS_MAX], now=now)
    return farm_batches(host.hardware for host in hosts)


def _slots_each(counts: Sequence[int]) -> int:
    """Return a stage's slots of one host in the mean, whole; one at least where any host has one."""
    total = sum(counts)
    return max(round(total / len(counts)), 1) if total else 0


def _rooms(hosts: Sequence[Worker], size: int) -> PlanValue:
    """Return for how many sectors the mean disk has room, of the hosts that told of theirs."""
    disks = (sum(total for _, total in sealing_disks(host.hardware)) for host in hosts)
    rooms = [10 * disk // (ROOM_TENTHS * size) for disk in disks if disk]
    if not rooms:
        return PlanValue("rooms", 10, "assumed")
    return PlanValue("rooms", min(_slots_each(rooms), ROOMS_MAX), "host")


def _slots_in_memory(host: Worker, stage: str, size: int) -> int:
    """Return how many slots of a stage a host's memory has room for; any number where it holds none there.

    Only hosts that make Groth16 proofs hold what these take: theirs is known once they make some.
    """
    memory, ram = WORKER_STAGES[stage].memory, int(host.hardware.get("ram_bytes") or 0)
    is_made = not memory.is_of_groth16 or bool(set(host.hardware.get("proofs", ())) - {ProofForm.VANILLA})
    needs = memory.of(size) if is_made else 0
    return memory_for_slots(ram) // needs if ram and needs else SLOTS_MOST


def plan_limit_find(outcome: Outcome, *, values: Mapping[str, PlanValue]) -> str:
    """Return what limits a plan: a stage's slots, the disk, or memory that is too small for any slot."""
    slots = values.get(f"slots_{outcome.limit}")
    return MEMORY if slots is not None and not slots.value and slots.source == MEMORY else outcome.limit


def _waits(viewer: Principal, miner: Miner | None, network: Network | None) -> list[PlanValue]:
    spans = stage_spans(viewer, miner=miner)
    by_stage = spans.get(miner.seal_proof, {}) if miner is not None else next(iter(spans.values()), {})
    found = []
    for wait, stages in ON_CHAIN.items():
        halves = [percentile(sorted(by_stage.get(stage, ())), 0.5) for stage in stages]
        known = [half for half in halves if half is not None]
        if known:
            runs = max(len(by_stage.get(stage, ())) for stage in stages)
            found.append(PlanValue(f"s_{wait}", round(sum(known), 1), "measured", runs))
            continue
        epoch_s = 30 if network is None else network.epoch_s
        delay = 150 if network is None else network.pre_commit_challenge_delay
        epochs = LAND_EPOCHS + (delay if wait == SEED else 0)
        found.append(PlanValue(f"s_{wait}", float(epochs * epoch_s), "network"))
    return found


def plan_read(
    typed: Mapping[str, str], *, values: Mapping[str, PlanValue]
) -> tuple[Plan, dict[str, PlanValue]]:
    """Return the plan with what is typed instead of the present numbers.  Raises BadValue."""
    merged = dict(values)
    for key in KEYS:
        text = typed.get(key, "").strip()
        if not text:
            continue
        number = _seconds(text, key) if key.startswith("s_") else _count(text, key)
        if number != values[key].value:
            merged[key] = PlanValue(key, number, "typed")
    plan = Plan(
        hosts=int(merged["hosts"].value),
        rooms=int(merged["rooms"].value),
        slots={stage: int(merged[f"slots_{stage}"].value) for stage in STAGES},
        seconds={step: merged[f"s_{step}"].value for step in (*STAGES, SEED, COMMIT)},
    )
    return plan, merged


def _count(text: str, key: str) -> int:
    most = MOST.get(key, SLOTS_MOST)
    if not (text.isascii() and text.isdigit() and len(text) < 9) or int(text) > most:
        raise BadValue(gettext("must be a whole number from 0 to {most}").format(most=most), field=key)
    return int(text)


def _seconds(text: str, key: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= SECONDS_MAX:
        raise BadValue(
            gettext("must be seconds from 0 to {limit}").format(limit=f"{SECONDS_MAX:.0f}"), field=key
        )
    return number


def plan_costs_estimate(
    miner: Miner, *, per_day: float, client: ChainClient, head: Head, network: Network
) -> PlanCosts:
    """Return what so many sectors a day cost.  Raises NodeRefused, NodeUnavailable, ProofFormMissing."""
    price = pledge_price(miner, client=client, head=head, network=network)
    payers = []
    for payer in payers_list(miner, price=replace(price, available=0), count=1):  # soon used up
        daily, left = round(payer.needs * per_day), payer.balance - payer.promised
        payers.append(PayerPlan(payer.address, left, daily, max(left, 0) / daily if daily else None))
    return PlanCosts(
        price=price,
        locked_per_day=round(price.locked * per_day),
        gas_per_day=round(price.gas * per_day),
        payers=tuple(payers),
    )


def sector_money_estimate(
    price: PledgePrice, *, size: int, network: Network, reward: RewardEstimate | None
) -> SectorMoney:
    """Return the money of one sector in days of the clock, by its price and the chain's estimates."""
    epochs = DAY_S // network.epoch_s
    return SectorMoney(
        locked=price.locked,
        gas=price.gas,
        daily_fee=price.daily_fee * epochs // EPOCHS_PER_DAY_MAINNET,
        reward=None
        if reward is None
        else int(expected_reward(reward.reward, reward.power, size, epochs=epochs)),
        life_days=price.life_epochs / epochs,
    )
