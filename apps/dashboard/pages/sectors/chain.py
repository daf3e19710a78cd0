"""A sector as the chain has it, beside the database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.client import page_client
from apps.core.formatting import NOTHING, fil, size, whole
from apps.dashboard.cards import Fact
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.rows import sector_row
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.sectors.onchain.live_sectors import LiveSector, live_sectors_read
from apps.sectors.onchain.sectors import OnPreCommit, precommits_read
from apps.sectors.selectors.sectors import sector_get
from apps.users.rules.principals import Principal
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET
from poolsite.wire.pipeline import SectorState

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.chain.models import Head
    from apps.sectors.models import Sector

ENDED: Final = (SectorState.TERMINATED, SectorState.ABORTED)
WHY: Final[dict[str, StrOrPromise]] = {
    "precommit": _("The pre-commit landed at another epoch, or another program sent one."),
    "there": _("The chain has ended this sector, or another program sent its messages."),
    "activation": _("An update or another program activated it anew."),
    "expiration": _("Another program extended it, or its extension is not read yet."),
    "pledge": _("An update or an extension changed what is locked since its commit was read."),
    "place": _("Its partitions were compacted; the place is read anew with the next window."),
    "active": _("It became faulty or recovered since the miner's deadlines were last read."),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One fact as the chain has it and as the database has it."""

    title: StrOrPromise
    chain: str
    database: str
    why: StrOrPromise = ""
    """The usual cause of a difference."""


def comparisons(
    sector: Sector, live: LiveSector | None, precommit: OnPreCommit | None
) -> Iterator[Comparison]:
    """Yield the facts that both have."""
    if live is None:
        # A pre-commit ends with the proof, or with the sector: the row goes on to say when it was.
        if precommit is not None or (sector.activation is None and sector.state not in ENDED):
            epoch = None if precommit is None else precommit.epoch
            yield _compared("precommit", _("Pre-commit epoch"), epoch, sector.precommit_epoch)
        is_expected = sector.activation is not None and sector.state not in ENDED
        yield Comparison(
            _("Proven"), _word(is_true=False), _word(is_true=is_expected), WHY["there"] if is_expected else ""
        )
        return
    yield _compared("activation", _("Activation"), live.activation, sector.activation)
    yield _compared("expiration", _("Expiration"), live.expiration, sector.expiration)
    pledge = int(sector.initial_pledge)
    yield Comparison(
        _("Pledge"),
        f"{fil(live.pledge)} FIL",
        f"{fil(pledge)} FIL" if pledge else NOTHING,
        WHY["pledge"] if live.pledge != pledge else "",
    )
    place = (live.deadline, live.partition)
    yield Comparison(
        _("Deadline / partition"),
        "{} / {}".format(*place),
        f"{sector.deadline} / {sector.partition}" if sector.deadline is not None else NOTHING,
        WHY["place"] if place != (sector.deadline, sector.partition) else "",
    )
    yield Comparison(
        _("Counts as power"),
        _word(is_true=live.is_active),
        _word(is_true=sector.active),
        WHY["active"] if live.is_active != sector.active else "",
    )


def _compared(name: str, title: StrOrPromise, chain: int | None, database: int | None) -> Comparison:
    """Compare two epochs."""
    return Comparison(title, whole(chain), whole(database), WHY[name] if chain != database else "")


def _word(*, is_true: bool) -> str:
    return gettext("yes") if is_true else gettext("no")


def chain_facts(live: LiveSector, *, height: int) -> Iterator[Fact]:
    """Yield what only the chain has."""
    yield Fact(_("Faulty"), _word(is_true=live.is_faulty))
    verified = live.verified_weight // max(live.expiration - live.power_base, 1)
    yield Fact(_("Verified data"), " ".join(size(verified)) if verified else NOTHING)
    yield Fact(_("Power"), " ".join(size(live.power)))
    yield Fact(_("Daily fee"), f"{fil(live.daily_fee)} FIL")
    paid = live.daily_fee * max(height - live.activation, 0) // EPOCHS_PER_DAY_MAINNET
    fees = gettext("about {fil} FIL").format(fil=fil(paid))
    yield Fact(_("Fees since activation"), fees if live.daily_fee else f"{fil(0)} FIL")


def sector_chain_read(sector: Sector, head: Head) -> tuple[LiveSector | None, OnPreCommit | None]:
    """Return the sector as a node has it: proven, pre-committed, or neither.

    Raises NodeRefused, NodeUnavailable.
    """
    client, address, numbers = page_client(), sector.miner.address, [sector.number]
    live = live_sectors_read(client, address, numbers, size=sector.sector_size, key=head.key)
    if sector.number in live:
        return live[sector.number], None
    return None, precommits_read(client, address, numbers, head.key)[sector.number]


@require_safe
@sign_in_required
def sector_chain(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Show a sector's facts on chain beside those of the database."""
    row = sector_get(viewer, str(key))
    data = PageData(viewer)
    lines: tuple[Comparison, ...] = ()
    facts: tuple[Fact, ...] = ()
    wrong = ""
    unknown = gettext("no node responds: what the chain has is unknown")
    if data.head is None:
        wrong = unknown
    else:
        try:
            live, precommit = sector_chain_read(row, data.head)
            lines = tuple(comparisons(row, live, precommit))
            if live is not None:
                facts = tuple(chain_facts(live, height=data.head.height))
        except NodeUnavailable:  # its words name the node's address
            wrong = unknown
        except NodeRefused as refusal:
            wrong = refusal_text(refusal)
    name = sector_row(row, data=data).name
    return page_render(
        request,
        "sectors/chain.html",
        title=gettext("{name} on the chain").format(name=name),
        section="sectors",
        data=data,
        sector=row,
        name=name,
        head=data.head,
        lines=lines,
        facts=facts,
        wrong=wrong,
        differences=sum(1 for line in lines if line.why),
    )


urlpatterns: Final = [path("sectors/<uuid:key>/chain/", sector_chain, name="sector-chain")]
