"""What a devnet's node tells about itself: its clock, its message pool, its fault knobs.

Only our devnet has these methods; a node that answers them says that nothing on its chain is worth anything.
Source: poolsite/devnet/rpc/lab.py, poolsite/devnet/faults.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apps.chain.errors import NodeRefused
from apps.chain.link import link_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apps.chain.models import Node

LAB_TIMEOUT_S: Final = 3.0
"""For questions; knobs do not slow the lab's own methods down."""

KnobValue = bool | int | float | str

KNOBS: Final[dict[str, KnobValue]] = {
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
"""Each knob with the value at which the node behaves."""


@dataclass(frozen=True, slots=True)
class LabState:
    """How a devnet's node stands."""

    network: str
    height: int
    null_rounds: int
    """Epochs without a block since genesis."""
    pending: int
    """Messages in its pool."""
    knobs: Mapping[str, KnobValue]

    @property
    def turned(self) -> tuple[str, ...]:
        """Names of the knobs that make it misbehave."""
        return tuple(name for name, quiet in KNOBS.items() if self.knobs.get(name, quiet) != quiet)


def lab_state(node: Node) -> LabState:
    """Ask a devnet's node.  Raises NodeUnavailable, or NodeRefused if it is no devnet."""
    return lab_state_read(link_to(node.url, node.token).call("Devnet.Info", [], timeout_s=LAB_TIMEOUT_S))


def lab_state_read(answer: Any) -> LabState:
    """Read the answer of `Devnet.Info`.  Raises NodeRefused."""
    try:
        return LabState(
            network=str(answer["Network"]),
            height=int(answer["Height"]),
            null_rounds=int(answer["NullRounds"]),
            pending=int(answer["PendingMessages"]),
            knobs={name: answer["Faults"][name] for name in KNOBS},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NodeRefused(0, f"the devnet's answer cannot be read: {error!r}") from None
