"""The clocks of a sector that is sealed: until when the chain takes its ticket and keeps its deposit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from apps.chain.selectors.status import EpochClock
from apps.checks.findings.sealing_clocks import DEPOSIT_S, ticket_needed
from apps.core import formatting
from apps.dashboard.page_data import PageData
from apps.sectors.selectors.sectors import DEPOSIT_OVER
from apps.sectors.services.sealing.tickets import ticket_lifetime_read
from poolsite.filecoin.policy import Network
from poolsite.wire.pipeline import ChainClock, SectorState, states_on_clock

if TYPE_CHECKING:
    from apps.sectors.models import Sector

BEFORE_PRECOMMIT: Final = states_on_clock(ChainClock.TICKET)
"""A ticket that no pre-commit on the chain has used yet."""
BEFORE_COMMIT: Final = states_on_clock(ChainClock.DEPOSIT)
"""A deposit that waits for its proof."""


@dataclass(frozen=True, slots=True)
class Clock:
    """One of a sector's clocks."""

    key: str
    label: str
    value: str
    foot: str
    unit: str = ""
    tone: str = ""
    until: int | None = None


def sealing_clocks(sector: Sector, data: PageData) -> Iterable[Clock]:
    """Return ticket, seed and deposit: the time that is left where it runs, else what became of them."""
    state = sector.state
    clock, network = data.clock, data.network
    ticket, paid = sector.ticket_epoch, sector.precommit_epoch
    if clock is None or network is None:
        yield from _still(sector)
        return
    if ticket is not None and state in BEFORE_PRECOMMIT:
        life = ticket_lifetime_read(sector, network=network)
        amber = ticket_needed(data, network, proof=sector.seal_proof, state=state, life=life)
        yield _expiring("ticket", gettext("Ticket expires in"), ticket, life, amber=amber, clock=clock)
    else:
        yield _ticket(sector)
    if paid is not None and state == SectorState.PRECOMMIT_LANDED and sector.is_interactive:
        yield _seed_coming(paid, network, clock)
    else:
        yield _seed(sector)
    if paid is not None and state in BEFORE_COMMIT and sector.is_interactive:
        life = network.max_prove_commit_duration
        amber = min(DEPOSIT_S // network.epoch_s, life // 10)
        yield _expiring("deposit", gettext("Deposit lost in"), paid, life, amber=amber, clock=clock)
    else:
        yield _deposit(sector)


def _expiring(key: str, label: str, since: int, life: int, *, amber: int, clock: EpochClock) -> Clock:
    """Return a life that ends: amber from where it is a to-do on, red in the last third of that."""
    end = since + life
    left = end - clock.epoch
    tone = "bad" if 3 * left <= amber else "warn" if left <= amber else "ok"
    return Clock(
        key,
        label,
        formatting.time_left(clock.left_s(end)) if left > 0 else gettext("expired"),
        gettext("at epoch {end}, counted from {since}").format(
            end=formatting.whole(end), since=formatting.whole(since)
        ),
        tone=tone,
        until=clock.starts_at(end) if left > 0 else None,
    )


def _seed_coming(paid: int, network: Network, clock: EpochClock) -> Clock:
    epoch = paid + network.pre_commit_challenge_delay
    read = epoch + network.confidences.seed
    if read <= clock.epoch:
        foot = gettext("drawn at epoch {epoch}, about to be read").format(epoch=formatting.whole(epoch))
        return Clock("seed", gettext("Seed"), formatting.whole(epoch), foot)
    return Clock(
        "seed",
        gettext("Seed available in"),
        formatting.time_left(clock.left_s(read)),
        gettext("drawn at epoch {epoch}").format(epoch=formatting.whole(epoch)),
        until=clock.starts_at(read),
    )


def _still(sector: Sector) -> Iterable[Clock]:
    """Return the three while no chain can be read."""
    return (_ticket(sector), _seed(sector), _deposit(sector))


def _ticket(sector: Sector) -> Clock:
    foot = gettext("epoch it was drawn") if sector.ticket_epoch is not None else gettext("drawn before PC1")
    return Clock("ticket", gettext("Ticket"), formatting.whole(sector.ticket_epoch), foot)


def _seed(sector: Sector) -> Clock:
    if not sector.is_interactive:
        return Clock("seed", gettext("Seed"), formatting.NOTHING, gettext("none: sealed non-interactively"))
    foot = (
        gettext("epoch of the challenge")
        if sector.seed_epoch is not None
        else gettext("follows the pre-commit")
    )
    return Clock("seed", gettext("Seed"), formatting.whole(sector.seed_epoch), foot)


def _deposit(sector: Sector) -> Clock:
    if not sector.is_interactive:
        foot = gettext("none without a pre-commit")
    elif sector.precommit_epoch is None:
        foot = (
            gettext("none was locked")
            if sector.state == SectorState.ABORTED
            else gettext("locked by the pre-commit")
        )
    elif sector.state == SectorState.ABORTED:
        foot = gettext("lost, unless its commit landed")
    elif sector.state in DEPOSIT_OVER:
        foot = gettext("returned when the commit landed")
    else:
        foot = gettext("locked since epoch {precommit_epoch}").format(
            precommit_epoch=formatting.whole(sector.precommit_epoch)
        )
    return Clock("deposit", gettext("Deposit"), formatting.NOTHING, foot)
