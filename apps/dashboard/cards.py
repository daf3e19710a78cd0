"""What the cards of a page are made of: verdict, vital signs, facts, lines of a timeline, checks, buttons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.dashboard.charts import Spark

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True, slots=True)
class Verdict:
    """A page's one sentence: what needs somebody, or that nothing does."""

    strong: StrOrPromise
    rest: StrOrPromise
    checked: str = ""
    """How many checks it rests on, and when they ran; empty on pages without checks."""


@dataclass(frozen=True, slots=True)
class Stat:
    """One vital sign."""

    key: str
    label: str
    value: str
    foot: str
    href: str
    unit: str = ""
    tone: str = ""
    word: str = ""
    until: int | None = None
    """Seconds since 1970; the page counts down to it."""
    spark: Spark | None = None

    @property
    def icon(self) -> str:
        return "wait" if self.tone == "idle" else self.tone


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a timeline."""

    at: str
    tone: str
    icon: str
    say: StrOrPromise
    sub: str = ""
    took: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and a value."""

    k: StrOrPromise
    v: str
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a diagnosis."""

    what: StrOrPromise
    value: str
    tone: str
    word: str
    href: str = ""
    """Where what it names is changed."""

    @property
    def icon(self) -> str:
        return "wait" if self.tone == "idle" else self.tone


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a person can do to an object: a POST to `href`, or a page that asks first."""

    key: str
    label: StrOrPromise
    href: str
    icon: str = ""
    kind: str = ""
    """primary, danger or empty."""
    opens_page: bool = False
    """`href` is a page with a question; the label ends with an ellipsis."""
    level: str = "sign"
    """The level that a viewer needs, as over REST."""
