"""What new sectors will cost, told before they are pledged: the chain's own figures at one head.

Deposit and pledge are what the node answers, margins included, exactly as the messages will carry them.
Gas is what the last batches of the pool used per sector.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core import clock
from apps.messages.selectors.balances import spend_open
from apps.messages.selectors.messages import messages_by_ids
from apps.messages.selectors.queue_costs import LIMIT_PERCENT, PREMIUM_USUAL
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import Use
from apps.pieces.models import Piece
from apps.pieces.states import PieceState
from apps.sectors.models import Sector
from apps.sectors.onchain.sectors import circulating_read, deposits_read, pledge_read
from apps.sectors.rules.batches import COMMIT, KINDS, PRE_COMMIT, BatchRules
from apps.sectors.rules.lifetimes import expiration_choose
from apps.sectors.rules.params import precommit_json, price_info
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.proof_forms import proof_form_for
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.miner_funds import Funds, balance_spare
from apps.sectors.states import BatchKind, BatchState
from apps.wallets.models import Wallet
from poolsite.filecoin.pledge import daily_fee
from poolsite.filecoin.policy import Network
from poolsite.filecoin.power import quality_power
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.pipeline import FINAL_STATES, SECTOR_STATES, SectorState

GAS_FIRST: Final[dict[str, int]] = {BatchKind.PRE_COMMIT: 17_000_000, BatchKind.COMMIT: 128_000_000}
"""Gas of a message with one sector, until the pool's own batches tell.  Source: mainnet's price list, as
`poolsite.filecoin.gas` has it, at a miner without sectors."""
LEARN_BATCHES: Final = 20
"""Newest landed batches of a miner from which gas is learnt."""
BEFORE_PRECOMMIT: Final = SECTOR_STATES[: SECTOR_STATES.index(SectorState.PERSISTED) + 1]
"""States in which both messages are still to be paid."""
BEFORE_COMMIT: Final = SECTOR_STATES[len(BEFORE_PRECOMMIT) : SECTOR_STATES.index(SectorState.C2_DONE) + 1]
"""States in which only the commit is."""


@dataclass(frozen=True, slots=True)
class PledgePrice:
    """attoFIL for one sector at one head."""

    deposit: int
    """Goes with the pre-commit."""
    pledge: int
    """Locked as long as the sector lives; the deposit counts towards it."""
    precommit_gas: int
    """attoFIL of the pre-commit's gas."""
    commit_gas: int
    is_guess: bool
    """True if no batch of this miner has landed yet, so that its gas is not known."""
    daily_fee: int
    """What the chain takes of the miner for each day of the sector's life, at most."""
    life_epochs: int
    is_sent: bool
    """Whether the messages carry deposit and pledge; otherwise the miner's own balance pays them."""
    available: int = 0
    """Of the miner's balance, what no message counts on: it pays before the messages do."""

    @property
    def topup(self) -> int:
        """Return what of the pledge the commit brings."""
        return max(self.pledge - self.deposit, 0)

    @property
    def locked(self) -> int:
        """Return what the messages bring, to be locked."""
        return self.deposit + self.topup

    @property
    def gas(self) -> int:
        """Of both messages; burnt."""
        return self.precommit_gas + self.commit_gas


@dataclass(frozen=True, slots=True)
class Payer:
    """An address that has to pay for new sectors."""

    address: str
    balance: int
    promised: int
    """What sectors and messages that are under way will still take from it, of any miner."""
    needs: int

    @property
    def left(self) -> int:
        """Return what remains after all of it; negative if it cannot pay."""
        return self.balance - self.promised - self.needs


@dataclass(frozen=True, slots=True)
class Cost:
    """One of a sector's two messages: attoFIL that it brings and burns."""

    use: Use
    locked: int
    gas: int


@dataclass(frozen=True, slots=True)
class PaymentPlan:
    """Who pays for more sectors of a miner, for any number of them."""

    costs: tuple[tuple[str, Cost], ...]
    """With the address that each is sent from."""
    balances: dict[str, int]
    promised: dict[str, int]
    own: int
    """Of the miner's balance, what sectors and messages under way leave for more."""
    locked: int
    """By one sector."""
    alone: Payer | None = None
    """The miner, before it needs anything, where its balance pays deposits and pledge alone."""

    def funds(self, count: int) -> Funds:
        """Return what `count` sectors lock, and what of it the balance pays."""
        needed = self.locked * count
        return Funds(needed, min(needed, self.own) if self.alone is None else needed)

    def payers(self, count: int) -> list[Payer]:
        """Return the addresses with what is left of each; the balance pays first.

        A miner that pays deposits and pledge alone is the last of them.
        """
        needs, own = dict.fromkeys(self.balances, 0), self.funds(count).from_balance
        for address, cost in self.costs:
            covered = min(own, cost.locked * count)
            own -= covered
            needs[address] += (cost.locked + cost.gas) * count - covered
        found = [
            Payer(address, balance=balance, promised=self.promised[address], needs=needs[address])
            for address, balance in self.balances.items()
        ]
        if self.alone is not None:
            found.append(replace(self.alone, needs=self.locked * count))
        return found

    def most(self, count: int, *, keep: int = 0) -> int:
        """Return how many of `count` sectors can be paid, with so much kept at each address."""
        least = 0
        while least < count:  # bisect: what more sectors need never shrinks
            tried = (least + count + 1) // 2
            can_pay = all(payer.left >= keep or not payer.needs for payer in self.payers(tried))
            least, count = (tried, count) if can_pay else (least, tried - 1)
        return least


def pledge_price(miner: Miner, *, client: ChainClient, head: Head, network: Network) -> PledgePrice:
    """Return the price of one sector by a node.  Raises NodeRefused, NodeUnavailable, ProofFormMissing."""
    proof_form_for(network)
    policy = batch_policy(miner)
    work = SealingContext(client=client, network=network, head=head, now=clock.now(), policy=policy)
    expiration = expiration_choose(height=head.height, wished=policy.sector_life_epochs, network=network)
    life = expiration - head.height
    size = miner.sector_size
    pledge = pledge_read(client, duration=life, sector_size=size, key=head.key)
    info = precommit_json(price_info(seal_proof=miner.seal_proof, expiration=expiration))
    is_interactive = RegisteredSealProof(miner.seal_proof).is_interactive
    gas = {kind: gas_average_compute(miner, kind=kind) for kind in KINDS}
    base_fee = int(head.base_fee)
    costs = {
        kind: gas_cost_estimate(GAS_FIRST[kind] if found is None else found, base_fee=base_fee)
        for kind, found in gas.items()
    }
    return PledgePrice(
        deposit=deposits_read(client, miner.address, [info], head.key)[0] if is_interactive else 0,
        pledge=pledge * (100 + policy.funds_margin_percent) // 100,
        precommit_gas=costs[BatchKind.PRE_COMMIT] if is_interactive else 0,
        commit_gas=costs[BatchKind.COMMIT],
        is_guess=None in gas.values(),
        daily_fee=daily_fee(quality_power(size, duration=life), circulating_read(client, key=head.key)),
        life_epochs=life,
        is_sent=policy.send_funds,
        available=balance_spare(miner, work=work),
    )


def gas_average_compute(miner: Miner, *, kind: str) -> int | None:
    """Return the gas per sector of the newest landed batches; None before the first."""
    landed = miner.batches.filter(kind=kind, state=BatchState.LANDED, exit_code=0).order_by("-pk")
    ids = dict(landed.values_list("pk", "message_id")[:LEARN_BATCHES])
    column = KINDS[BatchKind(kind)].column
    batched = Sector.objects.filter(**{f"{column}__in": list(ids)}).order_by().values_list(column)
    counts = {ids[pk]: many for pk, many in batched.annotate(Count("pk"))}
    messages = [row for row in messages_by_ids(counts).values() if row.gas_used]
    sectors = sum(counts[row.pk] for row in messages)
    return sum(row.gas_used for row in messages) // sectors if sectors else None


def gas_cost_estimate(gas: int, *, base_fee: int) -> int:
    """Return attoFIL for so much gas, at the usual premium."""
    return gas * base_fee + gas * LIMIT_PERCENT // 100 * PREMIUM_USUAL


def payers_list(miner: Miner, *, price: PledgePrice, count: int) -> list[Payer]:
    """Return who pays for `count` more sectors, beside what is under way from the same addresses."""
    return payment_plan_make(miner, price=price).payers(count)


def payment_plan_make(miner: Miner, *, price: PledgePrice) -> PaymentPlan:
    """Return who pays for more sectors of a miner, once what is under way is paid."""
    costs = tuple(
        (sender_choose(miner, cost.use, needed=cost.locked).address, cost)
        for cost in _costs(price, is_sent=price.is_sent)
    )
    addresses = dict.fromkeys(address for address, _ in costs)
    promised, own = _promised(addresses, price, of=miner)
    found = dict(Wallet.objects.filter(address__in=addresses).values_list("address", "balance"))
    balances = {address: int(found.get(address) or 0) for address in addresses}
    alone = None
    if not price.is_sent:
        under_way = _balance_promised(price, of=miner)
        alone = Payer(miner.address, balance=int(miner.available), promised=under_way, needs=0)
    return PaymentPlan(
        costs=costs,
        balances=balances,
        promised=promised,
        own=own,
        locked=price.locked,
        alone=alone,
    )


def _costs(price: PledgePrice, *, is_sent: bool) -> tuple[Cost, ...]:
    """Return the two messages of a sector."""
    return (
        Cost(Use.PRE_COMMIT, price.deposit if is_sent else 0, price.precommit_gas),
        Cost(Use.COMMIT, price.topup if is_sent else 0, price.commit_gas),
    )


def _promised(addresses: Collection[str], price: PledgePrice, *, of: Miner) -> tuple[dict[str, int], int]:
    """Return what messages and sectors under way will take from addresses, for whatever miner.

    A sector of another miner is taken to lock as much by its size, to burn as much, and to be paid by its
    messages alone where these carry anything.  Beside it what those of the miner `of` leave of its own
    balance.
    """
    committing = Sector.objects.filter(state__in=BEFORE_PRECOMMIT + BEFORE_COMMIT)
    topups = _verified_topups(price, of=of, committing=committing)
    sums, own = dict.fromkeys(addresses, 0) | spend_open(addresses), price.available
    in_progress = Sector.objects.exclude(state__in=FINAL_STATES).order_by().values_list("miner", "state")
    states: dict[int, dict[str, int]] = {}
    for pk, state, many in in_progress.annotate(Count("pk")):
        states.setdefault(pk, {})[state] = many
    miners = Miner.objects.filter(pk__in=states).select_related("batch_settings")
    for miner in miners.prefetch_related("uses"):
        if sums.keys().isdisjoint([miner.worker, miner.owner, *miner.control]) and miner.pk != of.pk:
            continue
        waiting = sum(states[miner.pk].get(state, 0) for state in BEFORE_PRECOMMIT)
        commits = waiting + sum(states[miner.pk].get(state, 0) for state in BEFORE_COMMIT)
        is_sent = price.is_sent if miner.pk == of.pk else batch_policy(miner).send_funds
        for cost, many in zip(_costs(price, is_sent=is_sent), (waiting, commits), strict=True):
            locked = many * (cost.locked * miner.sector_size // of.sector_size)
            locked += topups.get(miner.pk, 0) if is_sent and cost.use is Use.COMMIT else 0
            covered = min(own, locked) if miner.pk == of.pk else 0
            own -= covered
            address = sender_choose(miner, cost.use, needed=cost.locked).address
            if address in sums:
                sums[address] += locked - covered + many * cost.gas
    return sums, own


def _balance_promised(price: PledgePrice, *, of: Miner) -> int:
    """Return what sectors and messages under way will lock of a balance that pays alone."""
    waiting, sealing = Q(miner=of, state__in=BEFORE_PRECOMMIT), BEFORE_PRECOMMIT + BEFORE_COMMIT
    deposits = Sector.objects.filter(waiting | _not_landed(of, kind=PRE_COMMIT))
    topups = Sector.objects.filter(Q(miner=of, state__in=sealing) | _not_landed(of, kind=COMMIT))
    verified = _verified_topups(price, of=of, committing=topups).get(of.pk, 0)
    return deposits.count() * price.deposit + topups.count() * price.topup + verified


def _not_landed(miner: Miner, *, kind: BatchRules) -> Q:
    """Return which sectors of a miner are in a message that has locked nothing yet.

    A message has landed some epochs before its sectors move on.
    """
    sent, key = Q(miner=miner, state=kind.sent_in), f"{kind.column}__message_id"
    batched = Sector.objects.filter(sent).exclude(**{kind.column: None}).order_by()
    messages = messages_by_ids(set(batched.values_list(key, flat=True))).values()
    landed = [row.pk for row in messages if row.state == MessageState.LANDED and row.exit_code == 0]
    return sent & ~Q(**{f"{key}__in": landed})


def _verified_topups(price: PledgePrice, *, of: Miner, committing: QuerySet[Sector]) -> dict[int, int]:
    """Return what commits of sectors under way bring for verified data, beside `topup`, by miner."""
    committing = committing.filter(miner=OuterRef("miner"), number=OuterRef("sector_number"))
    rows = Piece.objects.filter(Exists(committing), state=PieceState.PACKED, allocation__isnull=False)
    by_sector = rows.order_by().values_list("miner", "miner__sector_size", "sector_number")
    topups: dict[int, int] = {}
    for pk, size, _, verified in by_sector.annotate(Sum("padded_size")):
        power = quality_power(size, duration=1, verified_weight=verified)
        plain, whole = (
            max((price.pledge * bytes_ - price.deposit * size) // of.sector_size, 0)
            for bytes_ in (size, power)
        )
        topups[pk] = topups.get(pk, 0) + whole - plain
    return topups
