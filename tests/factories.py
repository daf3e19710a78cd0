"""Rows for the tests as plain functions with keyword overrides; each makes what it needs and no more."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar
from uuid import uuid4

from apps.chain.models import Follower, Head, Network, Node
from apps.chain.states import NodeCondition
from apps.core.clock import now
from apps.gateway.models import ProverConnection, SignerConnection, SignerKey
from apps.market.models import Deal
from apps.market.states import DealDoor, DealSource, DealState
from apps.messages.models import ApprovalRule, AutoBumpRule, GasGuard, GasSpend, Message, Sender
from apps.messages.states import MessageState, Wait
from apps.miners.models import Miner, MinerDay, Role
from apps.miners.states import EXCLUSIVE_ROLES, ROLE_LEASE_S, MinerState, RoleState
from apps.pieces.data.files import piece_path
from apps.pieces.models import Piece
from apps.pieces.states import UNCOMMITTED, PieceState
from apps.proving.models import Deadline, Partition
from apps.proving.states import Forecast
from apps.sectors.models import Batch, HostReport, Job, JobEvent, Sector, Store, StoreAttachment, Worker
from apps.sectors.states import BatchKind, BatchState, JobState
from apps.users.services.grants import signer_grant
from apps.wallets.models import SignRecord, Wallet
from poolsite.filecoin.address import bls_address, id_address, secp256k1_address
from poolsite.filecoin.cids import cid_of_cbor, commd_cid
from poolsite.filecoin.piece_cids import SizedPiece
from poolsite.filecoin.sector import RegisteredPoStProof, RegisteredSealProof
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import NEXT_STAGE, Owner, SectorState, stage_rank
from poolsite.wire.stores import StoreCondition
from tests.fake_node import FakeNode, Refusal, served
from tests.people import tenant

NETWORK = "localnet-poolsite-test"
FIL = 10**18
SECTOR_BYTES = 2048
DEPOSIT = FIL // 20
PLEDGE = FIL // 10
"""What `MinerNode` asks for a sector."""
counter = itertools.count(10_000)  # above every number that a test names itself


def network(name: str = NETWORK, **overrides: Any) -> Network:
    """The network that this pool is bound to; made once."""
    row = Network.objects.first()
    return row if row is not None else Network.objects.create(name=name, genesis="genesis", **overrides)


def head(height: int = 1000, **overrides: Any) -> Head:
    """The newest head, which came just now."""
    network()
    at = overrides.pop("arrived_at", now())
    data = {
        "key": cid(f"head {height}"),
        "height": height,
        "cids": [cid(f"head {height}")],
        "parent_key": cid(f"head {height - 1}"),
        "timestamp": int(at.timestamp()),
        "base_fee": 100,
        "arrived_at": at,
        **overrides,
    }
    row = Head.objects.update_or_create(key=data.pop("key"), defaults=data)[0]
    follower = Follower.objects.first() or Follower()
    follower.head = row
    follower.save()
    return row


def cid(text: str) -> str:
    """A CID that belongs to `text` alone."""
    return str(cid_of_cbor(text.encode()))


def bls(number: int) -> str:
    """The address of a BLS key that nobody has."""
    return str(bls_address(number.to_bytes(48, "big")))


def secp(number: int) -> str:
    """The address of a secp256k1 key that nobody has."""
    return str(secp256k1_address(b"\x04" + number.to_bytes(64, "big")))


def wallet(address: str | None = None, *, of: str = "alice", **overrides: Any) -> Wallet:
    """An address whose signer is connected, granted to its tenant."""
    key = address or bls(next(counter))
    data = {
        "account": of,
        "key_type": "bls" if key.startswith("f3") else "secp256k1",
        "label": "worker",
        "balance": 25 * FIL,
        "actor_id": 1000 + next(counter),
        "nonce": 4,
        "seen_at": now(),
        "checked_at": now(),
        **overrides,
    }
    signer_grant(tenant=tenant(of), address=key)
    return Wallet.objects.create(address=key, tenant=tenant(of), **data)


def signer_connection(address: str = "", *, of: str = "alice", **overrides: Any) -> SignerConnection:
    """A wallet that is connected; with `address`, it proved this key."""
    data = {
        "accounts": [of],
        "source": "127.0.0.1:40001",
        "process": "web",
        "created_at": now(),
        "seen_at": now(),
        **overrides,
    }
    row = SignerConnection.objects.create(tenant=tenant(of), **data)
    if address:
        signer_key(address, row)
    return row


def signer_key(address: str, connection: SignerConnection, *, label: str = "") -> SignerKey:
    """A key that a connected wallet has proved."""
    return SignerKey.objects.create(
        address=address, tenant=connection.tenant, connection=connection, label=label, verified_at=now()
    )


def prover_connection(actor_id: int, *, of: str = "alice", **overrides: Any) -> ProverConnection:
    """A miner's prover that is connected."""
    data = {"process": "web", "created_at": now(), "seen_at": now(), **overrides}
    return ProverConnection.objects.create(tenant=tenant(of), actor_id=actor_id, **data)


def sign_record(address: str, *, of: str = "alice", **overrides: Any) -> SignRecord:
    """A signature that was asked for."""
    data = {
        "at": now(),
        "what": "message: Send to f01000",
        "cid": cid(f"signed {next(counter)}"),
        "asked_by": "messager",
        "ms": 31,
        **overrides,
    }
    return SignRecord.objects.create(address=address, tenant=tenant(of), **data)


def miner(actor_id: int | None = None, *, of: str = "alice", **overrides: Any) -> Miner:
    """A miner that exists on the chain, without power."""
    number = next(counter)
    data = {
        "name": f"{of}-{number}",
        "state": MinerState.ACTIVE,
        "actor_id": actor_id if actor_id is not None else 2000 + number,
        "owner": bls(1),
        "worker": bls(1),
        "control": [],
        "seal_proof": RegisteredSealProof.STACKED_DRG_2KIB_V1_1,
        "post_proof": RegisteredPoStProof.WINDOW_2KIB_V1_1,
        "sector_size": SECTOR_BYTES,
        "partition_sectors": 2,
        "balance": 5 * FIL,
        "available": 3 * FIL,
        "proving_period_start": 960,
        "refreshed_height": 1000,
        **overrides,
    }
    return Miner.objects.create(tenant=tenant(of), **data)


def miner_day(of: Miner, **overrides: Any) -> MinerDay:
    """What a miner held as today began: nothing."""
    held = ("balance", "available", "pledge", "deposits", "locked", "fee_debt")
    at = overrides.get("began_at", now())
    data = {"day": at.date(), "began_at": at, "height": 900, **dict.fromkeys(held, 0), **overrides}
    return MinerDay.objects.create(miner=of, **data)


def deadline(of: Miner, index: int = 0, *, live: int = 0, **overrides: Any) -> Deadline:
    """One deadline of the test network's period that started at epoch 960: windows of 10 epochs."""
    opens = overrides.pop("open_epoch", 960 + 10 * index)
    data = {
        "period_start": 960,
        "open_epoch": opens,
        "close_epoch": opens + 10,
        "challenge_epoch": opens - 2,
        "cutoff_epoch": opens - 15,
        "partitions_count": 1 if live else 0,
        "live": live,
        "active": live,
        "forecast": Forecast.LATER if live else Forecast.NOTHING,
        **overrides,
    }
    return Deadline.objects.create(miner=of, index=index, **data)


def partition(of: Deadline, **overrides: Any) -> Partition:
    """One partition of a deadline, with the numbers of its sectors."""
    return Partition.objects.create(deadline=of, **{"index": 0, **overrides})


def deadlines(of: Miner, *, live: dict[int, str], count: int = 6) -> list[Deadline]:
    """All deadlines of a miner; `live` says which have a sector, with their forecast."""
    return [
        deadline(of, index, live=1, forecast=live[index], reason=f"because of {index}")
        if index in live
        else deadline(of, index)
        for index in range(count)
    ]


def role(of: Miner, host: str, kind: str, *, is_held: bool = True, **data: Any) -> Role:
    """A host's role, given just now; `is_held` under a lease that began with it."""
    lease = now() + timedelta(seconds=ROLE_LEASE_S) if is_held and kind in EXCLUSIVE_ROLES else None
    fields = {"since": now(), "heard_at": now(), "token": 1 if is_held else 0, "lease_until": lease, **data}
    state = RoleState.HELD if is_held else RoleState.STANDBY
    return Role.objects.create(miner=of, host=host, kind=kind, **{"state": state, **fields})


def worker(name: str = "", *, of: str = "alice", **overrides: Any) -> Worker:
    """A sealing host's worker that was heard of just now."""
    number = next(counter)
    data = {
        "uid": f"uid-{number}",
        "boot_id": f"boot-{number}",
        "host": f"host-{number}",
        "version": "0.1",
        "kinds": [JobKind.SEAL],
        "slots": {"pc1": 1},
        "hardware": {
            "cpus": 2,
            "ram_bytes": 8 << 30,
            "disk_free_bytes": 90 << 30,
            "disk_total_bytes": 1 << 37,
        },
        "registered_at": now(),
        "seen_at": now(),
        **overrides,
    }
    return Worker.objects.create(tenant=tenant(of), name=name or f"sealer-{number}", **data)


def measured_hardware(*, reads_s: int = 14_400_000, nodes_s: int = 1_161_000, **more: Any) -> dict[str, Any]:
    """Hardware of 64 cores and two drives that were measured; the layers of 128 sectors take 2.8 hours."""
    return {
        "cpus": 64,
        "ram_bytes": 512 << 30,
        "disk_free_bytes": 90 << 30,
        "disk_total_bytes": 1 << 37,
        "drives_measured": {
            "drives": ["/mnt/nvme1", "/mnt/nvme2"],
            "at": 1_790_000_000,
            "room_bytes": 60 << 40,
            "pages": [
                {"sectors": size, "reads_s": reads_s, "nodes_s": nodes_s, "read_ns": 0}
                for size in (16, 32, 64, 128)
            ],
            **more,
        },
    }


def host_report(worker: Worker) -> None:
    """A host's report: two settings and a line of its log."""
    HostReport.objects.create(
        worker=worker,
        settings=[
            {"key": "slots.PC1", "value": "1", "origin": "default"},
            {"key": "sector_room_bytes", "value": str(16 << 30), "origin": "proposed"},
        ],
        log=["one <b>line</b>"],
        log_at=now(),
    )


def store(worker: Worker, name: str = "store", **overrides: Any) -> Store:
    """A store of 1 TiB, half full, that a worker has attached."""
    sizes = {"total_bytes": 1 << 40, "free_bytes": 1 << 39, "sectors": 3, "told_at": now()}
    data: dict[str, Any] = {"uid": f"uid-{name}", "rules": {"weight": 1, "can_store": True}} | sizes
    condition = overrides.pop("condition", StoreCondition.READY)
    made, _ = Store.objects.get_or_create(tenant=worker.tenant, name=name, defaults=data | overrides)
    StoreAttachment.objects.create(
        store=made, worker=worker, path=f"/mnt/{name}", condition=condition, since=now()
    )
    worker.stores = [*worker.stores, name]
    worker.save()
    return made


def sealed_piece(piece: Piece, *, store: str = "store") -> Piece:
    """Keep a piece in a proven sector alone, whose files a host has."""
    number = next(counter)
    roots: dict[str, Any] = {"comm_d": bytes(32), "comm_r": bytes(32), "ticket": bytes(32)}
    sector(piece.miner, number=number, state="PROVING", store=store, **roots)
    worker(stores=[store], of=piece.miner.tenant.name)
    Piece.objects.filter(pk=piece.pk).update(state="ACTIVE", has_data=False, sector_number=number, offset=0)
    piece.refresh_from_db()
    return piece


def proof_job(of: Miner, *, worker: Worker | None, **overrides: Any) -> Job:
    """A WindowPoSt that a prover is at."""
    data = {
        "kind": JobKind.WINDOW_POST,
        "state": JobState.LEASED,
        "stage": "WINDOW_POST",
        "worker": worker,
        "lease_s": 15,
        "lease_until": now() + timedelta(seconds=15),
        **overrides,
    }
    return Job.objects.create(miner=of, **data)


def batch(of: Miner, kind: str = BatchKind.PRE_COMMIT, **overrides: Any) -> Batch:
    """Sectors that go to the chain together."""
    key = uuid.uuid4()
    data = {
        "uuid": key,
        "kind": kind,
        "state": BatchState.SENT,
        "message_id": f"{kind}:{key}",
        "closed_height": 990,
        "sender": of.worker,
        "method": 28,
        "params": b"",
        **overrides,
    }
    return Batch.objects.create(miner=of, **data)


def sector(
    of: Miner, *, state: str = SectorState.ALLOCATED, held_by: Worker | None = None, **data: Any
) -> Sector:
    """A sector in any state with its job; `held_by` works on it."""
    step = NEXT_STAGE[state]
    fields = {
        "number": next(counter),
        "state": state,
        "stage_since": now(),
        "seal_proof": of.seal_proof,
        "sector_size": of.sector_size,
        **data,
    }
    row = Sector.objects.create(miner=of, tenant_id=of.tenant_id, **fields)
    Job.objects.create(
        kind=JobKind.SEAL,
        miner=of,
        sector=row,
        state=_job_state(row, step.owner, held_by),
        stage=step.stage,
        rank=stage_rank(step.stage),
        worker=held_by,
        sticky_worker=held_by,
        lease_s=90,
        lease_until=now() + timedelta(seconds=90) if held_by is not None else None,
    )
    return row


def piece_cid(seed: int) -> str:
    """Return a piece commitment that belongs to no data."""
    return str(commd_cid(bytes([seed % 256]) * 31 + b"\x01"))


def piece(of: Miner, *, state: str = PieceState.READY, **data: Any) -> Piece:
    """A piece in any state; its bytes are not there."""
    return Piece.objects.create(miner=of, **piece_fields(state=state, **data))


def piece_fields(*, state: str = PieceState.READY, **data: Any) -> dict[str, Any]:
    """What is in the row of such a piece, but for its miner."""
    number = next(counter)
    return {
        "piece_cid": "" if state in UNCOMMITTED else piece_cid(number),
        "padded_size": 128,
        "payload_size": 100,
        "received": 100,
        "state": state,
        "state_since": now(),
        **data,
    }


def deal(of: Miner, sized: SizedPiece, **data: Any) -> Deal:
    """A deal about data of this commitment, accepted a moment ago; its client uploads them."""
    return Deal.objects.create(
        miner=of,
        **{
            "uuid": uuid4(),
            "state": DealState.ACCEPTED,
            "state_since": now(),
            "door": DealDoor.MK20,
            "client": secp(5),
            "piece_cid": str(sized.cid),
            "padded_size": sized.padded_size,
            "raw_size": sized.payload_size,
            "duration": 600_000,
            "source": DealSource.PUT,
            "data_until": now() + timedelta(days=7),
            **data,
        },
    )


def stored_piece(of: Miner, **data: Any) -> Piece:
    """A piece with a file of its size in `settings.PIECES_DIR`."""
    row = piece(of, **data)
    piece_path(row).write_bytes(bytes(row.payload_size or 0))
    return row


def _job_state(row: Sector, owner: Owner, held_by: Worker | None) -> str:
    if row.paused_at is not None:
        return JobState.PAUSED
    if owner is Owner.NOBODY:
        return JobState.FAILED if row.state == SectorState.ABORTED else JobState.DONE
    if owner is Owner.CONSOLE:
        return JobState.WAITING
    return JobState.LEASED if held_by is not None else JobState.READY


def events(of: Sector, steps: Sequence[tuple[str, str, float]], **overrides: Any) -> list[JobEvent]:
    """A sector's way: event, ended stage, and how many seconds each took, from its pledge on."""
    at, before, rows = of.created_at, str(SectorState.ALLOCATED), []
    for event, stage, took_s in steps:
        at += timedelta(seconds=took_s)
        data = {
            "event": event,
            "stage": stage,
            "from_state": before,
            "to_state": before,
            "at": at,
            "ms": int(took_s * 1000),
            "actor": "sealer-1",
            **overrides,
        }
        rows.append(JobEvent(job=of.job, **data))
    return JobEvent.objects.bulk_create(rows)


def message(
    id: str = "", *, of: str = "alice", state: str = MessageState.UNFILLED, **overrides: Any
) -> Message:
    """A message in any state, with what such a one has of nonce, gas, CID and receipt."""
    number = next(counter)
    data: dict[str, Any] = {
        "pushed_by": of,
        "to": str(id_address(1000)),
        "from_addr": bls(1),
        "value": 0,
        "method": 0,
    }
    if state in (MessageState.FILLED, MessageState.LANDED, MessageState.REPLACED):
        data |= {
            "nonce": number,
            "gas_limit": 1_500_000,
            "gas_fee_cap": 200_000_000,
            "gas_premium": 100_000,
            "cid": cid(f"message {number}"),
            "unsigned_cid": cid(f"unsigned {number}"),
            "filled_at": now(),
            "published_at": now(),
            "wait": Wait.IN_POOL if state == MessageState.FILLED else Wait.NONE,
        }
    if state == MessageState.LANDED:
        data |= {"height": 990, "exit_code": 0, "gas_used": 1_201_344, "landed_at": now()}
    name = id or f"message-{number}"
    named = {"id": name, "push_id": name, "tenant": tenant(of), "state": state}
    return Message.objects.create(**(named | data | overrides))


def sender(address: str, **overrides: Any) -> Sender:
    """An address that messages are sent from."""
    data = {"next_nonce": 5, "chain_nonce": 3, "balance": 25 * FIL, **overrides}
    return Sender.objects.update_or_create(address=address, defaults=data)[0]


def spend(address: str, *, of: str = "alice", days_ago: int = 0, **overrides: Any) -> GasSpend:
    """What messages that landed on one day cost."""
    data = {
        "day": (now() - timedelta(days=days_ago)).date(),
        "method": 0,
        "messages": 4,
        "gas_used": 4 * 1_201_344,
        "cost": 48 * 10**13,
        **overrides,
    }
    return GasSpend.objects.create(from_addr=address, tenant=tenant(of), **data)


def approval_rule(*, of: str | None = None, **overrides: Any) -> ApprovalRule:
    """A rule that makes messages wait for a second person; without a tenant it is for all."""
    owner = None if of is None else tenant(of)
    return ApprovalRule.objects.create(**{"tenant": owner, "created_by": "ann", **overrides})


def guard(*, of: str | None = None, **overrides: Any) -> GasGuard:
    """A gas guard; without a tenant it is everybody's."""
    return GasGuard.objects.create(tenant=None if of is None else tenant(of), **overrides)


def auto_bump(*, of: str = "alice", **overrides: Any) -> AutoBumpRule:
    """When a tenant's proofs pay more."""
    return AutoBumpRule.objects.create(tenant=tenant(of), **overrides)


class MinerNode(FakeNode):
    """A node that also knows which sector numbers a miner has used, none, and what a sector costs."""

    strange_miners: ClassVar[dict[str, int]] = {
        "f03003": RegisteredPoStProof.WINDOW_2KIB_V1_1,
        "f03004": RegisteredPoStProof.WINDOW_32GIB_V1_1,
    }
    """Miners that the pool does not have, with how they prove."""
    strange_sectors = 3
    """That live, of each."""

    def do_StateMinerAllocated(self, _address: str, _key: Any) -> Any:
        return [0]

    def do_StateMinerPreCommitDepositForPower(self, _address: str, _info: Any, _key: Any) -> Any:
        return str(DEPOSIT)

    def do_StateMinerInitialPledgeForSector(self, _life: int, _size: int, _verified: int, _key: Any) -> Any:
        return str(PLEDGE)

    def do_StateMinerCreationDeposit(self, _key: Any) -> Any:
        return str(FIL)

    def do_StateMinerInfo(self, address: str, _key: Any) -> Any:
        if address not in self.strange_miners:
            raise Refusal(f"failed to load miner actor: actor not found: {address}")
        return {"SectorSize": SECTOR_BYTES, "WindowPoStProofType": self.strange_miners[address]}

    def do_StateMinerSectorCount(self, _address: str, _key: Any) -> Any:
        return {"Live": self.strange_sectors, "Active": 0, "Faulty": 0}

    def do_StateVMCirculatingSupplyInternal(self, _key: Any) -> Any:
        return {"FilCirculating": str(800_000_000 * FIL)}


@contextmanager
def node_served(answering: MinerNode | None = None) -> Iterator[MinerNode]:
    """A node that answers the console while the block lasts."""
    answering = answering or MinerNode()
    with served(answering) as url:
        Node.objects.create(url=url, name="tiny", condition=NodeCondition.HEALTHY)
        yield answering
