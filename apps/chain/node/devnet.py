"""What a devnet's node tells about itself: its clock, its message pool, its faults.

Only our devnet has these methods; a node that answers them says that nothing on its chain is worth anything.
Source: poolsite/devnet/rpc/fault_injection.py, poolsite/devnet/faults.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from apps.chain.errors import NodeRefused
from apps.chain.models import Node
from apps.chain.node.link import link_to
from apps.core.marked_texts import gettext

READ_TIMEOUT_S: Final = 3.0
"""For questions; faults do not slow the `Devnet.*` methods down."""

FaultValue = bool | int | float | str

FAULT_DEFAULTS: Final[dict[str, FaultValue]] = {
    "mining": "auto",
    "nullLeft": 0,
    "flapLeft": 0,
    "spikeLeft": 0,
    "baseFeeFloor": 0,
    "withholdPost": False,
    "loseSector": False,
    "hideMessages": False,
    "inclusionDelay": 0,
    "dropNext": 0,
    "dropShare": 0.0,
    "lagMs": 0,
    "jitterMs": 0,
    "lagMethods": "",
    "stallRandomness": False,
    "beaconLateMs": 0,
    "errorMethods": "",
    "errorShare": 1.0,
    "errorCode": 1,
    "errorText": "injected error",
    "garbageMethods": "",
    "freezeHead": False,
    "behind": 0,
    "networkName": "",
    "duplicateNotifications": False,
}
"""Each fault with the value at which the node behaves."""


@dataclass(frozen=True, slots=True)
class DevnetState:
    """State of a devnet's node."""

    network: str
    height: int
    null_rounds: int
    """Epochs without a block since genesis."""
    pending: int
    """Messages in its pool."""
    faults: Mapping[str, FaultValue]

    @property
    def active(self) -> tuple[str, ...]:
        """Names of the faults that make it misbehave."""
        return tuple(name for name, quiet in FAULT_DEFAULTS.items() if self.faults.get(name, quiet) != quiet)


def devnet_state(node: Node) -> DevnetState:
    """Call a devnet's node.  Raises NodeUnavailable, or NodeRefused if it is no devnet."""
    return devnet_state_read(link_to(node.url, node.token).call("Devnet.Info", [], timeout_s=READ_TIMEOUT_S))


def devnet_state_read(answer: Any) -> DevnetState:
    """Read the answer of `Devnet.Info`.  Raises NodeRefused."""
    try:
        return DevnetState(
            network=str(answer["Network"]),
            height=int(answer["Height"]),
            null_rounds=int(answer["NullRounds"]),
            pending=int(answer["PendingMessages"]),
            faults={name: answer["Faults"][name] for name in FAULT_DEFAULTS},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NodeRefused(
            0, gettext("the devnet's response could not be parsed: {error!r}").format(error=error)
        ) from None
