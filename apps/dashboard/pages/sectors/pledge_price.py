"""What new sectors cost, and who would pay for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.formatting import plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.page_data import AddressNames
    from apps.messages.services.signer_trials import Verdicts
    from apps.miners.models import Miner
    from apps.sectors.services.batches.miner_funds import Funds
    from apps.sectors.services.sealing.prices import PaymentPlan, PledgePrice

GUESSED: Final = _("a guess: no batches of this miner have landed yet")
LEARNT: Final = _("based on its latest batches, at the current base fee")


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
    verdicts: Verdicts | None = None
    """What the signer and the approval rules would do; None before the signer was asked."""

    @property
    def is_unasked(self) -> bool:
        """Return whether there is a price of which the signer was not asked."""
        return not self.error and self.verdicts is None


def price_card(
    price: PledgePrice, paying: PaymentPlan, *, count: int, miner: Miner, names: AddressNames, say: str
) -> PriceCard:
    """Lay out the price of `count` sectors."""
    return PriceCard(
        rows=tuple(price_rows(price, count=count)),
        payers=tuple(payer_rows(price, paying, count=count, miner=miner, names=names)),
        count=count,
        say=say,
    )


def price_rows(price: PledgePrice, *, count: int) -> Iterable[PriceRow]:
    """Return the parts, then the sum, then what is paid day by day."""

    def row(what: str, sub: str, atto: int, *, is_sum: bool = False) -> PriceRow:
        each, whole = formatting.amounts_text(atto, atto * count)
        return PriceRow(what, sub, each, whole, is_sum)

    yield row(gettext("Deposit"), gettext("with the pre-commit; counts towards the pledge"), price.deposit)
    topup = gettext("with the commit, margin included") if price.topup else gettext("the deposit covers it")
    yield row(gettext("Remaining pledge"), topup, price.topup)
    yield row(
        gettext("Gas"),
        gettext("two messages, burnt; {guessed}").format(guessed=GUESSED if price.is_guess else LEARNT),
        price.gas,
    )
    yield row(gettext("Total"), gettext("locked plus burnt"), price.locked + price.gas, is_sum=True)
    yield row(
        gettext("Daily fee, at most"), gettext("charged to the miner in each proving period"), price.daily_fee
    )


def payer_rows(
    price: PledgePrice, paying: PaymentPlan, *, count: int, miner: Miner, names: AddressNames
) -> Iterable[PayerRow]:
    """Return what the miner's own balance pays, which goes first, then what remains of each address."""
    if price.is_sent:
        yield _balance_row(paying.funds(count), free=paying.own, miner=miner)
    for payer in paying.payers(count):
        amount = formatting.amount_text(payer.promised)
        promised = gettext("; work in progress takes {taken}").format(taken=amount) if payer.promised else ""
        is_own = payer.address == miner.address
        held = gettext("has {balance} available{promised}") if is_own else gettext("has {balance}{promised}")
        has = held.format(balance=formatting.amount_text(payer.balance), promised=promised)
        short = formatting.shortened(payer.address)
        name = names.wallets.get(payer.address) or names.miners.get(payer.address) or short
        yield _payer_row(name, short, has=has, left=payer.left)


def _balance_row(funds: Funds, *, free: int, miner: Miner) -> PayerRow:
    needed, own, sent = map(formatting.amount_text, (funds.needed, funds.from_balance, funds.sent))
    say = gettext("has {free} to spare: pays {own} of {needed}, the messages carry {sent}").format(
        free=formatting.amount_text(free), own=own, needed=needed, sent=sent
    )
    if not free:
        say = gettext("has nothing to spare: the messages carry {sent}").format(sent=sent)
    tone, word = ("ok", gettext("pays first")) if funds.from_balance else ("idle", gettext("pays nothing"))
    return PayerRow(miner.name or miner.address, miner.address, tone, word, say)


def _payer_row(name: str, short: str, *, has: str, left: int) -> PayerRow:
    if left < 0:
        say = gettext("{has}, {amount} short: the messages would wait for funds").format(
            has=has, amount=formatting.amount_text(-left)
        )
        return PayerRow(name, short, "bad", gettext("cannot pay"), say)
    return PayerRow(
        name,
        short,
        "ok",
        gettext("can pay"),
        gettext("{has}, {left} remaining").format(has=has, left=formatting.amount_text(left)),
    )


def life_text(price: PledgePrice, *, epoch_s: int, height: int, count: int) -> str:
    """Return at which head it holds, and for how long the sectors would live."""
    life = formatting.time_left(price.life_epochs * epoch_s)
    whose = (
        gettext("The sector would expire after")
        if count == 1
        else gettext("The {sectors} would expire after").format(sectors=plural(count, "sector"))
    )
    return gettext("Prices as of epoch {height}. {whose} {life}.").format(
        height=formatting.whole(height), whose=whose, life=life
    )
