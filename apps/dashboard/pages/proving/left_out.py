"""Sectors that a proof left out, by name, with the host and path where their files should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from apps.core import clock
from apps.core.formatting import plural
from apps.core.languages import clauses_text, list_text
from apps.core.stored_texts import stored_text
from apps.proving.selectors.sector_places import sector_places
from apps.sectors.selectors.sectors import sectors_numbered

if TYPE_CHECKING:
    from apps.proving.models import WindowPost
    from apps.proving.selectors.sector_places import SectorPlace
    from apps.sectors.models import Sector
    from apps.users.rules.principals import Principal

NAMED_MAX: Final = 3
"""Sectors of a proof that are named: each costs a few questions."""


def left_out_text(post: WindowPost, viewer: Principal) -> str:
    """Return what a proof left out and where its files should be; empty where it left out nothing."""
    numbers = sorted(number for part in post.skipped.values() for number in part)
    if not numbers:
        return ""
    known = sectors_numbered(post.miner_id, numbers[:NAMED_MAX])
    named = [_named(number, known.get(number), viewer) for number in numbers[:NAMED_MAX]]
    if len(numbers) > NAMED_MAX:
        named.append(gettext("and {count} more").format(count=len(numbers) - NAMED_MAX))
    return gettext("{sectors} skipped: {named}").format(
        sectors=plural(len(numbers), "sector"), named=clauses_text(named)
    )


def _named(number: int, sector: Sector | None, viewer: Principal) -> str:
    """Return a sector with host, path and what is wrong there."""
    places = [] if sector is None else sector_places(sector, viewer=viewer, now=clock.now())
    stored = [place for place in places if place.store]
    if not stored:
        return gettext("{number}, in no known store").format(number=number)
    return f"{number} " + list_text(_where(place) for place in stored)


def _where(place: SectorPlace) -> str:
    where = (
        gettext("on {host}, {path}").format(host=place.host, path=place.path)
        if place.host
        else gettext("in store {store}, attached to no host").format(store=place.store)
    )
    return f"{where} ({stored_text(place.reason)})" if place.reason else where
