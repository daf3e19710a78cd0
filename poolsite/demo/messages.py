"""Messages: those that landed with what they cost, and some that wait, failed or were replaced."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Required, TypedDict, Unpack

from apps.automation.models import AutoAct, AutoRule
from apps.automation.reasons import NOT_CARRIED_OUT
from apps.automation.states import RuleKind
from apps.core.reasons import quoted
from apps.messages.models import (
    ApprovalRule,
    AutoBumpRule,
    GasGuard,
    GasSpend,
    Message,
    MessageApproval,
    MessageEvent,
    Sender,
    SharedRules,
)
from apps.messages.reasons import ESTIMATE, EXPIRED, GIVEN_UP, NONCE_LOST
from apps.messages.rules.gas_checks import shortfall_describe
from apps.messages.selectors.approval_choice import approval_rule_describe
from apps.messages.services.approvals import WAITS_EVENT
from apps.messages.states import MessageState, Priority, Wait
from apps.miners.models import Miner
from apps.wallets.models import Wallet
from poolsite.demo.world import EPOCH_S, ONLY, TimesGiven, World, cid, rows_write
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams, WithdrawBalanceReturn
from poolsite.filecoin.amounts import FIL, AttoFil
from poolsite.filecoin.codec import to_cbor

PRIORITIES: Final = {
    "window_post": Priority.PROOF,
    "recover": Priority.PROOF,
    "precommit": Priority.PRE_COMMIT,
}
PREMIUM: Final = 100_000
LARGE_SENDS: Final[dict[str, Any]] = {"above": 25 * FIL, "method": 0}
"""The rule of approval that some messages wait for."""
REFUSED_BY_NODE: Final = quoted("caller is not the owner", by="node")
TOP_UPS: Final = 4
"""Tenants with a rule that fills up their control wallet; that of the last one has stopped."""
OVER: Final = 1.25
"""Gas limit over the gas that was used."""


class Sent(TypedDict, total=False):
    """The sector, window or wallet that a message is about."""

    to: Required[str]
    method: Required[int]
    at: Required[datetime]
    """When it landed."""
    gas_used: Required[int]
    kind: str
    value: int
    params: bytes
    returned: bytes
    exit_code: int
    name: str
    """Its id; one by chance where there is none."""


def landed(world: World, *, wallet: Wallet, **sent: Unpack[Sent]) -> Message:
    """Add a message that landed at a moment; its nonce follows when all are written."""
    at, gas_used, kind = sent["at"], sent["gas_used"], sent.get("kind", "")
    height = world.height_at(at)
    base_fee = world.base_fee(at)
    limit = int(gas_used * OVER)
    name = sent.get("name") or str(world.uuid())
    pushed = at - timedelta(seconds=EPOCH_S * (2 + len(world.messages) % 3))
    over_burnt = (limit - gas_used) * base_fee // 10
    message = Message(
        id=name,
        push_id=name,
        tenant_id=wallet.tenant_id,
        pushed_by="pool" if kind else wallet.account,
        kind=kind,
        state=MessageState.LANDED,
        priority=PRIORITIES.get(kind, Priority.REST),
        time_sensitive=kind == "window_post",
        to=sent["to"],
        from_addr=wallet.address,
        value=sent.get("value", 0),
        method=sent["method"],
        params=sent.get("params", b""),
        gas_limit=limit,
        gas_fee_cap=base_fee * 2 + PREMIUM,
        gas_premium=PREMIUM,
        pushed_height=height - 2,
        filled_at=pushed + timedelta(seconds=3),
        published_at=pushed + timedelta(seconds=4),
        height=height,
        exit_code=sent.get("exit_code", 0),
        gas_used=gas_used,
        gas_cost=gas_used * base_fee + over_burnt + limit * PREMIUM,
        return_data=sent.get("returned", b""),
        landed_at=at,
        wait=Wait.NONE,
        created_at=pushed,
        updated_at=at,
    )
    world.messages.append(message)
    return message


def transfers_make(world: World) -> None:
    """Fill up wallets out of those of owners, and add messages that fail now and then."""
    days = world.scale.days
    for tenant in world.tenants:
        owner, control = world.owners[tenant.pk], world.controls[tenant.pk]
        for day in range(days - 1, 0, -6):
            at = world.now - timedelta(days=day, hours=3, minutes=world.chance.randrange(50))
            landed(world, wallet=owner, to=control.address, method=0, value=2 * FIL, at=at, gas_used=480_000)
        for miner in [one for one in world.miners if one.tenant_id == tenant.pk]:
            for day in range(days - 2 - (miner.actor_id or 0) % 5, 0, -9):
                at = world.now - timedelta(days=day, hours=2, minutes=world.chance.randrange(50))
                worker = world.workers[miner.pk]
                value = (2 + world.chance.randrange(3)) * FIL
                landed(world, wallet=owner, to=worker.address, method=0, value=value, at=at, gas_used=480_000)
    for place, miner in enumerate(world.miners[:: max(len(world.miners) // 12, 1)]):
        worker = world.workers[miner.pk]
        at = world.now - timedelta(hours=3 + 31 * place)
        method = int(Method.DECLARE_FAULTS_RECOVERED)
        failed = landed(
            world,
            wallet=worker,
            to=miner.address,
            method=method,
            at=at,
            gas_used=9_300_000,
            exit_code=16,
            kind="recover",
        )
        failed.value = 0


def withdrawals_make(world: World, amounts: dict[int, dict[int, int]]) -> None:
    """Withdraw what `amounts` say: by a miner's pk and the day's place, in attoFIL."""
    for miner in world.miners:
        for place, amount in amounts.get(miner.pk, {}).items():
            at = datetime.combine(world.days[place], datetime.min.time(), tzinfo=UTC) + timedelta(hours=9)
            landed(
                world,
                wallet=world.owners[miner.tenant_id],
                to=miner.address,
                method=int(Method.WITHDRAW_BALANCE),
                at=at,
                gas_used=6_200_000,
                kind="withdrawal",
                params=to_cbor(WithdrawBalanceParams(AttoFil(amount))),
                returned=to_cbor(WithdrawBalanceReturn(AttoFil(amount))),
            )


def messages_write(world: World) -> None:
    """Write all that landed, with nonces in their order, and what gas cost."""
    world.messages.sort(key=lambda one: (one.landed_at, one.id))
    nonces: Counter[str] = Counter()
    for message in world.messages:
        message.nonce = nonces[message.from_addr]
        nonces[message.from_addr] += 1
        message.cid = cid(f"{message.from_addr} {message.nonce}")
        message.unsigned_cid = message.landed_cid = message.cid
        message.tipset_key = cid(f"head {message.height}")
        message.executed_key = cid(f"head {message.height + 1}")
    with TimesGiven(Message):
        rows_write(Message, world.messages)
    _spent(world)
    for wallet in world.wallets:
        wallet.nonce = nonces[str(wallet.address)]


def _spent(world: World) -> None:
    found: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in world.messages:
        to = "" if one.method == 0 else one.to
        sums = found[
            (one.landed_at or world.now).date(), one.tenant_id, one.from_addr, to, one.method, one.kind
        ]
        for place, value in enumerate((1, one.gas_used, int(one.gas_cost))):
            sums[place] += value
    rows_write(
        GasSpend,
        [
            GasSpend(
                day=day,
                tenant_id=tenant,
                from_addr=sender,
                to=to,
                method=method,
                kind=kind,
                messages=count,
                gas_used=gas,
                cost=cost,
            )
            for (day, tenant, sender, to, method, kind), (count, gas, cost) in found.items()
        ],
    )


def senders_make(world: World) -> None:
    """Make a sender for each wallet, with its nonce as the chain has it."""
    SharedRules.objects.create(pk=ONLY, gas_over_estimation=OVER, max_fee=FIL // 2, quota=30)
    open_of: Counter[str] = Counter()
    rows = [
        Sender(
            uuid=world.uuid(),
            address=one.address,
            next_nonce=one.nonce + open_of[str(one.address)],
            chain_nonce=one.nonce,
            balance=one.balance,
        )
        for one in world.wallets
        if one.nonce
    ]
    rows_write(Sender, rows)


@dataclass(slots=True)
class Unlanded:
    """Messages that have not landed, as they are made."""

    world: World
    rows: list[Message] = field(default_factory=list)

    def add(self, miner: Miner, wallet: Wallet, minutes: float, **data: Any) -> Message:
        """Add a message that was pushed so many minutes ago: to the miner, unless `data` say otherwise."""
        name, at = str(self.world.uuid()), self.world.now - timedelta(minutes=minutes)
        message = Message(
            id=name,
            push_id=name,
            tenant_id=wallet.tenant_id,
            pushed_by=wallet.account,
            from_addr=wallet.address,
            **{
                "to": miner.address,
                "method": 0,
                "pushed_height": self.world.height_at(at),
                "created_at": at,
                "updated_at": at,
                **data,
            },
        )
        self.rows.append(message)
        return message

    def fill(self, message: Message, *, fee_cap: int, wait: str) -> None:
        """Assign a message the next nonce of its sender."""
        sender = Sender.objects.get(address=message.from_addr)
        message.state, message.nonce, message.wait = MessageState.FILLED, sender.next_nonce, wait
        sender.next_nonce += 1
        sender.save(update_fields=["next_nonce", "updated_at"])
        message.gas_limit, message.gas_fee_cap, message.gas_premium = 42_000_000, fee_cap, PREMIUM
        message.cid = message.unsigned_cid = cid(f"{message.from_addr} {message.nonce}")
        message.filled_at = message.created_at + timedelta(seconds=3)
        message.published_at = message.created_at + timedelta(seconds=4)


def unlanded_make(world: World) -> None:
    """Make what has not landed: in flight, stuck, waiting for money or approval, given up, replaced."""
    made = Unlanded(world)
    _in_flight(made)
    _waiting(made)
    _ended(made)
    with TimesGiven(Message):
        rows_write(Message, made.rows)
    rule = approval_rule_describe(ApprovalRule(**LARGE_SENDS))
    held = [one for one in made.rows if one.needs_approval]
    rows_write(
        MessageEvent,
        [MessageEvent(message=one, at=one.created_at, event=WAITS_EVENT, text=rule) for one in held],
    )
    rows_write(
        MessageApproval, [MessageApproval(message=one, rule=rule, asked_at=one.created_at) for one in held]
    )


def _in_flight(made: Unlanded) -> None:
    """Add proofs in flight, a withdrawal whose fee cap is too low, and a transfer behind it."""
    world, miners = made.world, made.world.miners
    fee = world.base_fee(world.now)
    for place, miner in enumerate(miners[:4]):
        wallet, minutes = world.controls[miner.tenant_id], 0.4 + place / 8
        proof = made.add(miner, wallet, minutes, kind="window_post", method=5, priority=Priority.PROOF)
        made.fill(proof, fee_cap=3 * fee, wait=Wait.IN_POOL)
    miner = miners[len(miners) // 2]
    wallet, params = world.owners[miner.tenant_id], to_cbor(WithdrawBalanceParams(AttoFil(3 * FIL)))
    stuck = made.add(miner, wallet, 95, method=16, kind="withdrawal", params=params)
    made.fill(stuck, fee_cap=fee * 3 // 5, wait=Wait.FEE_CAP)
    behind = made.add(miner, wallet, 60, to=world.workers[miner.pk].address, value=2 * FIL)
    made.fill(behind, fee_cap=3 * fee, wait=Wait.EARLIER_NONCE)


def _waiting(made: Unlanded) -> None:
    """Add a transfer that nobody can pay, and some that wait for a second person."""
    world, poor = made.world, made.world.miners[-1]
    payer, value = world.owners[poor.tenant_id], 900_000 * FIL
    made.add(
        poor,
        payer,
        140,
        to=world.workers[poor.pk].address,
        value=value,
        wait=Wait.FUNDS,
        error=shortfall_describe(value, balance=int(payer.balance)),
        attempts=12,
    )
    for place, miner in enumerate(world.miners[1:4]):
        made.add(
            miner,
            world.owners[miner.tenant_id],
            20 + 70 * place,
            to=world.wallets[-1 - place].address,
            value=(40 + 25 * place) * FIL,
            needs_approval=True,
            wait=Wait.APPROVAL,
            people="chen",
        )


def _ended(made: Unlanded) -> None:
    """Add messages that were given up, and some whose nonce another one took."""
    world, miners = made.world, made.world.miners
    for place, miner in enumerate(miners[:: max(len(miners) // 6, 1)][:6]):
        made.add(
            miner,
            world.workers[miner.pk],
            400 + 900 * place,
            state=MessageState.FAILED,
            method=(9, 23)[place % 2],
            wait=Wait.NONE,
            attempts=5,
            error=GIVEN_UP(attempts=5, reason=ESTIMATE(error=REFUSED_BY_NODE)),
        )
    tenant = world.tenants[:TOP_UPS][-1]
    expired = world.height_at(world.now - timedelta(minutes=690))
    made.add(
        miners[0],
        world.owners[tenant.pk],
        700,
        to=world.controls[tenant.pk].address,
        value=2 * FIL,
        state=MessageState.FAILED,
        wait=Wait.NONE,
        expire_epoch=expired,
        error=EXPIRED(expire_epoch=expired),
    )
    for place, miner in enumerate(miners[:3]):
        wallet = world.workers[miner.pk]
        made.add(
            miner,
            wallet,
            2_000 + 3_000 * place,
            state=MessageState.REPLACED,
            nonce=max(wallet.nonce or 0, 1) - 1,
            wait=Wait.NONCE_TAKEN,
            kind="precommit",
            method=28,
            gas_limit=30_000_000,
            gas_fee_cap=world.base_fee(world.now),
            gas_premium=PREMIUM,
            error=NONCE_LOST(),
        )


def rules_make(world: World) -> None:
    """Make rules of approval and gas, and automatic rules with what they did."""
    first, second = world.tenants[0], world.tenants[-1]
    ApprovalRule.objects.create(**LARGE_SENDS, created_by="operator")
    ApprovalRule.objects.create(tenant=first, actor="miner", method=23, created_by="operator")
    GasGuard.objects.create(daily_budget=60 * FIL, hold_base_fee=0)
    GasGuard.objects.create(tenant=second, kind="precommit", hold_base_fee=200_000_000, hold_epochs=1_200)
    for tenant in world.tenants[:3]:
        AutoBumpRule.objects.create(tenant=tenant, max_fee=FIL // 10)
    acts = []
    for tenant in world.tenants[:TOP_UPS]:
        owner, control = world.owners[tenant.pk], world.controls[tenant.pk]
        failed = list(
            Message.objects.filter(
                from_addr=owner.address, to=control.address, method=0, state=MessageState.FAILED
            )
        )
        sent = [
            one
            for one in world.messages
            if one.from_addr == owner.address and one.to == control.address and one.method == 0
        ] + failed
        rule = AutoRule.objects.create(
            uuid=world.uuid(),
            tenant=tenant,
            kind=RuleKind.TOP_UP,
            settings={
                "source": str(owner.address),
                "target": str(control.address),
                "low": str(2 * FIL),
                "high": str(12 * FIL),
                "day_max": str(30 * FIL),
                "is_escrow": False,
            },
            is_on=not failed,
            people=["operator"],
            switched_by="operator",
            acts_begun=len(sent),
            stopped=NOT_CARRIED_OUT(id=failed[-1].push_id) if failed else "",
        )
        acts += [
            AutoAct(rule=rule, number=number, message=one, amount=one.value, at=one.created_at)
            for number, one in enumerate(sent, 1)
        ]
    rows_write(AutoAct, acts)
