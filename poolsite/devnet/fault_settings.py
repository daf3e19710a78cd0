"""The settings that make the devnet misbehave, and their names on the wire."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final


@dataclass(slots=True)
class FaultSettings:
    """What may be set; the JSON names are the same in camel case."""

    lag_ms: int = 0
    """Delay of every answer."""
    jitter_ms: int = 0
    """Random part on top of the delay."""
    lag_methods: str = ""
    """Pattern of methods that the delay holds up; all if empty."""
    stall_randomness: bool = False
    """Questions for randomness wait until it is turned off."""
    beacon_late_ms: int = 0
    """How much of the chain's time each epoch's random value comes late."""
    error_methods: str = ""
    """Pattern of methods (full names) that answer with an error."""
    error_share: float = 1.0
    """Share of those calls that fail."""
    error_code: int = 1
    error_text: str = "injected error"
    garbage_methods: str = ""
    """Pattern of methods whose result is nonsense."""
    drop_share: float = 0.0
    """Share of pushed messages that are accepted and forgotten."""
    drop_next: int = 0
    """Coming pushed messages that are accepted and forgotten."""
    hide_messages: bool = False
    """Blocks of the built-in miner leave pending messages out."""
    inclusion_delay: int = 0
    """Epochs for which a new message is left out."""
    null_left: int = 0
    """Coming epochs in which the built-in miner keeps still."""
    withhold_post: bool = False
    """The built-in miner leaves its WindowPoSt away."""
    lose_sector: bool = False
    """The built-in miner cannot read its sector: it declares it faulty, and recovers it afterwards."""
    flap_left: int = 0
    """Coming tipsets that a heavier fork replaces as soon as they are there."""
    spike_left: int = 0
    """Coming epochs in which the built-in miner fills its blocks, so that the base fee rises."""
    base_fee_floor: int = 0
    """attoFIL below which the built-in miner does not let the base fee fall: it fills blocks."""
    behind: int = 0
    """Epochs by which the node says it lags."""
    freeze_head: bool = False
    """The node goes on showing the head that it had."""
    network_name: str = ""
    """Another name to give for the network."""
    duplicate_notifications: bool = False
    """Every frame of ChainNotify comes twice."""


MINING: Final = ("auto", "on-demand", "paused")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


NAMES = {_camel(field.name): field.name for field in dataclasses.fields(FaultSettings)}
