"""A pool in the middle of its work: every state that a page can show, for two tenants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.urls import reverse

from apps.blocks.models import BillingTerms, Charge, Statement
from apps.blocks.states import ChargeKind
from apps.checks.models import Alert, AlertChannel, Notification
from apps.checks.states import AlertEvent, ChannelKind
from apps.core.clock import now
from apps.core.marked_texts import gettext
from apps.market.models import Deal
from apps.messages.models import Message
from apps.messages.states import MessageState, SenderState, Wait
from apps.miners.models import Miner
from apps.miners.reasons import LEASE_EXPIRED
from apps.miners.states import RoleKind
from apps.pieces.models import Piece
from apps.proving.models import Deadline
from apps.proving.states import Forecast
from apps.sectors.models import (
    HostReport,
    NumberReservation,
    SealTarget,
    Sector,
    SharedSettings,
    Store,
    StoreFinding,
    StoreScan,
    Worker,
)
from apps.sectors.states import BatchKind, BatchState, FindingKind, ScanState
from apps.users.rules.encryption import text_encrypt
from apps.wallets.models import Wallet
from poolsite.filecoin.address import id_address
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from tests import factories, verified_rows
from tests.mk20 import sized

STEPS = (
    ("ADD_PIECE", "ADD_PIECE", 0.4),
    ("BUILD_TREE_D", "TREE_D", 0.3),
    ("ASSIGN_TICKET", "TICKET", 2.0),
    ("PC1", "PC1", 3.2),
    ("PC2", "PC2", 1.1),
    ("PERSIST", "PERSIST", 0.2),
    ("SEND_PRECOMMIT", "PRECOMMIT", 2.4),
    ("LAND_PRECOMMIT", "PRECOMMIT_WAIT", 4.1),
    ("ASSIGN_SEED", "WAIT_SEED", 6.0),
    ("C1", "C1", 1.5),
    ("C2", "C2", 0.8),
    ("SEND_COMMIT", "COMMIT", 2.2),
    ("LAND_COMMIT", "COMMIT_WAIT", 4.0),
    ("FINALIZE", "FINALIZE", 0.3),
)
"""A sector's whole way with the seconds of each step."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The rows of one tenant."""

    miner: Miner
    wallet: Wallet
    sealer: Worker
    active: Sector
    sealing: Sector
    paused: Sector
    faulty: Sector
    waiting: Sector
    landed: Message
    flying: Message
    stuck: Message
    refused: Message
    piece: Piece
    deal: Deal
    store: Store
    mirror: Store
    statement: Statement


def busy_pool(of: str = "alice", *, key: int = 1, actor_id: int = 2001) -> Pool:
    """Everything that can be on the pages, for the tenant `of`, at epoch 1000 of the test network."""
    factories.head(1000)
    owner, control = factories.bls(100 + key), factories.secp(200 + key)
    wallet = factories.wallet(owner, of=of, label=f"{of} worker")
    factories.wallet(control, of=of, label=f"{of} control", balance=3 * 10**16, seen_at=None)
    miner = factories.miner(
        actor_id,
        of=of,
        name=f"{of}-main",
        owner=owner,
        worker=owner,
        control=[control],
        raw_power=3 * 2048,
        qa_power=3 * 2048,
        live_sectors=3,
        active_sectors=2,
        faulty_sectors=1,
        pledge=4 * 10**17,
        deposits=39 * 10**15,
    )
    factories.miner_day(miner, began_at=now() - timedelta(days=1), height=800, balance=4 * 10**18)
    factories.miner_day(miner, balance=45 * 10**17, received=10**17)
    SealTarget.objects.create(miner=miner, in_work=3, since=now(), look_at=now())
    rows = factories.deadlines(
        miner,
        live={
            0: Forecast.LANDED,
            1: Forecast.MISSED,
            3: Forecast.LANDED,
            4: Forecast.WILL_LAND,
            5: Forecast.LATER,
        },
    )
    Deadline.objects.filter(pk=rows[1].pk).update(faulty=1)
    factories.partition(rows[1], all_sectors=[1], live=[1], faulty=[1])
    hardware = factories.measured_hardware() | {"batch_size": {"sectors": 128, "why": "best"}}
    sealer = factories.worker(f"{of}-sealer", of=of, hardware=hardware)
    prover = factories.worker(f"{of}-prover", of=of, kinds=[JobKind.WINDOW_POST])
    store = factories.store(sealer)
    factories.store(prover)
    mirror = factories.store(sealer, "mirror")
    factories.worker(f"{of}-old", of=of, seen_at=now() - timedelta(hours=1), is_draining=True)
    seen = now() + timedelta(hours=1)  # still connected when a slow test looks
    factories.signer_connection(owner, of=of, requests=1204, p50_ms=11.8, p99_ms=40.2, seen_at=seen)
    failed = {"failures": 1, "last_failure": "no answer in time"}
    factories.prover_connection(actor_id, of=of, requests=3, seen_at=seen, **failed)
    for number in range(3):
        error = "the policy forbids this method" if number == 1 else ""
        factories.sign_record(owner, of=of, what=f"message: {number}", error=error)
    messages = _messages(of, miner, wallet)
    _senders_and_gas(of, miner, wallet, control)
    named = {name: messages[name] for name in ("landed", "flying", "stuck", "refused")}
    _roles(miner)
    piece = factories.piece(miner)
    answered = gettext("the source answered {status}").format(status=404)
    for state, reason in (("REFUSED", "provider is disabled"), ("FAILED", answered)):
        factories.deal(miner, sized(b"x" * 1000), state=state, reason=reason)
    deal = factories.deal(miner, sized(b"y" * 1000), state="TRANSFERRING", start_epoch=5000)
    verified_rows.allocation(miner)
    verified_rows.claim(miner)
    sectors = _sectors(miner, sealer)
    known = ((sectors["active"].number, 2048), (97, 4096))
    HostReport.objects.create(
        worker=sealer,
        settings=_settings(sealer),
        leftovers=[
            {"miner_id": actor_id, "number": number, "folder": "/nvme1/sealing", "size": size}
            for number, size in known
        ],
    )
    _scans(sealer, store, mirror, whole=sectors["active"], missing=sectors["faulty"])
    return Pool(
        miner=miner,
        wallet=wallet,
        sealer=sealer,
        store=store,
        mirror=mirror,
        piece=piece,
        deal=deal,
        statement=_charges(miner, month=date(2026, 1 + key % 10, 1)),
        **sectors,
        **named,
    )


def _charges(miner: Miner, *, month: date) -> Statement:
    """A closed month of its tenant, and what came after it."""
    tenant, by = miner.tenant, {"miner": miner, "miner_address": miner.address}
    terms = BillingTerms.objects.create(
        tenant=tenant,
        from_day=month,
        reward_percent=Decimal("12.5"),
        power_price=10**16,
        monthly_sum=3 * 10**18,
        actor="olga",
        created_at=now(),
    )
    row = Statement.objects.create(tenant=tenant, month=month, total=351 * 10**16, closed_at=now())
    lines: list[dict[str, Any]] = [
        {"kind": ChargeKind.REWARDS, "basis": 4 * 10**18, "amount": 5 * 10**17, "unknown_blocks": 1, **by},
        {"kind": ChargeKind.POWER, "basis": 1 << 40, "amount": 10**16, **by},
        {"kind": ChargeKind.POWER, "day": month + timedelta(days=1), "amount": 0, **by},
        {"kind": ChargeKind.MONTHLY, "basis": 31, "amount": 3 * 10**18},
        {"kind": ChargeKind.CORRECTION, "terms": None, "amount": 0, "note": f"outage of {tenant.name}"},
    ]
    for line in lines:
        Charge.objects.create(**{"tenant": tenant, "statement": row, "day": month, "terms": terms, **line})
    later = {"kind": ChargeKind.POWER, "day": now().date(), "basis": 1 << 40, "amount": 10**16}
    Charge.objects.create(tenant=tenant, terms=terms, **later, **by)
    return row


def _roles(miner: Miner) -> None:
    """Two hosts that share a miner's work, one of them on standby and not heard of."""
    factories.role(miner, "rack-a", RoleKind.WINDOW, note="assigned")
    factories.role(miner, "rack-a", RoleKind.WINNING, note=LEASE_EXPIRED(host="rack-b"))
    factories.role(miner, "rack-b", RoleKind.WINDOW, is_held=False)
    factories.role(miner, "rack-b", RoleKind.WINNING, is_held=False, heard_at=None)
    factories.role(miner, "rack-b", RoleKind.SEAL)
    NumberReservation.objects.create(
        miner=miner, name="lotus-sealer", runs=[100, 100], count=100, last=199, actor="ann"
    )


def _scans(host: Worker, store: Store, mirror: Store, *, whole: Sector, missing: Sector) -> None:
    """A scan that found something of each kind, and one that a host is at."""
    StoreScan.objects.create(store=store, worker=host, state=ScanState.DONE, known=1)
    for kind, name, sector, size in (
        (FindingKind.ELSEWHERE, "s-t02001-0", whole, 2048),
        (FindingKind.MISSING, "s-t02001-1", missing, 0),
        (FindingKind.UNKNOWN, "s-t02001-99", None, 2048),
        (FindingKind.HALF, "s-t02001-98", None, 1024),
        (FindingKind.OTHER, "lost+found", None, 0),
    ):
        StoreFinding.objects.create(store=store, kind=kind, name=name, sector=sector, size=size)
    StoreScan.objects.create(store=mirror, worker=host)


def _messages(of: str, miner: Miner, wallet: Wallet) -> dict[str, Any]:
    to = str(id_address(miner.actor_id or 0))
    mine = {"of": of, "from_addr": wallet.address}
    return {
        "landed": factories.message(
            f"{of}-landed", state=MessageState.LANDED, nonce=1, to=to, method=5, **mine
        ),
        "refused": factories.message(
            f"{of}-refused", state=MessageState.LANDED, nonce=2, to=to, method=28, exit_code=16, **mine
        ),
        "flying": factories.message(
            f"{of}/flying", state=MessageState.FILLED, nonce=4, to=to, method=28, kind="precommit", **mine
        ),
        "stuck": factories.message(
            f"{of}-stuck", value=10**30, wait=Wait.FUNDS, error="needs more than it has", to=to, **mine
        ),
        "given_up": factories.message(f"{of}-bad", state=MessageState.FAILED, error="marked bad", **mine),
        "replaced": factories.message(f"{of}-other", state=MessageState.REPLACED, nonce=3, **mine),
    }


def _senders_and_gas(of: str, miner: Miner, wallet: Wallet, control: str) -> None:
    """A sender with a gap in its lane, one that is paused, what they spent, and a guard."""
    factories.sender(wallet.address, chain_nonce=3, next_nonce=6, gap_nonce=5)
    factories.sender(control, state=SenderState.FORBIDDEN, balance=3 * 10**16)
    for day in range(3):
        to = miner.address
        factories.spend(wallet.address, of=of, days_ago=day, kind="precommit", method=28, to=to)
        factories.spend(wallet.address, of=of, days_ago=day)
    factories.guard(of=of, daily_budget=10**18, hold_base_fee=50, hold_epochs=120)
    factories.auto_bump(of=of)
    factories.approval_rule(of=of, actor="miner", method=23)


def _settings(sealer: Worker) -> list[dict[str, str]]:
    """Set one of each level, and return what the host reports of them and of its file."""
    SharedSettings.objects.get_or_create(tenant=None, defaults={"values": {"sealing.max_retries": "3"}})
    SharedSettings.objects.create(tenant=sealer.tenant, values={"slots.PC2": 2})
    sealer.settings = {"slots.C2": 2, "threads.1.seal_interval": "5min"}
    sealer.save(update_fields=["settings"])
    file = "/etc/poolsite/worker.toml"
    told = {
        "slots.PC1": ("4", "file"),
        "slots.PC2": ("2", "tenant"),
        "slots.C2": ("1", "proposed"),
        "sectors_max": ("0", "default"),
        "sector_room_bytes": (str(512 << 30), "proposed"),
        "sealing.max_retries": ("3", "pool"),
        "sealing.enable_deals": ("true", "default"),
        "threads.1.plan": ("sealer", "file of thread"),
        "threads.1.location": ("/nvme1/sealing", "file of thread"),
        "threads.1.seal_interval": ("5min", "thread"),
    }
    return [
        {"key": key, "value": value, "origin": origin, "file": file if "file" in origin else ""}
        for key, (value, origin) in told.items()
    ]


def _sectors(miner: Miner, sealer: Worker) -> dict[str, Any]:
    """One sector in each interesting state; numbers start at 0."""
    pledged = now() - timedelta(minutes=1)
    batches: dict[str, Any] = {
        "precommit_batch": factories.batch(miner, state=BatchState.LANDED),
        "commit_batch": factories.batch(miner, BatchKind.COMMIT, state=BatchState.LANDED),
    }
    rows = {
        "active": factories.sector(
            miner,
            number=0,
            state=SectorState.PROVING,
            active=True,
            active_since=now(),
            deadline=5,
            partition=0,
            ticket_epoch=930,
            seed_epoch=950,
            precommit_epoch=945,
            activation=960,
            expiration=520_000,
            initial_pledge=12 * 10**16,
            comm_d=bytes(32),
            comm_r=bytes(range(32)),
            store="store",
            **batches,
        ),
        "faulty": factories.sector(miner, number=1, state=SectorState.PROVING, deadline=1, partition=0),
        "unproven": factories.sector(miner, number=2, state=SectorState.PROVING, deadline=4, partition=0),
        "sealing": factories.sector(
            miner,
            number=3,
            state=SectorState.TICKET_ASSIGNED,
            held_by=sealer,
            ticket_epoch=990,
            progress_done=3,
            progress_total=8,
        ),
        "paused": factories.sector(
            miner,
            number=4,
            state=SectorState.PC1_DONE,
            paused_at=now(),
            attempts=4,
            error="no space left on the sealing disk",
            error_level="PERMANENT",
        ),
        "seed": factories.sector(miner, number=5, state=SectorState.PRECOMMIT_LANDED, precommit_epoch=999),
        "batch": factories.sector(miner, number=6, state=SectorState.C2_DONE, ready_height=1000),
        "waiting": factories.sector(miner, number=7, state=SectorState.ALLOCATED),
        "aborted": factories.sector(miner, number=8, state=SectorState.ABORTED),
    }
    for row in rows.values():
        type(row).objects.filter(pk=row.pk).update(created_at=pledged)
        row.created_at = pledged
    factories.events(rows["active"], STEPS)
    factories.events(rows["sealing"], STEPS[:3])
    factories.events(rows["paused"], STEPS[:4])
    factories.events(rows["paused"], [("FAIL", "PC2", 9.0)], is_error=True, note="no space left")
    return {name: rows[name] for name in ("active", "sealing", "paused", "faulty", "waiting")}


def alerts() -> None:
    """A channel with a notification that it did not take, and an alert that is open."""
    at = now()
    target = text_encrypt("https://chat.example/hooks/operators")
    channel = AlertChannel.objects.create(name="operators", kind=ChannelKind.WEBHOOK, target=target)
    found = {"title": "Every host sends heartbeats", "severity": "warning", "say": "alice-old offline"}
    alert = Alert.objects.create(check_name="hosts_away", count=1, began_at=at, since=at, **found)
    told = {"channel": channel, "alert": alert, "event": AlertEvent.STARTED, "text": found["say"]}
    Notification.objects.create(**told, body={}, created_at=at, next_try_at=at, attempts=3, error="no answer")


OBJECTS = (
    "tenant",
    "tenant-timeline",
    "miner-timeline",
    "wallet-name",
    "charges-tenant",
    "charges-unclosed",
    "statement",
    "statement-print",
    "store",
    "store-change",
    "store-adopt",
    "store-check",
    "store-leftovers",
    "host-drives",
    "host-leftovers",
    "host-setting",
    "store-redeclare",
    "store-scan",
    "store-forget",
    "miner",
    "miner-roles",
    "miner-market",
    "deal",
    "client",
    "proving-deadline",
    "proving-partition",
    "sector-active",
    "sector-sealing",
    "sector-paused",
    "sector-abort",
    "sender",
    "message-landed",
    "message-flying",
    "message-stuck",
    "message-approve",
    "message-mark-bad",
    "message-cancel",
)

LISTS = (
    "today",
    "blocks",
    "proving",
    "miners",
    "sectors",
    "sectors-expirations",
    "sectors-failures",
    "sealing",
    "planner",
    "pieces",
    "deals",
    "clients",
    "allocations",
    "claims",
    "messages",
    "messages-failures",
    "senders",
    "gas",
    "money",
    "charges",
    "statements",
    "wallets",
    "sign-records",
    "hosts",
    "stores",
    "store-moves",
    "roles",
    "chain",
    "gateway",
    "approvals",
    "offline",
    "tenants",
    "people",
    "tokens",
    "alerts",
    "alerts-history",
    "audit",
    "status",
)
FORMS = (
    "search",
    "scope",
    "miner-new",
    "pledge",
    "proving-settings",
    "message-compose",
    "gas-guard-new",
    "gas-auto-bump",
    "password",
    "account",
    "account-confirm",
    "store-attach",
    "host-settings",
)


def plain_addresses() -> dict[str, str]:
    """The pages that need no row: lists and forms."""
    return {name: reverse(name) for name in (*LISTS, *FORMS)}


def addresses(pool: Pool) -> dict[str, str]:
    """Every page by a name: lists and forms, and each object in its interesting states."""
    of = pool.miner.tenant
    return {
        **plain_addresses(),
        "sealing-slots": f"{reverse('sealing')}?host={pool.sealer.uuid}&idle=1",
        "sectors-in-scope": f"{reverse('sectors')}?tenant={of.name}&miner={pool.miner.address}",
        "miner": reverse("miner", args=[pool.miner.address]),
        "miner-roles": reverse("miner-roles", args=[pool.miner.address]),
        "miner-market": reverse("miner-market", args=[pool.miner.address]),
        "deal": reverse("deal", args=[pool.deal.uuid]),
        "client": reverse("client", args=[pool.deal.client]),
        "miner-addresses": reverse("miner-addresses", args=[pool.miner.address]),
        "miner-money": reverse("miner-money", args=[pool.miner.address]),
        "charges-tenant": reverse("charges-tenant", args=[pool.miner.tenant.uuid]),
        "tenant": reverse("tenant", args=[pool.miner.tenant.uuid]),
        "tenant-timeline": reverse("tenant-timeline", args=[pool.miner.tenant.uuid]),
        "miner-timeline": reverse("miner-timeline", args=[pool.miner.address]),
        "tenant-service": reverse("tenant-service", args=[pool.miner.tenant.uuid]),
        "charges-unclosed": reverse("charges-unclosed", args=[pool.miner.tenant.uuid]),
        "statement": reverse("statement", args=[pool.statement.uuid]),
        "statement-print": reverse("statement-print", args=[pool.statement.uuid]),
        "miner-withdraw": reverse("miner-withdraw", args=[pool.miner.address]),
        "claims-extend": reverse("claims-extend"),
        "miner-batches": reverse("miner-batches", args=[pool.miner.address]),
        "miner-senders": reverse("miner-senders", args=[pool.miner.address]),
        "miner-proving-settings": reverse("miner-proving-settings", args=[pool.miner.address]),
        "miner-adopt": reverse("miner-adopt", args=[pool.miner.address]),
        "miner-move-in": reverse("miner-move-in", args=[pool.miner.address]),
        "miner-move-out": reverse("miner-move-out", args=[pool.miner.address]),
        "miner-target": reverse("miner-target", args=[pool.miner.address]),
        "sectors-remove-files": reverse("sectors-remove-files"),
        "sectors-snap-up": f"{reverse('sectors-snap-up')}?id={pool.active.uuid}",
        "proving-deadline": reverse("proving-deadline", args=[pool.miner.address, 1]),
        "proving-partition": reverse("proving-partition", args=[pool.miner.address, 1, 0]),
        "sector-active": reverse("sector", args=[pool.active.uuid]),
        "sector-sealing": reverse("sector", args=[pool.sealing.uuid]),
        "sector-paused": reverse("sector", args=[pool.paused.uuid]),
        "sector-abort": reverse("sector-abort", args=[pool.paused.uuid]),
        "sector-chain": reverse("sector-chain", args=[pool.active.uuid]),
        "sector-restore": reverse("sector-restore", args=[pool.paused.uuid]),
        "sector-state-set": reverse("sector-state-set", args=[pool.paused.uuid]),
        "host": reverse("host", args=[pool.sealer.uuid]),
        "host-drives": reverse("host-drives", args=[pool.sealer.uuid]),
        "host-leftovers": reverse("host-leftovers", args=[pool.sealer.uuid]),
        "host-setting": reverse("host-setting", args=[pool.sealer.uuid]),
        "store": reverse("store", args=[pool.store.uuid]),
        "store-change": reverse("store-change", args=[pool.store.uuid]),
        "store-adopt": reverse("store-adopt", args=[pool.store.uuid]),
        "store-leftovers": reverse("store-leftovers", args=[pool.store.uuid]),
        "store-scan": reverse("store-scan", args=[pool.store.uuid]),
        "store-redeclare": reverse("store-redeclare", args=[pool.store.uuid]),
        "store-check": reverse("store-check", args=[pool.store.uuid]),
        "store-forget": reverse("store-forget", args=[pool.store.uuid]),
        "store-scanning": reverse("store", args=[pool.mirror.uuid]),
        "sender": reverse("sender", args=[pool.wallet.address]),
        **{
            f"trends-{kind}": reverse("trends", args=[kind, key])
            for kind, key in (
                ("miner", pool.miner.address),
                ("host", pool.sealer.uuid),
                ("store", pool.store.uuid),
                ("wallet", pool.wallet.address),
                ("gas", "all"),
                ("sealing", "all"),
            )
        },
        "wallet-name": reverse("wallet-name", args=[pool.wallet.address]),
        "message-landed": reverse("message", args=[pool.landed.id]),
        "message-flying": reverse("message", args=[pool.flying.id]),
        "message-stuck": reverse("message", args=[pool.stuck.id]),
        "message-approve": reverse("message-approve", args=[pool.stuck.id]),
        "message-mark-bad": reverse("message-mark-bad", args=[pool.stuck.id]),
        "message-cancel": reverse("message-cancel", args=[pool.flying.id]),
    }
