"""The epochs and amounts that matter to a sector, and what else is known of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.cards import Fact
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.clocks import Clock, sealing_clocks
from apps.dashboard.pages.sectors.countdown import expires_in, has_expired
from apps.dashboard.pages.sectors.rows import place_text
from poolsite.filecoin.cids import commd_cid, commr_cid
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.pipeline import SectorState

if TYPE_CHECKING:
    from apps.sectors.models import Sector


def sector_clocks(sector: Sector, data: PageData) -> Iterable[Clock]:
    """Yield the epochs that matter to a sector."""
    yield from sealing_clocks(sector, data)
    key = (sector.miner_id, sector.deadline) if sector.deadline is not None else None
    deadline = data.deadlines.get(key) if key is not None else None
    is_over = sector.state == SectorState.TERMINATED or has_expired(sector, data)
    if is_over:
        yield Clock("deadline", gettext("Deadline"), formatting.NOTHING, gettext("no longer proven"))
    elif deadline is not None and data.clock is not None:
        is_ahead = deadline.open_epoch > data.clock.epoch
        epoch = deadline.open_epoch if is_ahead else deadline.close_epoch
        yield Clock(
            "deadline",
            gettext("Deadline {index}").format(index=deadline.index),
            formatting.time_left(data.clock.left_s(epoch)),
            gettext("until it {word} at epoch {epoch}").format(
                word=gettext("opens") if is_ahead else gettext("closes"), epoch=formatting.whole(epoch)
            ),
            until=data.clock.starts_at(epoch),
        )
    else:
        yield Clock(
            "deadline", gettext("Deadline"), formatting.NOTHING, gettext("known once the commit has landed")
        )
    if sector.initial_pledge:
        locked, unit = formatting.amount_short(int(sector.initial_pledge))
        foot = gettext("released") if is_over else gettext("locked for its lifetime")
        yield Clock("pledge", gettext("Pledge"), locked, foot, unit=unit)
    else:
        yield Clock("pledge", gettext("Pledge"), formatting.NOTHING, gettext("locked when the commit lands"))
    end = gettext("set by the pre-commit") if sector.expiration is None else expiry_text(sector)
    yield Clock("expires", gettext("Expires in"), expires_in(sector, data), end)


def expiry_text(sector: Sector) -> str:
    """Return when it ends, on the chain's own clock."""
    return gettext("at epoch {expiration}").format(expiration=formatting.whole(sector.expiration))


def sector_facts(sector: Sector) -> Iterable[Fact]:
    """Yield what the console knows of a sector, in the field's words."""
    yield Fact(_("Id"), str(sector.uuid), mono=True)
    yield Fact(_("Seal proof"), RegisteredSealProof(sector.seal_proof).name)
    if sector.comm_d is not None:
        yield Fact(_("CommD"), str(commd_cid(bytes(sector.comm_d))), mono=True)
    if clients := [piece for piece in sector.pieces if piece.get("payload")]:
        bytes_text = " ".join(formatting.size(sum(piece["payload"] for piece in clients)))
        yield Fact(_("Data"), list_text((plural(len(clients), "piece"), bytes_text)))
    if sector.comm_r is not None:
        yield Fact(_("CommR"), str(commr_cid(bytes(sector.comm_r))), mono=True)
    yield Fact(_("Pre-commit epoch"), formatting.whole(sector.precommit_epoch))
    yield Fact(_("Activation"), formatting.whole(sector.activation))
    yield Fact(_("Deadline / partition"), place_text(sector))
    yield Fact(_("Store"), sector.store or formatting.NOTHING)
