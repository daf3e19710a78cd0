"""Sealing hosts, provers and stores: what each last said of itself, one of them stopped, one store full."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from apps.core.reasons import quoted
from apps.sectors.models import HostReport, Store, StoreAttachment, StoreEvent, StoreSample, Worker
from poolsite.demo.world import World, rows_write
from poolsite.filecoin.sizes import GIB, TIB
from poolsite.wire.hosts import VERSION
from poolsite.wire.jobs import JobKind
from poolsite.wire.stores import StoreCondition

STOPPED: Final = 2
"""Place of the host that stopped."""
STOPPED_FOR: Final = timedelta(hours=3, minutes=12)
SLOTS: Final = {
    "ADD_PIECE": 2,
    "TREE_D": 2,
    "PC1": 6,
    "PC2": 2,
    "PERSIST": 2,
    "C1": 2,
    "C2": 1,
    "FINALIZE": 2,
}
"""Sectors at a time in each stage of a sealing host."""
NO_ROOM: Final = "12.0 GiB free, a sector needs 36.0 GiB: attach another store"
FULL: Final = 1
"""Place of the store that is full."""


def hardware(world: World, *, seals: bool) -> dict[str, Any]:
    """Return what a host says of its machine."""
    chance = world.chance
    free = chance.randrange(25, 60)
    return {
        "cpus": 64 if seals else 32,
        "ram_bytes": (1024 if seals else 512) * GIB,
        "disk_total_bytes": 14 * TIB,
        "disk_free_bytes": 14 * TIB * free // 100,
        "cpu_model": "AMD EPYC 7543 32-Core Processor",
        "numa_nodes": 2,
        "l3_bytes": 32 << 20,
        "l3_caches": 8,
        "gpus": ["NVIDIA RTX A5000"] * (2 if seals else 1),
        "disks": [
            {
                "folder": "/nvme/sealing" if seals else "/var/cache",
                "total_bytes": 14 * TIB,
                "free_bytes": 14 * TIB * free // 100,
                "disk": "nvme0n1",
                "write_bytes_s": 3 << 30,
                "read_bytes_s": 5 << 30,
            }
        ],
        "kernels_done": 12,
        "kernels_total": 12,
        "proofs": ["groth16", "vanilla"],
        "winning_form": "" if seals else "groth16",
        "winning_ms": 0 if seals else 2_100 + chance.randrange(900),
        "update_sizes": [32 * GIB],
        "drives_measured": drives_measured(world) if seals else None,
        "batch_size": {"sectors": 64, "why": "best"} if seals else None,
        "load": {
            "cpu_permille": chance.randrange(520, 930) if seals else chance.randrange(60, 240),
            "memory_permille": chance.randrange(600, 900) if seals else chance.randrange(150, 400),
            "gpu_permille": chance.randrange(300, 800) if seals else chance.randrange(20, 150),
            "celsius": chance.randrange(58, 76),
            "gpu_celsius": chance.randrange(55, 74),
        },
    }


def drives_measured(world: World) -> dict[str, Any]:
    """Return what `measure-disks --all` found on a host with twelve drives of 15.36 TB."""
    return {
        "drives": [f"/mnt/nvme{number}" for number in range(1, 13)],
        "at": int((world.now - timedelta(days=9)).timestamp()),
        "room_bytes": 12 * 15_360_000_000_000,
        "endurance_bytes": 12 * 28_032_000_000_000_000,
        "pages": [
            {"sectors": size, "reads_s": 11_800_000 - 9_000 * size, "read_ns": 610, "nodes_s": nodes_s}
            for size, nodes_s in ((16, 1_190_000), (32, 1_170_000), (64, 1_128_000), (128, 705_000))
        ],
    }


def hosts_make(world: World) -> None:
    """Make one or two sealing hosts, a prover and two stores for each tenant."""
    rows = []
    for place, tenant in enumerate(world.tenants):
        sealers = [f"{tenant.name}-sealer-{number + 1}" for number in range(2 if place < 4 else 1)]
        rows += [_host(world, tenant, name, seals=True) for name in sealers]
        rows.append(_host(world, tenant, f"{tenant.name}-prover", seals=False))
    rows_write(Worker, rows)
    world.hosts = [one for one in rows if JobKind.SEAL in one.kinds]
    world.provers = [one for one in rows if JobKind.SEAL not in one.kinds]
    if len(world.hosts) > STOPPED:
        stopped = world.hosts[STOPPED]
        stopped.seen_at = world.now - STOPPED_FOR
        stopped.last_error = quoted("PC2 failed: no answer of GPU 1 for 600 s", by="host")
        stopped.save()
    if len(world.hosts) > STOPPED + 2:
        world.hosts[-1].is_paused = True
        world.hosts[-1].save()
    rows_write(
        HostReport,
        [
            HostReport(
                worker=one,
                log=[
                    f"{world.now:%H:%M}:{second:02d} heartbeat answered in 4 ms" for second in range(0, 50, 5)
                ],
                log_at=world.now,
            )
            for one in rows
        ],
    )


def _host(world: World, tenant: Any, name: str, *, seals: bool) -> Worker:
    number = next(world.numbers)
    kinds = (
        [JobKind.SEAL, JobKind.UNSEAL, JobKind.SNAP_UP, JobKind.REBUILD]
        if seals
        else [
            JobKind.WINDOW_POST,
            JobKind.SECTOR_CHECK,
        ]
    )
    return Worker(
        uuid=world.uuid(),
        tenant=tenant,
        uid=f"made-up-{number}",
        boot_id=f"boot-{number}",
        name=name,
        host=name,
        version=VERSION,
        kinds=[str(kind) for kind in kinds],
        slots=dict(SLOTS) if seals else {},
        group="racks" if seals else "",
        hardware=hardware(world, seals=seals),
        registered_at=world.now - timedelta(days=4 + number % 40),
        seen_at=world.now,
        restarts=number % 3,
    )


def stores_make(world: World) -> None:
    """Make two stores for each tenant, which its hosts and its prover read."""
    rows, attachments, events = [], [], []
    for tenant in world.tenants:
        for number in range(2):
            store = Store(
                uuid=world.uuid(),
                tenant=tenant,
                uid=f"store-{tenant.name}-{number + 1}",
                name=f"{tenant.name}-store-{number + 1}",
                labels=["hdd"],
                rules={"weight": 1, "can_store": True},
                told_at=world.now,
                sampled_at=world.now,
            )
            rows.append(store)
    world.stores = rows_write(Store, rows)
    for place, store in enumerate(world.stores):
        of = [one for one in (*world.hosts, *world.provers) if one.tenant_id == store.tenant_id]
        since = world.now - timedelta(days=world.scale.days)
        for worker in of:
            condition = StoreCondition.FULL if place == FULL else StoreCondition.READY
            attachments.append(
                StoreAttachment(
                    store=store,
                    worker=worker,
                    path=f"/mnt/{store.name}",
                    disk=f"md{place % 2}",
                    condition=condition,
                    reason=quoted(NO_ROOM, by="host") if place == FULL else "",
                    since=world.now - timedelta(hours=5) if place == FULL else since,
                )
            )
            worker.stores = [*worker.stores, store.name]
        events.append(StoreEvent(store=store, at=since, event="ATTACHED", actor=of[0].name if of else ""))
        if place == FULL and of:
            events.append(
                StoreEvent(store=store, at=world.now - timedelta(hours=5), event="FULL", actor=of[0].name)
            )
    rows_write(StoreAttachment, attachments)
    rows_write(StoreEvent, events)
    Worker.objects.bulk_update([*world.hosts, *world.provers], ["stores"])


def stores_fill(world: World) -> None:
    """Write how much lies in each store, now and in samples of the last week."""
    samples = []
    for place, store in enumerate(world.stores):
        held = [
            one for one in world.sectors if one.store == store.name and one.miner.tenant_id == store.tenant_id
        ]
        used = len(held) * 32 * GIB
        store.sectors = len(held)
        store.total_bytes = used + 20 * GIB if place == FULL else max(20 * TIB, used * 3 // 2)
        store.free_bytes = store.total_bytes - used
        store.disk_bytes, store.disk_free_bytes = store.total_bytes, store.free_bytes
        a_day = max(used // world.scale.days // 3, GIB)
        samples += [
            StoreSample(
                store=store,
                at=world.now - timedelta(hours=hour),
                used_bytes=max(used - (0 if place == FULL and hour < 5 else a_day * hour // 24), 0),
            )
            for hour in range(7 * 24, -1, -1)
        ]
    fields = ["sectors", "total_bytes", "free_bytes", "disk_bytes", "disk_free_bytes"]
    Store.objects.bulk_update(world.stores, fields)
    rows_write(StoreSample, samples)
