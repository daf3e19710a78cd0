"""Settings of a rule that extends sectors: how a row keeps them, and which make no sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from apps.automation.states import SectorData
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.sectors.rules.sector_names import sector_name_parse
from poolsite.filecoin.amounts import TOTAL_FILECOIN

DAYS_MAX: Final = 5 * 366
DAY_SECTORS_MAX: Final = 100_000
EXCLUDED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendSpec:
    """Which sectors are extended, how far, and at what price."""

    miner: str = ""
    """f0; empty: every miner of the tenant."""
    size: int = 0
    """Bytes of a sector; 0: any."""
    data: str = SectorData.ANY
    remaining_days: int
    """Sectors that end within so many days."""
    age_days: int = 0
    """Only sectors that were activated so long ago; 0: any."""
    to_days: int = 0
    """How long they then have; 0: as long as the chain takes with all their claims."""
    gas_max: int = 0
    """Most attoFIL that the gas of one sector may cost, as its trial expects; 0: any."""
    day_sectors: int
    """Most sectors that are extended in a UTC day."""
    excluded: tuple[str, ...] = ()
    """Sectors that are left alone, as `f01004-12`."""

    @property
    def excluded_numbers(self) -> set[tuple[int, int]]:
        """Miner and number of each sector that is left alone."""
        return {found for name in self.excluded if (found := sector_name_parse(name)) is not None}


def extend_spec_read(settings: Mapping[str, Any]) -> ExtendSpec:
    """Return a rule's settings as its row keeps them."""
    own = {"gas_max": int(settings["gas_max"]), "excluded": tuple(settings["excluded"])}
    return ExtendSpec(**{**settings, **own})


def extend_spec_write(spec: ExtendSpec) -> dict[str, Any]:
    """Return settings as a row keeps them."""
    values = {one.name: getattr(spec, one.name) for one in fields(spec)}
    return {**values, "gas_max": str(spec.gas_max), "excluded": list(spec.excluded)}


def extend_spec_check(spec: ExtendSpec) -> None:
    """Refuse what makes no sense for any chain.  Raises BadValue naming the field."""
    for name, least in (("remaining_days", 1), ("age_days", 0), ("to_days", 0)):
        if not least <= getattr(spec, name) <= DAYS_MAX:
            raise BadValue(
                gettext("must be from {least} to {most} days").format(least=least, most=DAYS_MAX), field=name
            )
    if spec.to_days and spec.to_days <= spec.remaining_days:
        raise BadValue(gettext("must be above the days within which sectors end"), field="to_days")
    if not 1 <= spec.day_sectors <= DAY_SECTORS_MAX:
        raise BadValue(gettext("a rule needs a daily limit"), field="day_sectors")
    if not 0 <= spec.gas_max <= TOTAL_FILECOIN:
        raise BadValue(gettext("the amount must be from 0 to the total FIL supply"), field="gas_max")
    if spec.data not in SectorData.values:
        names = ", ".join(SectorData.values)
        raise BadValue(gettext("must be one of {names}").format(names=names), field="data")
    _excluded_check(spec.excluded)


def _excluded_check(names: Sequence[str]) -> None:
    if len(names) > EXCLUDED_MAX:
        raise BadValue(gettext("at most {most} sectors").format(most=EXCLUDED_MAX), field="excluded")
    for name in names:
        if sector_name_parse(name) is None:
            raise BadValue(gettext("{name} is no sector as in f01004-12").format(name=name), field="excluded")
