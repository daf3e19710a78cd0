"""How a miner's data are made known to indexers: its advertisements, and what indexers say and fetch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.core import clock
from apps.core.formatting import whole
from apps.core.reasons import shown_text
from apps.dashboard.labels import StateLabel
from apps.market.selectors.discovery import Discovery, discovery_of

if TYPE_CHECKING:
    from apps.market.models import IndexerAnswer, MinerMarket


@dataclass(frozen=True, slots=True)
class IndexerRow:
    """An indexer with its last answer."""

    url: str
    label: StateLabel
    reason: str
    told_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReaderRow:
    """A reader with the last advertisement that it fetched."""

    address: str
    agent: str
    cid: str
    fetched_at: datetime
    label: StateLabel
    hashes_text: str


@dataclass(frozen=True, slots=True)
class DiscoveryFacts:
    """A miner's advertisements, as its page shows them."""

    label: StateLabel
    reason: str
    found: Discovery
    indexers: tuple[IndexerRow, ...]
    readers: tuple[ReaderRow, ...]


def discovery_facts(market: MinerMarket) -> DiscoveryFacts | None:
    """Return how data are made known; None where the miner serves none and never did."""
    found = discovery_of(market, now=clock.now())
    if found.chain is None and not market.serves_data:
        return None
    head = "" if found.chain is None else found.chain.head
    return DiscoveryFacts(
        label=_state(found),
        reason=shown_text(found.reason),
        found=found,
        indexers=tuple(_indexer(url, row, head=head) for url, row in found.answers.items()),
        readers=tuple(
            ReaderRow(
                row.address, row.agent, row.cid, row.fetched_at, _progress(row.cid, head), _hashes(row.hashes)
            )
            for row in found.fetches
        ),
    )


def _state(found: Discovery) -> StateLabel:
    if found.reason:
        return StateLabel("warn", _("held up"))
    if found.waiting:
        return StateLabel("run", _("being signed"))
    if found.missing:
        return StateLabel("run", _("not complete yet"))
    if found.chain is None or not found.chain.length:
        return StateLabel("idle", _("nothing to advertise yet"))
    return StateLabel("ok", _("up to date"))


def _indexer(url: str, row: IndexerAnswer | None, *, head: str) -> IndexerRow:
    if row is None:
        return IndexerRow(url, StateLabel("idle", _("not told yet")), "", None)
    if row.reason:
        label = StateLabel("bad", _("did not take it"))
    elif row.head == head:
        label = StateLabel("ok", _("knows the newest"))
    else:
        label = StateLabel("run", _("knows an earlier one"))
    return IndexerRow(url, label, shown_text(row.reason), row.told_at)


def _hashes(count: int) -> str:
    if not count:
        return ""
    return ngettext("%(count)s multihash in all", "%(count)s multihashes in all", count) % {
        "count": whole(count)
    }


def _progress(cid: str, head: str) -> StateLabel:
    if not cid:
        return StateLabel("idle", _("fetched no advertisement"))
    return StateLabel("ok", _("the newest")) if cid == head else StateLabel("run", _("an earlier one"))
