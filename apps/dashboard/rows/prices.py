"""What new sectors cost, as the pledge page says it before they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apps.core import formatting
from apps.dashboard.rows.cards import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apps.dashboard.rows.messages import Names
    from apps.miners.models import Miner
    from apps.sectors.services.prices import Payer, PledgePrice

GUESSED: Final = "a guess: none of this miner's has landed yet"
LEARNT: Final = "what its last ones used, at the present base fee"


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One part of the price."""

    what: str
    sub: str
    each: str
    all: str
    is_sum: bool = False


@dataclass(frozen=True, slots=True)
class PayerRow:
    """Whether an address can pay."""

    name: str
    short: str
    tone: str
    word: str
    say: str


@dataclass(frozen=True, slots=True)
class PriceCard:
    """The whole of it; with `error` nothing is known."""

    rows: tuple[PriceRow, ...] = ()
    payers: tuple[PayerRow, ...] = ()
    count: int = 1
    say: str = ""
    error: str = ""


def price_card(
    price: PledgePrice, payers: Sequence[Payer], *, count: int, miner: Miner, names: Names, say: str
) -> PriceCard:
    """Lay out the price of `count` sectors."""
    return PriceCard(
        rows=tuple(price_rows(price, count=count)),
        payers=tuple(payer_rows(price, payers, count=count, miner=miner, names=names)),
        count=count,
        say=say,
    )


def price_rows(price: PledgePrice, *, count: int) -> Iterable[PriceRow]:
    """Return the parts, then the sum, then what is paid day by day."""

    def row(what: str, sub: str, atto: int, *, is_sum: bool = False) -> PriceRow:
        each, whole = formatting.amounts_text(atto, atto * count)
        return PriceRow(what, sub, each, whole, is_sum)

    yield row("Deposit", "with the pre-commit; counts towards the pledge", price.deposit)
    topup = "with the commit, margin included" if price.topup else "the deposit covers it"
    yield row("Pledge on top", topup, price.topup)
    yield row("Gas", f"two messages, burnt; {GUESSED if price.is_guess else LEARNT}", price.gas)
    yield row("To pay", "locked and burnt together", price.locked + price.gas, is_sum=True)
    yield row("Daily fee, at most", "of the miner, in each proving period", price.daily_fee)


def payer_rows(
    price: PledgePrice, payers: Sequence[Payer], *, count: int, miner: Miner, names: Names
) -> Iterable[PayerRow]:
    """Return what remains of each address; and of the miner, where its own balance is what gets locked."""
    for payer in payers:
        promised = (
            f"; sectors under way take {formatting.amount_text(payer.promised)}" if payer.promised else ""
        )
        has = f"has {formatting.amount_text(payer.balance)}{promised}"
        short = formatting.shortened(payer.address)
        yield _payer_row(names.wallets.get(payer.address) or short, short, has=has, left=payer.left)
    if not price.is_sent:
        left = int(miner.available) - price.locked * count
        has = f"has {formatting.amount_text(int(miner.available))} available"
        yield _payer_row(miner.name or miner.address, miner.address, has=has, left=left)


def _payer_row(name: str, short: str, *, has: str, left: int) -> PayerRow:
    if left < 0:
        say = f"{has}, {formatting.amount_text(-left)} too little: the messages would wait for it"
        return PayerRow(name, short, "bad", "cannot pay", say)
    return PayerRow(name, short, "ok", "can pay", f"{has}, keeps {formatting.amount_text(left)}")


def life_text(price: PledgePrice, *, epoch_s: int, height: int, count: int) -> str:
    """Return at which head it holds, and for how long the sectors would live."""
    life = formatting.time_left(price.life_epochs * epoch_s)
    whose = "The sector would live" if count == 1 else f"The {plural(count, 'sector')} would live"
    return f"As the chain stands at epoch {formatting.whole(height)}. {whose} {life}."
