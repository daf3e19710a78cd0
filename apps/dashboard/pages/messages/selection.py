"""Messages that fit a filter, or that a person picked on the list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.chain.selectors.heads import head_current
from apps.chain.selectors.status import network_known
from apps.core.addresses import address_typed
from apps.core.clock import YEARS
from apps.core.errors import BadValue
from apps.dashboard.day_spans import day_moment, day_read
from apps.dashboard.forms import PageForm
from apps.dashboard.text_fields import MultiChoice, Text
from apps.messages.selectors.messages import messages_visible
from apps.messages.selectors.stuck import is_priced_out, is_stuck
from apps.messages.services.bulk import BULK_MAX
from apps.messages.states import MessageState
from apps.users.rules.principals import Principal
from poolsite.filecoin.address import BadAddress

if TYPE_CHECKING:
    from apps.messages.models import Message


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """What the list is narrowed to; the URL has it, so that it is the saved view."""

    state: str = ""
    q: str = ""
    since: str = ""
    """First day in the person's zone on which a message was created; what is no day narrows nothing."""
    until: str = ""
    """Last such day."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> MessageFilter:
        """Read it from a query or a form."""
        return cls(**{name: str(values.get(name) or "").strip() for name in cls.__slots__})

    @property
    def query(self) -> dict[str, str]:
        """Return what is narrowed."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}

    def rows(self, rows: QuerySet[Message]) -> QuerySet[Message]:
        """Return those of the messages that fit it."""
        begin, end = day_moment(day_read(self.since)), day_moment(day_read(self.until), later=1)
        if begin is not None:
            rows = rows.filter(created_at__gte=begin)
        if end is not None:
            rows = rows.filter(created_at__lt=end)
        rows = of_state(rows, self.state)
        return searched(rows, self.q) if self.q else rows


def of_state(rows: QuerySet[Message], state: str) -> QuerySet[Message]:
    """Return the messages of one of the list's states; all for what is none."""
    if state == "open":
        return rows.filter(state__in=[MessageState.UNFILLED, MessageState.FILLED])
    if state == "approval":
        return rows.filter(state=MessageState.UNFILLED, needs_approval=True)
    if state == "stuck":
        found = is_stuck(head_current(), network_known())
        return rows.filter(found, state__in=[MessageState.UNFILLED, MessageState.FILLED])
    if state == "priced-out":
        return rows.filter(is_priced_out(head_current()))
    if state == "landed":
        return rows.filter(state=MessageState.LANDED)
    if state == "refused":
        return rows.filter(state=MessageState.LANDED).exclude(exit_code=0)
    return rows.filter(state=state.upper()) if state in ("failed", "replaced") else rows


def following(rows: QuerySet[Message], last: Message) -> QuerySet[Message]:
    """Return those that come after a message, in the order in which they would land."""
    later = Q(created_at__gt=last.created_at) | Q(created_at=last.created_at, pk__gt=last.pk)
    own = Q(nonce=last.nonce) & later
    if last.nonce is not None:  # those without one come last
        own |= Q(nonce__gt=last.nonce) | Q(nonce=None)
    return rows.filter(Q(from_addr__gt=last.from_addr) | Q(from_addr=last.from_addr) & own)


def searched(rows: QuerySet[Message], q: str) -> QuerySet[Message]:
    """Find by nonce, CID, sender's address or id, whichever the words look like."""
    if q.isdecimal():
        return rows.filter(nonce=int(q)) if len(q) < 19 else rows.none()
    if q.startswith("bafy"):
        return rows.filter(cid=q)
    try:
        return rows.filter(from_addr=address_typed(q))
    except BadAddress:
        return rows.filter(Q(push_id=q) | Q(pk=q))


NO_FILTER: Final = MessageFilter()
SELECTION_MAX: Final = BULK_MAX
"""Messages of one selection: a review names as many."""
COUNT_MAX: Final = 10_000
"""Up to here what is on its way is counted; it has an index of its own."""


@dataclass(frozen=True, slots=True)
class BulkSelection:
    """What was picked: ids, or without any a filter."""

    ids: tuple[str, ...] = ()
    wanted: MessageFilter = NO_FILTER
    shown_at: datetime | None = None
    """What was made later was not on the list when somebody picked all of it."""
    after: str = ""
    """Only what would land after this message: the rest of a filter that is too long for one review."""

    def rows(self, viewer: Principal) -> QuerySet[Message]:
        """Return the picked messages, newest first; a stranger's are left out."""
        if self.ids:
            return messages_visible(viewer).filter(pk__in=self.ids)
        rows = self.wanted.rows(messages_visible(viewer))
        return rows if self.shown_at is None else rows.filter(created_at__lte=self.shown_at)


class Moment(Text):
    """The time at which a list was shown."""

    def clean(self, value: Any) -> datetime | None:
        """Return it; None for an empty field.  Raises ValidationError."""
        if not (text := super().clean(value)):
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValidationError(_("not a valid time")) from None
        if moment.tzinfo is None:
            raise ValidationError(_("the time has no time zone"))
        if not YEARS[0] <= moment.year <= YEARS[1]:
            raise ValidationError(_("not a valid time"))
        return moment


class SelectionForm(PageForm):
    """The rows that were picked, or the filter that all of them fit."""

    id = MultiChoice()
    all = Text()
    state = Text()
    q = Text()
    since = Text()
    until = Text()
    shown_at = Moment()
    after = Text()

    def clean_id(self) -> tuple[str, ...]:
        """Return each id once.  Raises ValidationError for a selection that is too long."""
        ids = () if self.data.get("all") else tuple(dict.fromkeys(self.cleaned_data["id"]))
        if len(ids) > SELECTION_MAX:
            raise ValidationError(
                _("a selection has at most %(most)s messages"), params={"most": SELECTION_MAX}
            )
        return ids


def selection_read(sent: QueryDict, *, takes_filter: bool = True) -> BulkSelection:
    """Read a form's selection; unless it `takes_filter`, all that fits one must be asked for with `all`.

    Without JavaScript the bar below the list is there when no row is picked, with the filter's fields.
    Raises BadValue for a selection that is too long or empty, or a time that is none.
    """
    form = SelectionForm(sent)
    if not form.is_valid():
        raise BadValue(form.why, field=next(iter(form.errors)))
    values = form.cleaned_data
    if not (takes_filter or values["id"] or values["all"]):
        raise BadValue(gettext("no message is selected"), field="id")
    return BulkSelection(values["id"], MessageFilter.of(values), values["shown_at"], values["after"])


def counted(rows: QuerySet[Message]) -> tuple[int, bool]:
    """Count messages on their way, up to a limit; gives the number and whether there are more."""
    count = rows.order_by()[: COUNT_MAX + 1].count()
    return min(count, COUNT_MAX), count > COUNT_MAX
