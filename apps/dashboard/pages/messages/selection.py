"""Messages that fit a filter, or that a person picked on the list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.errors import BadValue
from apps.dashboard.forms import PageForm
from apps.dashboard.text_fields import MultiChoice, Text
from apps.messages.selectors.message_filters import MessageFilters
from apps.messages.selectors.messages import messages_visible
from apps.messages.services.bulk import BULK_MAX
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.messages.models import Message


def following(rows: QuerySet[Message], last: Message) -> QuerySet[Message]:
    """Return those that come after a message, in the order in which they would land."""
    later = Q(created_at__gt=last.created_at) | Q(created_at=last.created_at, pk__gt=last.pk)
    own = Q(nonce=last.nonce) & later
    if last.nonce is not None:  # those without one come last
        own |= Q(nonce__gt=last.nonce) | Q(nonce=None)
    return rows.filter(Q(from_addr__gt=last.from_addr) | Q(from_addr=last.from_addr) & own)


SELECTION_MAX: Final = BULK_MAX
"""Messages of one selection: a review names as many."""


@dataclass(frozen=True, slots=True)
class BulkSelection:
    """What was picked: ids, or without any the list's filters."""

    ids: tuple[str, ...] = ()
    wanted: Mapping[str, list[str]] = field(default_factory=dict)
    last: str = ""
    """Only what would land after this message: the rest of a filter that is too long for one review."""

    def rows(self, viewer: Principal) -> QuerySet[Message]:
        """Return the picked messages, newest first; a stranger's are left out.  Raises BadValue."""
        if self.ids:
            return messages_visible(viewer).filter(pk__in=self.ids)
        rows: Any = MessageFilters(self.wanted, messages_visible(viewer), viewer=viewer).rows()
        return rows  # type: ignore[no-any-return]  # the package has no types

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Return the filters for the fields of a form."""
        return [(name, text) for name, texts in self.wanted.items() for text in texts]


class SelectionForm(PageForm):
    """The rows that were picked; the filter that all of them fit is sent beside it."""

    id = MultiChoice()
    all = Text()
    last = Text()

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
    Raises BadValue for a selection that is too long or empty.
    """
    form = SelectionForm(sent)
    if not form.is_valid():
        raise BadValue(form.why, field=next(iter(form.errors)))
    values = form.cleaned_data
    if not (takes_filter or values["id"] or values["all"]):
        raise BadValue(gettext("no message is selected"), field="id")
    return BulkSelection(values["id"], MessageFilters.read(sent), values["last"])
