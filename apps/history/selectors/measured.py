"""Reading what is to be recorded now: only what was told lately, as an old figure says nothing of now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from apps.chain.models import Head
from apps.chain.selectors.heads import head_current
from apps.history.rules import Number
from apps.history.states import METRICS, SLOT, Kind
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.sectors.models import Store, Worker
from apps.sectors.selectors.host_lanes import jobs_leased_by_stage, slots_of
from apps.wallets.models import Wallet

Measured = Mapping[int, Mapping[str, Number]]
"""Figures by metric, by the key of what they are of."""
HEARD_WITHIN: Final = timedelta(minutes=2)
"""Maximum age of a heartbeat whose figures count as current."""
TOLD_WITHIN: Final = 3 * SLOT
"""Maximum age of stores' sizes, reported every ten minutes, and of the head, which null rounds delay."""
LAG_EPOCHS: Final = 20
"""Maximum distance from the head at which figures of a miner count as current."""
MILLI: Final = 1000


def head_now(now: datetime) -> Head | None:
    """Return the newest head if it came lately; None while the chain, or the follower, stands still."""
    head = head_current()
    return head if head is not None and now - head.arrived_at < TOLD_WITHIN else None


def miners_measured(now: datetime) -> Measured:
    """Return what the chain says of the miners."""
    head = head_now(now)
    if head is None:
        return {}
    rows = Miner.objects.filter(state=MinerState.ACTIVE, refreshed_height__gte=head.height - LAG_EPOCHS)
    names = METRICS[Kind.MINER]
    return {
        pk: {name: int(value) for name, value in zip(names, values, strict=True)}
        for pk, *values in rows.values_list("pk", *names)
    }


def hosts_measured(now: datetime) -> Measured:
    """Return how busy hosts are; a host of an older version tells only of its disks."""
    hosts = list(Worker.objects.filter(seen_at__gt=now - HEARD_WITHIN, retired_at=None))
    leased = jobs_leased_by_stage()
    found = {
        host.pk: host_figures(host.hardware) | slots_busy(slots_of(host), leased.get(host.pk, {}))
        for host in hosts
    }
    return {pk: figures for pk, figures in found.items() if figures}


def slots_busy(slots: Mapping[str, int], leased: Mapping[str, int]) -> dict[str, Number]:
    """Return what part of a host's slots runs a job, not counting what waits on it; empty without slots."""
    total = sum(slots.values())
    running = sum(min(count, slots.get(stage, 0)) for stage, count in leased.items())
    return {"slots_busy": running / total} if total else {}


def host_figures(hardware: Mapping[str, Any]) -> dict[str, Number]:
    """Return the figures of what a host said of its machine; what it did not say is absent."""
    load = hardware.get("load") or {}
    figures: dict[str, Number] = {
        name: load[field] / MILLI
        for name, field in (
            ("cpu", "cpu_permille"),
            ("memory", "memory_permille"),
            ("gpu", "gpu_permille"),
        )
        if load.get(field) is not None
    }
    for name, field in (("temperature", "celsius"), ("gpu_temperature", "gpu_celsius")):
        if load.get(field) is not None:
            figures[name] = load[field]
    disks = [
        (hardware.get("disk_total_bytes") or 0, hardware.get("disk_free_bytes") or 0),
        *((disk["total_bytes"], disk["free_bytes"]) for disk in hardware.get("disks") or ()),
    ]
    fullest = max((1 - free / total for total, free in disks if total), default=None)
    return figures if fullest is None else figures | {"disk": min(max(fullest, 0.0), 1.0)}


def stores_measured(now: datetime) -> Measured:
    """Return how full stores are; one without a known size has none."""
    return {
        store.pk: {
            "used": max(store.total_bytes - store.free_bytes - store.reserved_bytes, 0),
            **({"size": store.total_bytes} if store.is_bounded else {}),
        }
        for store in Store.objects.filter(told_at__gt=now - TOLD_WITHIN)
    }


def wallets_measured(now: datetime) -> Measured:
    """Return the balances of wallets: whoever has moved one is read again with the head."""
    if head_now(now) is None:
        return {}
    rows = Wallet.objects.filter(balance__isnull=False).values_list("pk", "balance")
    return {pk: {"balance": int(balance)} for pk, balance in rows if balance is not None}


def gas_measured(now: datetime) -> Measured:
    """Return the base fee of the newest head."""
    head = head_now(now)
    return {} if head is None else {0: {"base_fee": int(head.base_fee)}}


MEASURED: Final[Mapping[Kind, tuple[timedelta, Callable[[datetime], Measured]]]] = {
    Kind.MINER: (SLOT, miners_measured),
    Kind.HOST: (SLOT, hosts_measured),
    Kind.STORE: (SLOT, stores_measured),
    Kind.WALLET: (6 * SLOT, wallets_measured),
    Kind.GAS: (SLOT, gas_measured),
}
"""How often each kind is measured, and by what."""
