"""Network upgrades that the nodes announce, and whether each node is ready for the next one.

A node's release knows an upgrade or does not; it tells by the epochs in its own StateGetNetworkParams.  One
that does not know the next upgrade leaves the network's chain at that epoch.
Source: lotus api/types.go ForkUpgradeParams, build/buildconstants; venus venus-shared/types/api_types.go.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext

from apps.chain.models import Network, Node
from apps.chain.selectors.heads import head_current

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FAR_EPOCHS: Final = 5_256_000
"""Five years of 30 s: an upgrade further away has no date yet."""

NETWORK_VERSIONS: Final = {
    "Shark": 17,
    "Hygge": 18,
    "Lightning": 19,
    "Thunder": 20,
    "Watermelon": 21,
    "Dragon": 22,
    "Waffle": 23,
    "Tuktuk": 24,
    "Teep": 25,
    "Tock": 26,
    "GoldenWeek": 27,
    "FireHorse": 28,
}
"""The network version that an upgrade begins.  Source: go-state-types network/version.go."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A network upgrade that the nodes know the epoch of."""

    name: str
    height: int

    @property
    def network_version(self) -> int | None:
        """The version that it begins, None for a name that we do not know."""
        return NETWORK_VERSIONS.get(self.name)

    @property
    def short(self) -> str:
        """Return what it is called where room is short: `nv28`."""
        return self.name if self.network_version is None else f"nv{self.network_version}"

    @property
    def title(self) -> str:
        """Its name with the version, as `FireHorse (nv28)`."""
        return self.name if self.network_version is None else f"{self.name} (nv{self.network_version})"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a node takes part in an upgrade."""

    upgrade: Upgrade
    is_ready: bool | None
    """None if the node has not told its upgrades."""
    reason: str
    """In words, for people."""


def heights_of(params: Any) -> dict[str, int]:
    """Read the epochs of upgrades out of a node's network parameters, by the upgrade's name."""
    known = params.get("ForkUpgradeParams") if isinstance(params, dict) else None
    if not isinstance(known, dict):
        return {}
    return {
        name.removeprefix("Upgrade").removesuffix("Height")[:100]: at
        for name, at in known.items()
        if isinstance(name, str)
        and name.endswith("Height")
        and isinstance(at, int)
        and not isinstance(at, bool)
        and abs(at) < 1 << 62
    }


def is_coming(at: int, height: int) -> bool:
    """Return whether an epoch lies ahead and is a date."""
    return height < at < height + FAR_EPOCHS


def upgrades_after(height: int) -> list[Upgrade]:
    """Return the upgrades that nodes announce for epochs above `height`, the next one first.

    Where nodes disagree, most of them are right.  Nodes write an epoch in the far future for an upgrade
    without a date; such ones are left out.
    """
    row = Network.objects.first()
    reported = list(Node.objects.filter(is_enabled=True).values_list("upgrades", flat=True))
    return upgrades_among([*reported, heights_of(row.params) if row is not None else {}], height)


def upgrades_among(reported: Iterable[Mapping[str, int]], height: int) -> list[Upgrade]:
    """Return the coming upgrades of several nodes' lists."""
    votes: dict[str, Counter[int]] = {}
    for heights in reported:
        for name, at in heights.items():
            if is_coming(at, height):
                votes.setdefault(name, Counter())[at] += 1
    coming = [Upgrade(name, max(counts, key=lambda at: (counts[at], -at))) for name, counts in votes.items()]
    return sorted(coming, key=lambda one: (one.height, one.name))


def upgrade_next() -> Upgrade | None:
    """Return the next upgrade after the newest head; None if no node announces one."""
    head = head_current()
    coming = [] if head is None else upgrades_after(head.height)
    return coming[0] if coming else None


def readiness(node: Node, upgrade: Upgrade) -> Readiness:
    """Return whether a node is ready for an upgrade."""
    if not node.upgrades:
        return Readiness(upgrade, None, gettext("it does not report which upgrades it supports"))
    at = node.upgrades.get(upgrade.name)
    if at == upgrade.height:
        return Readiness(upgrade, True, gettext("its release supports it"))
    if at is None:
        return Readiness(upgrade, False, gettext("its release does not support it: install a newer one"))
    if at >= upgrade.height + FAR_EPOCHS:
        return Readiness(upgrade, False, gettext("its release has no epoch for it: install a newer one"))
    return Readiness(
        upgrade,
        False,
        gettext("it expects it at epoch {at:,}, not {height:,}").format(at=at, height=upgrade.height),
    )


def nodes_readiness(height: int) -> list[tuple[Node, Readiness]]:
    """Return the enabled nodes and how they stand to the next upgrade; none if no upgrade is announced."""
    coming = upgrades_after(height)
    if not coming:
        return []
    return [(node, readiness(node, coming[0])) for node in Node.objects.filter(is_enabled=True)]


def nodes_unready(height: int) -> list[tuple[Node, Readiness]]:
    """Return the enabled nodes that are not ready for the next upgrade."""
    return [(node, one) for node, one in nodes_readiness(height) if one.is_ready is False]
