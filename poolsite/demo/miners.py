"""Miners with their grants, roles and deadlines, and what the chain says of the whole network."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

from apps.chain.models import Follower, Head, Network, Node
from apps.chain.states import NodeCondition, NodeRole
from apps.messages.models import Receiver, Tracker
from apps.miners.models import ChainRoots, Miner, MinerAddress, RewardEstimate, Role
from apps.miners.states import MinerState, RoleKind, RoleState, Use
from apps.sectors.models import SealTarget, SectorNumbers
from apps.users.models import MinerGrant
from apps.wallets.models import Wallet
from poolsite.demo.people import tenant_of_miner
from poolsite.demo.world import (
    CIRCULATING,
    DAY_EPOCHS,
    HEIGHT,
    NETWORK_POWER,
    ONLY,
    POST_PROOF,
    SEAL_PROOF,
    SECTOR_BYTES,
    WIN_REWARD,
    World,
    cid,
    rows_write,
)
from poolsite.filecoin.fixed_point import PRECISION
from poolsite.filecoin.policy import MADE_UP
from poolsite.filecoin.sizes import TIB

HEADS: Final = DAY_EPOCHS
FIRST_MINER: Final = 2_300_100
NODES: Final = (
    ("lotus-frankfurt", NodeRole.MAIN),
    ("lotus-singapore", NodeRole.BACKUP),
    ("forest", NodeRole.PUSH_ONLY),
)


def chain_make(world: World) -> None:
    """Make the network, nodes that look healthy, and the newest heads."""
    Network.objects.create(
        pk=ONLY, name=MADE_UP.name, genesis=cid("genesis"), version=MADE_UP.network_version
    )
    nodes = []
    for place, (name, role) in enumerate(NODES):
        nodes.append(
            Node(
                url=f"http://127.0.0.1:9/{name}/rpc/v1",  # nobody answers there
                name=name,
                position=place,
                role=role,
                is_configured=False,
                condition=NodeCondition.HEALTHY,
                version="1.34.1+mainnet+git" if place < 2 else "forest 0.30",
                head_height=HEIGHT,
                latency_ms=6.0 + 11 * place,
                probes=[6.0 + 11 * place + world.chance.random() * 9 for _ in range(60)],
                peers=180 - 40 * place,
                sync="complete",
                network_name=MADE_UP.name,
                network_version=MADE_UP.network_version,
                checked_at=world.now,
                detailed_at=world.now,
            )
        )
    world.nodes = rows_write(Node, nodes)
    heads = []
    for height in range(HEIGHT - HEADS, HEIGHT + 1):
        at = world.time_of(height)
        heads.append(
            Head(
                key=cid(f"head {height}"),
                height=height,
                cids=[cid(f"head {height}")],
                parent_key=cid(f"head {height - 1}"),
                timestamp=int(at.timestamp()),
                base_fee=world.base_fee(at),
                miners=[f"f0{3_000_000 + (height * 7 + one) % 900}" for one in range(2 + height % 6)],
                arrived_at=at + timedelta(seconds=4 + height % 5),
                is_after_gap=height == HEIGHT - HEADS,
            )
        )
    heads[-1].arrived_at = world.now
    rows_write(Head, heads)
    Follower.objects.create(pk=ONLY, head=heads[-1], steps_key=heads[-1].key, steps_epoch=HEIGHT)
    Tracker.objects.create(pk=ONLY, height=HEIGHT, key=heads[-1].key, version=1)
    RewardEstimate.objects.create(
        pk=ONLY,
        reward_position=5 * WIN_REWARD << PRECISION,
        reward_velocity=0,
        power_position=NETWORK_POWER << PRECISION,
        power_velocity=0,
        circulating=CIRCULATING,
        height=HEIGHT,
    )


def miners_make(world: World) -> None:
    """Make the miners, each with a worker's wallet of its own."""
    free = {
        tenant.pk: [one for one in world.wallets if one.tenant_id == tenant.pk] for tenant in world.tenants
    }
    rows = []
    for number in range(world.scale.miners):
        tenant = tenant_of_miner(world, number)
        worker = next(one for one in free[tenant.pk] if one.label.endswith(f"worker {number + 1:02d}"))
        owner, control = world.owners[tenant.pk], world.controls[tenant.pk]
        period = HEIGHT - (number * 397) % MADE_UP.proving_period
        row = Miner(
            uuid=world.uuid(),
            tenant=tenant,
            name=f"{tenant.name}-{number + 1:02d}",
            state=MinerState.ACTIVE,
            actor_id=FIRST_MINER + 17 * number,
            created_height=HEIGHT - (world.scale.days + 60) * DAY_EPOCHS,
            owner=owner.address,
            owner_id=owner.actor_id,
            beneficiary=owner.address,
            worker=worker.address,
            worker_id=worker.actor_id,
            control=[control.address],
            control_ids=[f"f0{control.actor_id}"],
            peer_id=f"12D3KooW{number:044d}",
            seal_proof=SEAL_PROOF,
            post_proof=POST_PROOF,
            sector_size=SECTOR_BYTES,
            partition_sectors=2_349,
            has_min_power=True,
            proving_period_start=period,
            current_deadline=(HEIGHT - period) // MADE_UP.proving.window,
            refreshed_height=HEIGHT,
        )
        rows.append(row)
        world.miners.append(row)
    rows_write(Miner, rows)
    for row in rows:
        world.workers[row.pk] = Wallet.objects.get(address=row.worker)
    rows_write(MinerGrant, [MinerGrant(actor_id=one.actor_id or 0, tenant=one.tenant) for one in rows])
    rows_write(
        Receiver, [Receiver(address=one.address, kind="miner", code=cid("miner code")) for one in rows]
    )
    rows_write(MinerAddress, [MinerAddress(miner=one, use=Use.POST, address=one.control[0]) for one in rows])
    rows_write(
        ChainRoots, [ChainRoots(miner=one, state=cid(f"state {one.pk}"), read_height=HEIGHT) for one in rows]
    )
    _roles(world)


def _roles(world: World) -> None:
    """Assign some of the first tenant's miners to its prover by name."""
    rows = []
    for miner in [one for one in world.miners if one.tenant_id == world.tenants[0].pk][:3]:
        prover = next(one for one in world.provers if one.tenant_id == miner.tenant_id)
        rows += [
            Role(
                uuid=world.uuid(),
                miner=miner,
                host=prover.host,
                kind=kind,
                state=RoleState.HELD,
                priority=10,
                token=3,
                lease_until=world.now + timedelta(seconds=30),
                since=world.now - timedelta(days=12),
                heard_at=world.now,
                note="assigned",
            )
            for kind in (RoleKind.WINDOW, RoleKind.WINNING)
        ]
    rows_write(Role, rows)


def targets_make(world: World) -> None:
    """Set a target of sealing for some miners, and each one's next number."""
    rows = []
    for place, miner in enumerate(world.miners[: max(len(world.miners) // 3, 1)]):
        rows.append(
            SealTarget(
                miner=miner,
                day_bytes=4 * SECTOR_BYTES if place % 2 else None,
                in_work=None if place % 2 else 4,
                power_max=20 * TIB if place % 3 == 0 else None,
                since=world.now - timedelta(days=30),
                look_at=world.now + timedelta(minutes=4),
            )
        )
    rows_write(SealTarget, rows)
    last: dict[int, int] = {}
    for sector in world.sectors:
        last[sector.miner_id] = max(last.get(sector.miner_id, -1), sector.number)
    rows_write(
        SectorNumbers,
        [SectorNumbers(miner=one, next_number=last.get(one.pk, -1) + 1) for one in world.miners],
    )


def shuffled(chance: random.Random, count: int, places: int) -> list[int]:
    """Return how many of `count` each of some places gets, none far from its share."""
    rest = [count // places] * places
    for place in chance.sample(range(places), count % places):
        rest[place] += 1
    return rest
