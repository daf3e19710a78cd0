"""What new sectors will cost, told before they are pledged: the chain's own figures at one head.

Deposit and pledge are what the node answers, margins included, exactly as the messages will carry them.
Gas is what the last batches of the pool used per sector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Count

from apps.messages.selectors import messages_by_ids
from apps.messages.selectors.balances import spend_open
from apps.messages.selectors.gas import LIMIT_PERCENT, PREMIUM_USUAL
from apps.miners.models import Miner
from apps.miners.selectors import sender_choose
from apps.miners.states import Use
from apps.sectors.models import Sector
from apps.sectors.onchain import circulating_read, deposits_read, pledge_read
from apps.sectors.params import expiration_choose, precommit_json, price_info
from apps.sectors.proof_forms import proof_form_for
from apps.sectors.selectors import batch_policy
from apps.sectors.services.sealing_context import KINDS
from apps.sectors.states import BatchKind, BatchState
from apps.wallets.models import Wallet
from poolsite.filecoin.pledge import daily_fee
from poolsite.filecoin.power import quality_power
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.pipeline import FINAL_STATES, SectorState

if TYPE_CHECKING:
    from collections.abc import Collection

    from apps.chain.client import ChainClient
    from apps.chain.models import Head
    from poolsite.filecoin.policy import Network

GAS_FIRST: Final[dict[str, int]] = {BatchKind.PRE_COMMIT: 17_000_000, BatchKind.COMMIT: 128_000_000}
"""Gas of a message with one sector, until the pool's own batches tell.  Source: mainnet's price list, as
`poolsite.filecoin.gas` has it, at a miner without sectors."""
LEARN_BATCHES: Final = 20
"""Newest landed batches of a miner from which gas is learnt."""
ORDER: Final = tuple(SectorState)
BEFORE_PRECOMMIT: Final = ORDER[: ORDER.index(SectorState.PERSISTED) + 1]
"""States in which both messages are still to be paid."""
BEFORE_COMMIT: Final = ORDER[len(BEFORE_PRECOMMIT) : ORDER.index(SectorState.C2_DONE) + 1]
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

    @property
    def topup(self) -> int:
        """What of the pledge the commit brings."""
        return max(self.pledge - self.deposit, 0)

    @property
    def locked(self) -> int:
        """What the messages bring, to be locked."""
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
        """What remains after all of it; negative if it cannot pay."""
        return self.balance - self.promised - self.needs


def pledge_price(miner: Miner, *, client: ChainClient, head: Head, network: Network) -> PledgePrice:
    """Return the price of one sector by a node.  Raises NodeRefused, NodeUnavailable, ProofFormMissing."""
    proof_form_for(network)
    policy = batch_policy(miner)
    expiration = expiration_choose(height=head.height, wished=policy.sector_life_epochs, network=network)
    life = expiration - head.height
    size = miner.sector_size
    pledge = pledge_read(client, duration=life, sector_size=size, key=head.key)
    info = precommit_json(price_info(seal_proof=miner.seal_proof, expiration=expiration))
    is_interactive = RegisteredSealProof(miner.seal_proof).is_interactive
    gas = {kind: gas_averages(miner, kind) for kind in KINDS}
    base_fee = int(head.base_fee)
    costs = {
        kind: gas_cost(GAS_FIRST[kind] if found is None else found, base_fee=base_fee)
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
    )


def gas_averages(miner: Miner, kind: str) -> int | None:
    """Return the gas per sector of the newest landed batches; None before the first."""
    landed = miner.batches.filter(kind=kind, state=BatchState.LANDED, exit_code=0).order_by("-pk")
    ids = dict(landed.values_list("pk", "message_id")[:LEARN_BATCHES])
    column = KINDS[BatchKind(kind)].column
    held = Sector.objects.filter(**{f"{column}__in": list(ids)}).order_by().values_list(column)
    counts = {ids[pk]: many for pk, many in held.annotate(Count("pk"))}
    messages = [row for row in messages_by_ids(counts).values() if row.gas_used]
    sectors = sum(counts[row.pk] for row in messages)
    return sum(row.gas_used for row in messages) // sectors if sectors else None


def gas_cost(gas: int, *, base_fee: int) -> int:
    """Return attoFIL for so much gas, at the usual premium."""
    return gas * base_fee + gas * LIMIT_PERCENT // 100 * PREMIUM_USUAL


def payers_of(miner: Miner, price: PledgePrice, *, count: int) -> list[Payer]:
    """Return who pays for `count` more sectors, beside what is under way from the same addresses."""
    needs: dict[str, int] = {}
    for use, locked, gas in _costs(price):
        address = sender_choose(miner, use).address
        needs[address] = needs.get(address, 0) + (locked + gas) * count
    promised = _promised(needs, price, sector_size=miner.sector_size)
    balances = dict(Wallet.objects.filter(address__in=needs).values_list("address", "balance"))
    return [
        Payer(address, balance=int(balances.get(address) or 0), promised=promised[address], needs=more)
        for address, more in needs.items()
    ]


def _costs(price: PledgePrice) -> tuple[tuple[Use, int, int], ...]:
    """Return the two messages of a sector: the use, and attoFIL that it brings and burns."""
    return (
        (Use.PRE_COMMIT, price.deposit if price.is_sent else 0, price.precommit_gas),
        (Use.COMMIT, price.topup if price.is_sent else 0, price.commit_gas),
    )


def _promised(addresses: Collection[str], price: PledgePrice, *, sector_size: int) -> dict[str, int]:
    """Return what messages and sectors under way will take from addresses, for whatever miner.

    A sector of another miner is taken to lock as much by its size, and to burn as much.
    """
    sums = dict.fromkeys(addresses, 0) | spend_open(addresses)
    under_way = Sector.objects.exclude(state__in=FINAL_STATES).order_by().values_list("miner", "state")
    states: dict[int, dict[str, int]] = {}
    for pk, state, many in under_way.annotate(Count("pk")):
        states.setdefault(pk, {})[state] = many
    for miner in Miner.objects.filter(pk__in=states).prefetch_related("uses"):
        if sums.keys().isdisjoint([miner.worker, miner.owner, *miner.control]):
            continue
        waiting = sum(states[miner.pk].get(state, 0) for state in BEFORE_PRECOMMIT)
        commits = waiting + sum(states[miner.pk].get(state, 0) for state in BEFORE_COMMIT)
        for (use, locked, gas), many in zip(_costs(price), (waiting, commits), strict=True):
            address = sender_choose(miner, use).address
            if address in sums:
                sums[address] += many * (locked * miner.sector_size // sector_size + gas)
    return sums
