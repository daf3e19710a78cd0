"""Faults and actions of a devnet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apps.chain.fault_injection import FAULT_DEFAULTS
from apps.chain.services.fault_injection import ACTIONS, DevnetAction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apps.chain.fault_injection import DevnetState, FaultValue


PARTS: Final[dict[str, dict[str, tuple[str, str, str]]]] = {
    "Blocks": {
        "mining": (
            "Mining",
            "",
            "on-demand: a block for each message; paused: only the actions above move the chain",
        ),
        "nullLeft": ("Null rounds", "epochs", "so many coming epochs get no block of the built-in miner"),
        "flapLeft": ("Flapping forks", "tipsets", "each coming tipset is replaced by a heavier fork at once"),
        "spikeLeft": ("Base fee spike", "epochs", "full blocks: the base fee rises by an eighth each"),
        "baseFeeFloor": ("Base fee floor", "attoFIL", "blocks are filled while the base fee is below"),
        "hideMessages": ("Withhold messages", "", "blocks leave pending messages out"),
        "inclusionDelay": ("Slow inclusion", "epochs", "a new message waits so long for its block"),
        "withholdPost": ("Withhold proofs", "", "the built-in miner does not prove its sector"),
        "loseSector": (
            "Lose the sector",
            "",
            "the built-in miner declares its sector faulty, then recovers it",
        ),
        "beaconLateMs": ("Late beacon", "ms", "each epoch's random value, and so its block, comes late"),
    },
    "Messages": {
        "dropNext": ("Lose messages", "messages", "the next ones are accepted and forgotten"),
        "dropShare": ("Lose a share", "0 to 1", "this share of messages is accepted and forgotten"),
    },
    "Answers": {
        "lagMs": ("Lag", "ms", "every answer comes late"),
        "jitterMs": ("Jitter", "ms", "a random part on top of the lag"),
        "lagMethods": (
            "Lagging methods",
            "pattern",
            "only these come late, such as StateWaitMsg; empty: all",
        ),
        "stallRandomness": ("Stall randomness", "", "questions for randomness wait until this is off"),
        "errorMethods": (
            "Refuse methods",
            "pattern",
            "methods that match fail, such as MpoolPush",
        ),
        "errorShare": ("Share that fails", "0 to 1", "of the calls of those methods"),
        "errorCode": ("Error code", "", "of these refusals"),
        "errorText": ("Error text", "", "of these refusals"),
        "garbageMethods": (
            "Invalid responses",
            "pattern",
            "matching methods return what cannot be parsed",
        ),
    },
    "What the node claims": {
        "freezeHead": ("Freeze the head", "", "the node goes on showing the head that it had"),
        "behind": ("Report lag", "epochs", "the node says that it is so far behind"),
        "networkName": ("Another network", "name", "the node says that it is on this network"),
        "duplicateNotifications": ("Duplicate notifications", "", "every frame of ChainNotify comes twice"),
    },
}
"""By part of the page: each fault's label, unit and effect."""
ACTION_LABELS: Final[dict[str, tuple[str, str]]] = {
    "mine": ("Mine", "tipsets to make now"),
    "advance": ("Advance", "epochs to pass now, at least"),
    "reorg": ("Reorganise", "a heavier branch replaces the newest tipsets"),
    "back": ("Set the head back", "tipsets to go back, as ChainSetHead does"),
    "foreign": ("Foreign messages", "from an address whose key the node has; without one its own miner's"),
    "fail-next": ("Let messages fail", "the next ones that call a method land with the code; 0: none more"),
    "drain": ("Drain funds", "an actor keeps at most this much"),
    "drop-sockets": ("Drop sockets", "breaks all WebSockets of this node"),
}
"""Each action's label and effect."""
NUMBER_WORDS: Final = {
    "count": "Tipsets",
    "epochs": "Epochs",
    "depth": "Depth",
    "nulls": "Null rounds",
    "messages": "Messages",
    "method": "Method",
    "code": "Exit code",
    "fil": "FIL",
}
SWITCH_WORDS: Final = {"messages": "keep the messages"}


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One fault."""

    key: str
    label: str
    unit: str
    effect: str
    value: str
    is_switch: bool
    choices: tuple[str, ...]
    """Empty where any text or number may stand."""
    active: bool
    quiet: str
    """The value that resets it, as a form sends it."""
    other: str
    """For a switch: the value that a press sends."""
    is_number: bool = False
    refusal: str = ""


def fault_text(value: FaultValue) -> str:
    """Write a value as a form carries it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def fault_groups(
    state: DevnetState, *, refusals: Mapping[str, str], typed: Mapping[str, str]
) -> list[tuple[str, list[FaultRow]]]:
    """Lay out all faults; `typed` is what a refused form held."""
    return [
        (
            part,
            [fault_row(name, state=state, refusal=refusals.get(name, ""), typed=typed) for name in faults],
        )
        for part, faults in PARTS.items()
    ]


def fault_row(name: str, *, state: DevnetState, refusal: str, typed: Mapping[str, str]) -> FaultRow:
    """Lay out one fault."""
    label, unit, effect = next(faults[name] for faults in PARTS.values() if name in faults)
    value, quiet = state.faults[name], FAULT_DEFAULTS[name]
    is_switch = isinstance(quiet, bool)
    return FaultRow(
        key=name,
        label=label,
        unit=unit,
        effect=effect,
        value=typed.get(name, fault_text(value)),
        is_switch=is_switch,
        choices=("auto", "on-demand", "paused") if name == "mining" else (),
        active=value != quiet,
        quiet=fault_text(quiet),
        other=fault_text(not value) if is_switch else "",
        is_number=isinstance(quiet, int | float) and not is_switch,
        refusal=refusal,
    )


@dataclass(frozen=True, slots=True)
class NumberRow:
    """One number that an action asks for."""

    key: str
    label: str
    least: int
    most: int
    value: str


@dataclass(frozen=True, slots=True)
class DevnetActionRow:
    """One action."""

    key: str
    label: str
    effect: str
    address: bool
    """Whether it asks for an address, and what was typed there."""
    typed_address: str
    numbers: tuple[NumberRow, ...]
    switch: str
    switch_label: str
    refusal: str


def action_rows(*, refusals: Mapping[str, str], typed: Mapping[str, str]) -> list[DevnetActionRow]:
    """Lay out what can be done to the chain; `typed` is what a refused form held."""
    return [
        action_row(name, action, refusal=refusals.get(name, ""), typed=typed if name in refusals else {})
        for name, action in ACTIONS.items()
    ]


def action_row(name: str, action: DevnetAction, *, refusal: str, typed: Mapping[str, str]) -> DevnetActionRow:
    """Lay out one action."""
    label, effect = ACTION_LABELS[name]
    numbers = tuple(
        NumberRow(
            key=number.name,
            label=NUMBER_WORDS[number.name],
            least=number.least,
            most=number.most,
            value=typed.get(number.name, str(number.least)),
        )
        for number in action.numbers
    )
    return DevnetActionRow(
        key=name,
        label=label,
        effect=effect,
        address=action.address,
        typed_address=typed.get("address", ""),
        numbers=numbers,
        switch=action.switch,
        switch_label=SWITCH_WORDS.get(action.switch, ""),
        refusal=refusal,
    )
