"""A miner's power, balance and sectors as tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext

from apps.core import formatting
from apps.dashboard.cards import Stat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.miners.models import Miner


def miner_stats(miner: Miner) -> Iterable[Stat]:
    """Yield a miner's vital signs: power and money."""
    power, unit = formatting.size(miner.qa_power)
    here = reverse("miner", args=[miner.address or miner.uuid])
    withdraw = reverse("miner-withdraw", args=[miner.address]) if miner.address else here
    yield Stat(
        "m-power",
        gettext("Power"),
        power,
        gettext("raw {raw_power}").format(raw_power=" ".join(formatting.size(miner.raw_power))),
        here,
        unit=unit,
    )
    yield Stat(
        "m-active",
        gettext("Active sectors"),
        formatting.whole(miner.active_sectors),
        live_text(miner),
        reverse("sectors"),
    )
    faulty = miner.faulty_sectors
    yield Stat(
        "m-faults",
        gettext("Faults"),
        formatting.whole(faulty),
        gettext("fee debt {fee_debt} FIL").format(fee_debt=formatting.fil(miner.fee_debt)),
        here,
        tone="bad" if faulty else "ok",
    )
    yield Stat(
        "m-available",
        gettext("Available"),
        formatting.fil_short(miner.available),
        gettext("of {balance} FIL").format(balance=formatting.fil(miner.balance)),
        withdraw,
        unit="FIL",
        tone="bad" if miner.available < 0 else "",
    )
    pledge, unit = formatting.amount_short(int(miner.pledge))
    yield Stat(
        "m-pledge", gettext("Pledge"), pledge, gettext("locked while sectors are live"), here, unit=unit
    )
    yield Stat(
        "m-locked",
        gettext("Vesting"),
        formatting.fil_short(miner.locked),
        gettext("deposits {deposits} FIL").format(deposits=formatting.fil(miner.deposits)),
        here,
        unit="FIL",
    )


def live_text(miner: Miner) -> str:
    """Return how many sectors live on the chain, and how many of them have no row."""
    text = gettext("{live_sectors} live").format(live_sectors=formatting.whole(miner.live_sectors))
    if not miner.unlisted_sectors:
        return text
    return gettext("{words}, {count} not in the database").format(
        words=text, count=formatting.whole(miner.unlisted_sectors)
    )
