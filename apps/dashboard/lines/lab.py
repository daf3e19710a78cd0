"""Knobs and acts of a devnet as the page Devnet lab words them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apps.chain.lab import KNOBS
from apps.chain.services.lab import ACTS, LabAct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apps.chain.lab import KnobValue, LabState

PARTS: Final[dict[str, dict[str, tuple[str, str, str]]]] = {
    "Blocks": {
        "mining": (
            "Mining",
            "",
            "on-demand: a block for each message; paused: only the acts above move the chain",
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
        "garbageMethods": ("Answer nonsense", "pattern", "methods that match answer what nobody can read"),
    },
    "What the node claims": {
        "freezeHead": ("Freeze the head", "", "the node goes on showing the head that it had"),
        "behind": ("Say it lags", "epochs", "the node says that it is so far behind"),
        "networkName": ("Another network", "name", "the node says that it is on this network"),
        "duplicateNotifications": ("Say it twice", "", "every frame of ChainNotify comes twice"),
    },
}
"""By part of the page: each knob's label, unit and effect."""

ACT_WORDS: Final[dict[str, tuple[str, str]]] = {
    "mine": ("Mine", "so many tipsets now"),
    "advance": ("Advance", "at least so many epochs now"),
    "reorg": ("Reorganise", "a heavier branch replaces the newest tipsets"),
    "back": ("Set the head back", "by so many tipsets, as ChainSetHead does"),
    "foreign": ("Foreign messages", "from an address whose key the node has; without one its own miner's"),
    "fail-next": ("Let messages fail", "the next ones that call a method land with the code; 0: none more"),
    "drain": ("Take funds", "an actor keeps so many FIL at most"),
    "drop-sockets": ("Drop sockets", "breaks all WebSockets of this node"),
}
"""Each act's label and effect."""

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
class KnobLine:
    """One knob."""

    key: str
    label: str
    unit: str
    effect: str
    value: str
    is_switch: bool
    choices: tuple[str, ...]
    """Empty where any text or number may stand."""
    turned: bool
    quiet: str
    """The value that turns it back, as a form sends it."""
    other: str
    """For a switch: the value that a press sends."""
    is_number: bool = False
    refusal: str = ""


def knob_text(value: KnobValue) -> str:
    """Write a value as a form carries it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def knob_parts(
    state: LabState, *, refusals: Mapping[str, str], typed: Mapping[str, str]
) -> list[tuple[str, list[KnobLine]]]:
    """Lay out all knobs; `typed` is what a refused form held."""
    return [
        (
            part,
            [knob_line(name, state=state, refusal=refusals.get(name, ""), typed=typed) for name in knobs],
        )
        for part, knobs in PARTS.items()
    ]


def knob_line(name: str, *, state: LabState, refusal: str, typed: Mapping[str, str]) -> KnobLine:
    """Lay out one knob."""
    label, unit, effect = next(knobs[name] for knobs in PARTS.values() if name in knobs)
    value, quiet = state.knobs[name], KNOBS[name]
    is_switch = isinstance(quiet, bool)
    return KnobLine(
        key=name,
        label=label,
        unit=unit,
        effect=effect,
        value=typed.get(name, knob_text(value)),
        is_switch=is_switch,
        choices=("auto", "on-demand", "paused") if name == "mining" else (),
        turned=value != quiet,
        quiet=knob_text(quiet),
        other=knob_text(not value) if is_switch else "",
        is_number=isinstance(quiet, int | float) and not is_switch,
        refusal=refusal,
    )


@dataclass(frozen=True, slots=True)
class NumberLine:
    """One number that an act asks for."""

    key: str
    label: str
    least: int
    most: int
    value: str


@dataclass(frozen=True, slots=True)
class ActLine:
    """One act."""

    key: str
    label: str
    effect: str
    address: bool
    """Whether it asks for an address, and what was typed there."""
    typed_address: str
    numbers: tuple[NumberLine, ...]
    switch: str
    switch_label: str
    refusal: str


def act_lines(*, refusals: Mapping[str, str], typed: Mapping[str, str]) -> list[ActLine]:
    """Lay out what can be done to the chain; `typed` is what a refused form held."""
    return [
        act_line(name, act, refusal=refusals.get(name, ""), typed=typed if name in refusals else {})
        for name, act in ACTS.items()
    ]


def act_line(name: str, act: LabAct, *, refusal: str, typed: Mapping[str, str]) -> ActLine:
    """Lay out one act."""
    label, effect = ACT_WORDS[name]
    numbers = tuple(
        NumberLine(
            key=number.name,
            label=NUMBER_WORDS[number.name],
            least=number.least,
            most=number.most,
            value=typed.get(number.name, str(number.least)),
        )
        for number in act.numbers
    )
    return ActLine(
        key=name,
        label=label,
        effect=effect,
        address=act.address,
        typed_address=typed.get("address", ""),
        numbers=numbers,
        switch=act.switch,
        switch_label=SWITCH_WORDS.get(act.switch, ""),
        refusal=refusal,
    )
