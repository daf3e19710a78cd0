"""What new sectors cost, as the pledge page says it before they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apps.dashboard import numbers
from apps.dashboard.lines.cards import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apps.dashboard.lines.messages import Names
    from apps.miners.models import Miner
    from apps.sectors.services.prices import Payer, PledgePrice

GUESSED: Final = "a guess: none of this miner's has landed yet"
LEARNT: Final = "what its last ones used, at the present base fee"


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One part of the price."""

    what: str
    sub: str
    each: str
    all: str
    is_sum: bool = False


@dataclass(frozen=True, slots=True)
class PayerLine:
    """Whether an address can pay."""

    name: str
    short: str
    tone: str
    word: str
    say: str


@dataclass(frozen=True, slots=True)
class PriceCard:
    """The whole of it; with `error` nothing is known."""

    lines: tuple[PriceLine, ...] = ()
    payers: tuple[PayerLine, ...] = ()
    count: int = 1
    say: str = ""
    error: str = ""


def price_card(
    price: PledgePrice, payers: Sequence[Payer], *, count: int, miner: Miner, names: Names, say: str
) -> PriceCard:
    """Lay out the price of `count` sectors."""
    return PriceCard(
        lines=tuple(price_lines(price, count=count)),
        payers=tuple(payer_lines(price, payers, count=count, miner=miner, names=names)),
        count=count,
        say=say,
    )


def price_lines(price: PledgePrice, *, count: int) -> Iterable[PriceLine]:
    """Give the parts, then the sum, then what is paid day by day."""

    def line(what: str, sub: str, atto: int, *, is_sum: bool = False) -> PriceLine:
        each, whole = numbers.amounts_text(atto, atto * count)
        return PriceLine(what, sub, each, whole, is_sum)

    yield line("Deposit", "with the pre-commit; counts towards the pledge", price.deposit)
    topup = "with the commit, margin included" if price.topup else "the deposit covers it"
    yield line("Pledge on top", topup, price.topup)
    yield line("Gas", f"two messages, burnt; {GUESSED if price.is_guess else LEARNT}", price.gas)
    yield line("To pay", "locked and burnt together", price.locked + price.gas, is_sum=True)
    yield line("Daily fee, at most", "of the miner, in each proving period", price.daily_fee)


def payer_lines(
    price: PledgePrice, payers: Sequence[Payer], *, count: int, miner: Miner, names: Names
) -> Iterable[PayerLine]:
    """Say of each address what remains; and of the miner, where its own balance is what gets locked."""
    for payer in payers:
        promised = f"; sectors under way take {numbers.amount_text(payer.promised)}" if payer.promised else ""
        has = f"has {numbers.amount_text(payer.balance)}{promised}"
        short = numbers.shortened(payer.address)
        yield _payer_line(names.wallets.get(payer.address) or short, short, has=has, left=payer.left)
    if not price.is_sent:
        left = int(miner.available) - price.locked * count
        has = f"has {numbers.amount_text(int(miner.available))} available"
        yield _payer_line(miner.name or miner.address, miner.address, has=has, left=left)


def _payer_line(name: str, short: str, *, has: str, left: int) -> PayerLine:
    if left < 0:
        say = f"{has}, {numbers.amount_text(-left)} too little: the messages would wait for it"
        return PayerLine(name, short, "bad", "cannot pay", say)
    return PayerLine(name, short, "ok", "can pay", f"{has}, keeps {numbers.amount_text(left)}")


def life_words(price: PledgePrice, *, epoch_s: int, height: int, count: int) -> str:
    """Say at which head it holds, and for how long the sectors would live."""
    life = numbers.time_left(price.life_epochs * epoch_s)
    whose = "The sector would live" if count == 1 else f"The {plural(count, 'sector')} would live"
    return f"As the chain stands at epoch {numbers.whole(height)}. {whose} {life}."
