"""Network upgrades that the nodes announce, and whether each node is ready for the next one.

A node's release knows an upgrade or does not; it tells by the epochs in its own StateGetNetworkParams.  One
that does not know the next upgrade leaves the network's chain at that epoch.
Source: lotus api/types.go ForkUpgradeParams, build/buildconstants; venus venus-shared/types/api_types.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from apps.chain.models import Node
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_bound, network_current
from apps.core.marked_texts import gettext
from poolsite.filecoin.actors.decode import method_spec
from poolsite.filecoin.upgrades import heights_read, upgrade_version, version_at

FAR_EPOCHS: Final = 5_256_000
"""Five years of 30 s: an upgrade further away has no date yet."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A network upgrade that the nodes know the epoch of."""

    name: str
    height: int

    @property
    def network_version(self) -> int | None:
        """The version that it begins, None for a name that we do not know."""
        return upgrade_version(self.name)

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


def is_coming(at: int, height: int) -> bool:
    """Return whether an epoch lies ahead and is a date."""
    return height < at < height + FAR_EPOCHS


def upgrades_after(height: int) -> list[Upgrade]:
    """Return the upgrades that nodes announce for epochs above `height`, the next one first.

    Where nodes disagree, most of them are right.  Nodes write an epoch in the far future for an upgrade
    without a date; such ones are left out.
    """
    return upgrades_among(heights_reported(), height)


def heights_reported() -> list[Mapping[str, int]]:
    """Return each enabled node's epochs of upgrades, and those that the network was bound with."""
    row = network_bound()
    reported = Node.objects.filter(is_enabled=True).values_list("upgrades", flat=True)
    return [*reported, heights_read(row.params) if row is not None else {}]


def network_version_at(epoch: int) -> int:
    """Return the network version that executes messages at an epoch, by what most nodes say of upgrades.

    Raises NetworkUnknown until a node has told the network's rules once.
    """
    network = network_current()
    votes = _votes(heights_reported())
    heights = dict(network.upgrades) | {name: _agreed(counts) for name, counts in votes.items()}
    began = {name: at for name, at in heights.items() if at >= 0}
    return version_at(epoch, heights=began, reported=network.network_version)


def params_version(kind: str, method: int, *, height: int) -> int | None:
    """Return the network version whose form a method's parameters have in a tipset at `height`.

    None where there is one form only, or where no height is known.
    """
    spec = method_spec(kind, method)
    return network_version_at(height) if height and spec is not None and spec.earlier else None


def upgrades_among(reported: Iterable[Mapping[str, int]], height: int) -> list[Upgrade]:
    """Return the coming upgrades of several nodes' lists."""
    dated = [{name: at for name, at in known.items() if is_coming(at, height)} for known in reported]
    coming = [Upgrade(name, _agreed(counts)) for name, counts in _votes(dated).items()]
    return sorted(coming, key=lambda one: (one.height, one.name))


def _votes(reported: Iterable[Mapping[str, int]]) -> dict[str, Counter[int]]:
    """Return by upgrade how many nodes name which epoch."""
    votes: dict[str, Counter[int]] = {}
    for heights in reported:
        for name, at in heights.items():
            votes.setdefault(name, Counter())[at] += 1
    return votes


def _agreed(counts: Counter[int]) -> int:
    """Return the epoch that most nodes name; of several the earliest."""
    return max(counts, key=lambda at: (counts[at], -at))


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
