"""What a check is and what it finds: plain data, without HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from django.urls import reverse

from apps.checks.selectors.data import CheckData
from apps.core.clock import DAY_S
from apps.core.marked_texts import gettext
from apps.core.reasons import cut, shown_text
from apps.users.states import Perm

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

FINDINGS_MAX: Final = 5
"""Findings that one check lists by themselves; the last of them counts the others."""
REASON_MAX: Final = 200
"""Longest reason in a finding; the page it links to has the whole."""


class Severity(StrEnum):
    """How bad it is when a check fails."""

    CRITICAL = "critical"
    """It costs power or FIL now, or at a known time."""
    WARNING = "warning"


class Topic(StrEnum):
    """The page whose verdict a check belongs to."""

    CHAIN = "chain"
    MINERS = "miners"
    BLOCKS = "blocks"
    PROVING = "proving"
    ROLES = "roles"
    SECTORS = "sectors"
    MESSAGES = "messages"
    SENDERS = "senders"
    GAS = "gas"
    GATEWAY = "gateway"
    WALLETS = "wallets"
    HOSTS = "hosts"
    STORES = "stores"
    PIECES = "pieces"
    PROCESSES = "processes"


@dataclass(frozen=True, slots=True)
class Link:
    """A page by its name in the URL table."""

    page: str
    args: tuple[str, ...] = ()
    query: str = ""

    @property
    def address(self) -> str:
        """Its path on the console."""
        return reverse(self.page, args=list(self.args)) + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True, slots=True)
class Act:
    """One click that mends a finding, for viewers of its level."""

    link: Link
    label: str
    """A verb, marked: `Resume`."""
    of: str
    """Name of the object."""
    perm: str = Perm.SIGN
    """Level that the route needs."""
    opens_page: bool = False
    """The link is a page with a form or a question; else the click is a POST to it."""

    @property
    def text(self) -> str:
        """`Resume sealer-9`, `Send FIL to worker…`."""
        return f"{gettext(self.label)} {shown_text(self.of)}{'…' if self.opens_page else ''}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that needs somebody."""

    key: str
    """Unique among all findings of one evaluation."""
    say: str
    """The fault, as part of a sentence; like its other texts a reason, shown in the page's language."""
    reason: str = ""
    link: Link | None = None
    """Where it is mended; None: the check's own link."""
    button: str = ""
    """Name of that link, marked; empty: the check's own."""
    count: int = 1
    """How many objects it stands for."""
    has_more: bool = False
    """Whether only the first objects were counted, or priced: `count` and the money are lower bounds."""
    per_day: int = 0
    """attoFIL that it costs each day, by the chain's formulas; 0 if nothing or not known."""
    is_part: bool = False
    """Whether another finding's `per_day` has it already: it ranks this one, and is not added up."""
    at_risk: int = 0
    """attoFIL that are lost once if nobody acts."""
    deposits: int = 0
    """attoFIL of `at_risk` that are deposits of pre-committed sectors: other findings may name the same."""
    due_s: int | None = None
    """Seconds since 1970 at which it is too late."""
    due_label: str = ""
    """What happens then: `until the window closes`."""
    acts: tuple[Act, ...] = ()
    """What mends it with one click; empty: it takes more, on the linked page."""
    breaks: tuple[str, ...] = field(default=(), compare=False)
    """Parts of the pool that this finding breaks, named as in `parts.py`; like the next two, not stored."""
    needs: tuple[tuple[str, ...], ...] = field(default=(), compare=False)
    """For each affected object, the parts that could have broken it; empty if the cause is unknown."""
    seen_s: int | None = field(default=None, compare=False)
    """Seconds since 1970 at which it was seen last; None: it is so now."""

    def __post_init__(self) -> None:
        """Cut a reason that is too long, so that one sees that it goes on."""
        object.__setattr__(self, "reason", cut(self.reason, REASON_MAX))

    @property
    def money(self) -> int:
        """The loss of a day and what is lost once."""
        return self.per_day + self.at_risk

    def loss_within(self, span_s: int, *, at_s: float) -> int:
        """Return what is lost within so many seconds if nobody acts, in attoFIL.

        Until `due_s` nothing is: sectors that end in 20 days cost nothing this week.
        """
        ahead_s = 0 if self.due_s is None else max(self.due_s - at_s, 0)
        running_s = max(span_s - ahead_s, 0)
        return self.per_day * round(running_s) // DAY_S + (self.at_risk if ahead_s <= span_s else 0)


@dataclass(frozen=True, slots=True)
class Check:
    """One condition that must not hold."""

    name: str
    """Stable: metrics, API and links use it."""
    title: StrOrPromise
    """What is true while the check passes."""
    topics: tuple[Topic, ...]
    severity: Severity
    find: Callable[[CheckData], Iterable[Finding]]
    link: Link
    button: StrOrPromise
    operator_only: bool = False
    is_pool_wide: bool = False
    """Whether it is about no miner: channels of tenants are not told of it, though their pages show it."""
