"""What a list of messages can be narrowed to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext_lazy as _

from apps.chain.models import Head
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.status import network_known
from apps.core.addresses import address_fault, address_typed
from apps.core.errors import BadValue
from apps.core.filters import Choices, DayFilters, Moment, Several, Words
from apps.core.reasons import code_sql
from apps.messages.selectors.alike import MessageGroup, messages_grouped
from apps.messages.selectors.stuck import is_priced_out, is_stuck
from apps.messages.states import MessageState
from apps.users.selectors.tenants import tenants_visible
from poolsite.filecoin.address import BadAddress
from poolsite.filecoin.policy import Network

Rows = Any
"""A query set of messages."""
ERROR_CODE: Final = code_sql("messages_message.error")
OPEN: Final = Q(state__in=[MessageState.UNFILLED, MessageState.FILLED])
MESSAGE_VIEWS: Final[dict[str, Callable[[MessageFilters], Q]]] = {
    "open": lambda _filters: OPEN,
    "approval": lambda _filters: Q(state=MessageState.UNFILLED, needs_approval=True),
    "stuck": lambda filters: OPEN & is_stuck(filters.head, filters.network),
    "priced-out": lambda filters: is_priced_out(filters.head),
    "landed": lambda _filters: Q(state=MessageState.LANDED),
    "refused": lambda _filters: Q(state=MessageState.LANDED) & ~Q(exit_code=0),
    "failed": lambda _filters: Q(state=MessageState.FAILED),
    "replaced": lambda _filters: Q(state=MessageState.REPLACED),
}
"""What `state` takes beside the states of the table."""


class MessageFilters(DayFilters):
    """Filters of messages."""

    state = Choices((*MessageState.values, *MESSAGE_VIEWS), method="of_states")
    from_ = Several(method="of_senders")
    tenant = Words(method="of_tenant", about="name of the tenant who pushed it")
    miner = Words(method="of_miner", about="address of the miner to which it is sent")
    kind = Words()
    after = Moment(field_name="created_at", lookup_expr="gt", about="created after this moment")
    before = Moment(field_name="created_at", lookup_expr="lt", about="created before this moment")
    shown_at = Moment(
        field_name="created_at",
        lookup_expr="lte",
        has_offset=True,
        about="on the list that somebody saw at this moment",
    )
    error_code = Words(method="of_code", about="code of the reason, of messages that have not landed")
    cause = Words(method="of_cause", about="fingerprint of a group of message-failures")
    q = Words(method="named", label=_("Address, CID, id or nonce"), about="nonce, CID, sender or id")

    @cached_property
    def head(self) -> Head | None:
        """Return the newest head, as the page has it."""
        return head_current() if self.page is None else self.page.head

    @cached_property
    def network(self) -> Network | None:
        """Return the network, as the page has it."""
        return network_known() if self.page is None else self.page.network

    def of_states(self, rows: Rows, _name: str, value: list[str]) -> Rows:
        """Narrow to states of the table and views of the page."""
        fits = Q(state__in=[word for word in value if word not in MESSAGE_VIEWS])
        for word in value:
            if word in MESSAGE_VIEWS:
                fits |= MESSAGE_VIEWS[word](self)
        return rows.filter(fits)

    def of_senders(self, rows: Rows, _name: str, value: list[str]) -> Rows:
        """Narrow to what is sent from some addresses.  Raises BadValue."""
        try:
            return rows.filter(from_addr__in=[address_typed(text) for text in value])
        except BadAddress as error:
            raise BadValue(address_fault(error), field="from") from None

    def of_tenant(self, rows: Rows, _name: str, value: str) -> Rows:
        """Narrow to a tenant, by its key: the index of the table begins with it."""
        return rows.filter(
            tenant__in=list(tenants_visible(self.viewer).filter(name=value).values_list("pk", flat=True))
        )

    def of_miner(self, rows: Rows, _name: str, value: str) -> Rows:
        """Narrow to what is sent to a miner.  Raises BadValue."""
        try:
            return rows.filter(to=address_typed(value))
        except BadAddress as error:
            raise BadValue(address_fault(error), field="miner") from None

    def of_code(self, rows: Rows, _name: str, value: str) -> Rows:
        """Narrow to what waits or failed for a reason of this code; what landed is too much to read."""
        code = RawSQL(ERROR_CODE, [])  # noqa: S611  # a constant of ours
        return rows.exclude(state=MessageState.LANDED).alias(code=code).filter(code=value)

    def of_cause(self, rows: Rows, _name: str, value: str) -> Rows:
        """Narrow to what failed alike; to nothing once no message is of that group any more."""
        groups: list[MessageGroup] = _groups_of(self) if self.page is None else self.page.of(_groups_of)
        found = next((one for one in groups if one.key == value), None)
        return rows.none() if found is None else rows.filter(pk__in=found.ids)

    def named(self, rows: Rows, _name: str, value: str) -> Rows:
        """Find by nonce, CID, sender's address or id, whichever the words look like."""
        if value.isdecimal():
            return rows.filter(nonce=int(value)) if len(value) < 19 else rows.none()
        if value.startswith("bafy"):
            return rows.filter(cid=value)
        try:
            return rows.filter(from_addr=address_typed(value))
        except BadAddress:
            return rows.filter(Q(push_id=value) | Q(pk=value))


def _groups_of(one: Any) -> list[MessageGroup]:
    """Return the groups that a page, or these filters, may know of."""
    return messages_grouped(one.viewer, head=one.head, network=one.network)


def messages_below(rows: Rows, place: tuple[datetime, str] | None) -> Rows:
    """Return the rows below one that is named by its time and id, of a list with the newest first."""
    if place is None:
        return rows
    moment, pk = place
    # The first condition lets the index stop the scan; the exclusion settles equal times.
    return rows.filter(created_at__lte=moment).exclude(created_at=moment, pk__gte=pk)
