"""The one table of network upgrades: their names and the network versions that they begin.

Source: lotus api/types.go ForkUpgradeParams, chain/consensus/filcns/upgrades.go; go-state-types
network/version.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class NetworkUpgrade:
    """One upgrade of the network, whichever epoch a network has it at."""

    name: str
    """As in ForkUpgradeParams, which calls its epoch `Upgrade<name>Height`."""
    version: int | None
    """Network version that it begins; None for one that leaves the version as it is."""


UPGRADES: Final = (
    NetworkUpgrade("Smoke", 2),
    NetworkUpgrade("Breeze", 1),
    NetworkUpgrade("Ignition", 3),
    NetworkUpgrade("Liftoff", None),
    NetworkUpgrade("Assembly", 4),
    NetworkUpgrade("Refuel", None),
    NetworkUpgrade("Tape", 5),
    NetworkUpgrade("Kumquat", 6),
    NetworkUpgrade("Calico", 7),
    NetworkUpgrade("Persian", 8),
    NetworkUpgrade("Orange", 9),
    NetworkUpgrade("Claus", None),
    NetworkUpgrade("Trust", 10),
    NetworkUpgrade("Norwegian", 11),
    NetworkUpgrade("Turbo", 12),
    NetworkUpgrade("Hyperdrive", 13),
    NetworkUpgrade("Chocolate", 14),
    NetworkUpgrade("OhSnap", 15),
    NetworkUpgrade("Skyr", 16),
    NetworkUpgrade("Shark", 17),
    NetworkUpgrade("Hygge", 18),
    NetworkUpgrade("Lightning", 19),
    NetworkUpgrade("Thunder", 20),
    NetworkUpgrade("Watermelon", 21),
    NetworkUpgrade("Dragon", 22),
    NetworkUpgrade("Phoenix", None),
    NetworkUpgrade("Waffle", 23),
    NetworkUpgrade("Tuktuk", 24),
    NetworkUpgrade("Teep", 25),
    NetworkUpgrade("Tock", 26),
    NetworkUpgrade("GoldenWeek", 27),
    NetworkUpgrade("FireHorse", 28),
)
"""All upgrades in the order of ForkUpgradeParams; a new one goes to the end."""
PREMIUM_BASE_FEE_VERSION: Final = 28
"""Network version from which the base fee follows premiums (FIP-0115)."""


def upgrade_version(name: str) -> int | None:
    """Return the network version that an upgrade begins; None for a name that the table lacks."""
    return next((upgrade.version for upgrade in UPGRADES if upgrade.name == name), None)


def version_at(epoch: int, *, heights: Mapping[str, int], reported: int) -> int:
    """Return the network version that executes the messages of a tipset at an epoch.

    An upgrade's own epoch still has the version before.  `heights` are the epochs of upgrades by name;
    `reported` is the version of the newest head, which tells whether an upgrade that has no epoch there, or
    that the table lacks, is in force.  Source: lotus chain/stmgr/stmgr.go GetNetworkVersion.
    """
    versions = [0]
    for upgrade in UPGRADES:
        version, height = upgrade.version or 0, heights.get(upgrade.name)
        if version <= reported if height is None else height < epoch:
            versions.append(version)
    is_listed = any(upgrade.version == reported for upgrade in UPGRADES)
    return max(versions) if is_listed else max(*versions, reported)


def heights_read(params: Any) -> dict[str, int]:
    """Return the epochs of upgrades in a node's StateGetNetworkParams, by the upgrade's name."""
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
