"""The sentence below a sector's name: where it stands, and what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.text import capfirst
from django.utils.translation import gettext

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import sentence_text
from apps.core.reasons import shown_text
from apps.dashboard.labels import STAGES
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.countdown import has_expired
from apps.dashboard.pages.sectors.rows import SectorRow
from apps.sectors.rules.batches import KINDS
from apps.sectors.rules.policy import BASE_FEES
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.sector_waits import ERROR_MAX, queue_place
from apps.sectors.selectors.sectors import sectors_sharing
from poolsite.wire.pipeline import SectorState, Stage

if TYPE_CHECKING:
    from apps.sectors.models import Sector


def sector_verdict(sector: Sector, row: SectorRow, data: PageData) -> tuple[str, str]:
    """Return the sentence below a sector's name."""
    if sector.paused_at is not None and sector.paused_by:
        return (
            gettext("Paused."),
            gettext("{capitalize}; retry it to continue in {stages}.").format(
                capitalize=capfirst(shown_text(sector.error)), stages=STAGES[sector.stage]
            ),
        )
    if sector.paused_at is not None:
        return gettext("{stages} failed:").format(stages=STAGES[sector.stage]), sentence_text(
            shown_text(sector.error)
        )
    files = (
        gettext("its files stay on disk")
        if sector.removal_asked_at is None
        else gettext("its hosts were told to remove its files")
    )
    if sector.state == SectorState.TERMINATED:
        return gettext("Terminated."), gettext("Its pledge is released and its power lost; {files}.").format(
            files=files
        )
    if has_expired(sector, data):
        return gettext("Expired."), gettext("It has ended on chain; {files}.").format(files=files)
    if sector.stage == Stage.PROVING and sector.active:
        return gettext("Active."), gettext("It is proven in every proving period.")
    if sector.stage == Stage.PROVING:
        is_recovering = data.faults.get((sector.miner_id, sector.number))
        if is_recovering is None:
            return gettext("Sealed."), gettext("Its first proof makes it active.")
        if is_recovering:
            return gettext("Recovering."), gettext("Its next proof makes it active again.")
        return gettext("Faulty."), gettext("It regains its power once its recovery is declared and proven.")
    odd = str(row.countdown.say) if row.countdown.tone == "warn" else ""
    rest = batch_text(sector, data) or (odd and sentence_text(capfirst(odd))) or queue_text(sector)
    if sector.error and sector.error[:ERROR_MAX] not in odd:
        rest = (
            gettext("{rest} Last failure: {error}").format(rest=rest, error=shown_text(sector.error)).strip()
        )
    return sentence_text(capfirst(row.label.word)), rest


def queue_text(sector: Sector) -> str:
    """Return what is begun before a new sector; empty for one that a host has begun."""
    if (place := queue_place(sector)) is None:
        return ""
    miner = sector.miner.address
    text = (
        gettext("Begun before it: {sectors} of {miner}.").format(
            sectors=plural(place.before, "sector"), miner=miner
        )
        if place.before
        else gettext("It is the next sector of {miner} that is begun.").format(miner=miner)
    )
    if not place.miners:
        return text
    return gettext("{text} Sectors of {miners} of the same tenant are begun in turn with these.").format(
        text=text, miners=plural(place.miners, "other miner")
    )


def batch_text(sector: Sector, data: PageData) -> str:
    """Return what a batch that this sector waits in waits for; empty for any other sector."""
    policy = batch_policy(sector.miner)
    kinds = {str(rules.waits_in): rules.kind for rules in KINDS.values()}
    if (kind := kinds.get(sector.state)) is None:
        return ""
    most = getattr(policy, f"{kind}_batch_max")
    full = gettext("{sectors} of at most {most} waiting to share a message").format(
        sectors=plural(sectors_sharing(sector), "sector"), most=most
    )
    base_fee = 0 if data.head is None else int(data.head.base_fee)
    if policy.is_held(kind, base_fee):
        limit = formatting.fee_text(getattr(policy, BASE_FEES[kind]))
        return gettext("{full}; on hold until the base fee falls from {base_fee} to {limit}.").format(
            full=full, base_fee=formatting.fee_text(base_fee), limit=limit
        )
    return gettext("{full}; a single sector is sent at once if no others are coming.").format(full=full)
