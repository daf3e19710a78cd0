"""Faults and actions of a devnet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.chain.node.devnet import FAULT_DEFAULTS
from apps.chain.services.fault_injection import ACTIONS, Number
from apps.dashboard.forms import PageForm
from apps.dashboard.pages.fault_injection.fault_names import (
    ACTION_LABELS,
    NUMBER_LABELS,
    PARTS,
    SWITCH_LABELS,
)
from apps.dashboard.text_fields import Text

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.chain.node.devnet import DevnetState, FaultValue


TEXT_MAX: Final = 200
"""Longest text of a fault."""


class Value(Text):
    """A fault's value, in the form of the one at which the node behaves."""

    def __init__(self, quiet: FaultValue) -> None:
        super().__init__()
        self.quiet = quiet

    def clean(self, value: Any) -> FaultValue:
        """Return the value.  Raises ValidationError."""
        text = super().clean(value)
        try:
            if isinstance(self.quiet, bool):
                return {"on": True, "off": False}[text]
            if isinstance(self.quiet, float):
                return float(text)
            return int(text) if isinstance(self.quiet, int) else text[:TEXT_MAX]
        except KeyError:
            raise ValidationError(_("must be on or off")) from None
        except ValueError:
            is_integer = isinstance(self.quiet, int)
            message = _("must be a whole number") if is_integer else _("must be a number")
            raise ValidationError(message) from None

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
        """Return whether the node misbehaves by it."""
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


def fault_groups(state: DevnetState, held: PageForm | None) -> list[tuple[StrOrPromise, list[FaultForm]]]:
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
        self.label = NUMBER_LABELS[number.name]
        self.least, self.most = number.least, number.most

    def clean(self, value: Any) -> int:
        """Return the number.  Raises ValidationError."""
        text = super().clean(value)
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise ValidationError(_("must be a whole number"))
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
        self.switch, self.switch_label = self.action.switch, SWITCH_LABELS.get(self.action.switch, "")

    @property
    def counts(self) -> list[forms.BoundField]:
        """The numbers that it asks for."""
        return [self[number.name] for number in self.action.numbers]

    @property
    def arguments(self) -> dict[str, Any]:
        """Return what it asks the node for."""
        return {
            "act": self.key,
            "numbers": {number.name: self.cleaned_data[number.name] for number in self.action.numbers},
            "address": self.cleaned_data.get("address", ""),
            "switch": bool(self.cleaned_data.get(self.action.switch)),
        }
