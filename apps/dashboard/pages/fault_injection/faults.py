"""Faults and actions of a devnet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.chain.fault_injection import FAULT_DEFAULTS
from apps.chain.services.fault_injection import ACTIONS, Number
from apps.dashboard.forms import PageForm, Text

if TYPE_CHECKING:
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
TEXT_MAX: Final = 200
"""Longest text of a fault."""


class Value(Text):
    """A fault's value, in the form of the one at which the node behaves."""

    def __init__(self, quiet: FaultValue) -> None:
        super().__init__()
        self.quiet = quiet

    def clean(self, value: Any) -> FaultValue:
        """Read it.  Raises ValidationError."""
        text = super().clean(value)
        try:
            if isinstance(self.quiet, bool):
                return {"on": True, "off": False}[text]
            if isinstance(self.quiet, float):
                return float(text)
            return int(text) if isinstance(self.quiet, int) else text[:TEXT_MAX]
        except KeyError:
            raise ValidationError(_("on or off is needed")) from None
        except ValueError:
            is_whole = isinstance(self.quiet, int)
            words = _("a whole number is needed") if is_whole else _("a number is needed")
            raise ValidationError(words) from None

    def prepare_value(self, value: Any) -> str:
        """Write it as a form carries it."""
        if isinstance(value, bool):
            return "on" if value else "off"
        return f"{value:g}" if isinstance(value, float) else str(value)


class FaultForm(PageForm):
    """One fault."""

    blamed = "value"

    def __init__(self, key: str, data: Any = None) -> None:
        super().__init__(data)
        self.key, self.quiet = key, FAULT_DEFAULTS[key]
        """Its name, and the value that resets it."""
        self.label, self.unit, self.effect = next(faults[key] for faults in PARTS.values() if key in faults)
        self.fields["value"] = Value(self.quiet)
        self.now = self.quiet
        self.is_switch = isinstance(self.quiet, bool)
        self.is_number = isinstance(self.quiet, int | float) and not self.is_switch
        self.choices = ("auto", "on-demand", "paused") if key == "mining" else ()
        """Empty where any text or number may stand."""

    def at(self, now: FaultValue) -> FaultForm:
        """Return the form beside what the node has now."""
        self.now = now
        self.initial["value"] = now
        return self

    @property
    def is_active(self) -> bool:
        """Whether the node misbehaves by it."""
        return self.now != self.quiet

    @property
    def undo(self) -> str:
        """The value that resets it, as a form sends it."""
        return self.text(self.quiet)

    @property
    def other(self) -> str:
        """The value that a press of a switch sends."""
        return self.text(not self.now)

    def text(self, value: FaultValue) -> str:
        """Write a value as a form carries it."""
        return str(self.fields["value"].prepare_value(value))


def fault_groups(state: DevnetState, held: PageForm | None) -> list[tuple[str, list[FaultForm]]]:
    """Return all faults by part of the page; `held` is a form that was refused."""
    return [
        (
            part,
            [
                (held if isinstance(held, FaultForm) and held.key == name else FaultForm(name)).at(
                    state.faults[name]
                )
                for name in faults
            ],
        )
        for part, faults in PARTS.items()
    ]


class Count(Text):
    """A number that an action asks for."""

    def __init__(self, number: Number) -> None:
        super().__init__(initial=number.least)
        self.label, self.least, self.most = NUMBER_WORDS[number.name], number.least, number.most

    def clean(self, value: Any) -> int:
        """Read it.  Raises ValidationError."""
        text = super().clean(value)
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise ValidationError(_("a whole number is needed"))
        return int(text)


class ActionForm(PageForm):
    """Something that can be done to the chain."""

    def __init__(self, key: str, data: Any = None) -> None:
        super().__init__(data)
        self.key, self.action = key, ACTIONS[key]
        self.label, self.effect = ACTION_LABELS[key]
        if self.action.address:
            self.fields["address"] = Text()
        self.fields |= {number.name: Count(number) for number in self.action.numbers}
        if self.action.switch:
            self.fields[self.action.switch] = forms.BooleanField(required=False, initial=True)
        self.switch, self.switch_label = self.action.switch, SWITCH_WORDS.get(self.action.switch, "")

    @property
    def counts(self) -> list[forms.BoundField]:
        """The numbers that it asks for."""
        return [self[number.name] for number in self.action.numbers]

    @property
    def arguments(self) -> dict[str, Any]:
        """What it asks the node for."""
        return {
            "act": self.key,
            "numbers": {number.name: self.cleaned_data[number.name] for number in self.action.numbers},
            "address": self.cleaned_data.get("address", ""),
            "switch": bool(self.cleaned_data.get(self.action.switch)),
        }
