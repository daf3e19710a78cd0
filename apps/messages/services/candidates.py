"""Messages that may be chosen: they pass the gates of fee rules and gas guards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog
from django.db.models import QuerySet

from apps.chain.errors import NodeUnavailable
from apps.chain.node.client import ChainClient
from apps.chain.node.gas_estimates import GasSpec
from apps.messages.models import ApprovalRule, GasGuard, Message, SharedRules
from apps.messages.reasons import BUDGET_SPENT, GATE, HELD, HELD_UNTIL
from apps.messages.rules.guard_choice import GuardChoice, guard_choose
from apps.messages.selectors.approval_choice import (
    approval_rule_describe,
    approval_rule_find,
    content_digest_compute,
)
from apps.messages.selectors.approvals import contents_approved
from apps.messages.selectors.fees import FeeChoice, actor_rules_find, fee_choose
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.services.selection import Selection
from apps.messages.states import PRESSING, Wait

log = structlog.get_logger(__name__)

EXTRA_CANDIDATES: Final = 20
"""Chosen beyond the places, so that refused messages do not take the places of good ones."""

SCAN_MAX: Final = 2_000
"""Most waiting messages of a sender that one round looks at: 0.2 s if all of them are held."""

PAGE: Final = 500
"""So many of them are looked at together."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that may be chosen, with what rules and guards say about it."""

    row: Message
    fees: FeeChoice
    guard: GuardChoice

    @property
    def spec(self) -> GasSpec:
        """Return what the node is asked: the rules' wishes under the guard's cap."""
        limits = [limit for limit in (self.fees.spec.max_fee, self.guard.max_fee) if limit]
        return replace(self.fees.spec, max_fee=min(limits, default=0))

    @property
    def is_capped(self) -> bool:
        """Return whether the guard allows less than the rules do."""
        return bool(self.guard.max_fee) and self.spec.max_fee != self.fees.spec.max_fee


def candidates_find(
    selection: Selection, *, waiting: QuerySet[Message], client: ChainClient, shared: SharedRules
) -> list[Candidate]:
    """Return the first of `waiting` that pass the gates, some more than there are places.

    Where the gates leave too few of the first rows the next ones are read, SCAN_MAX in all; of those without
    the parameters, which may have many kilobytes.
    """
    most = selection.places + EXTRA_CANDIDATES
    rows = list(waiting[:most])
    found = _gates_pass(selection, rows=rows, client=client, shared=shared)
    if len(found) == most or len(rows) < most:
        return found
    further: list[Candidate] = []
    seen = {row.pk for row in rows}  # one pushed meanwhile shifts the others
    unread = [row for row in waiting.defer("params")[most:SCAN_MAX] if row.pk not in seen]
    noted, first_waits = {row.pk: row.wait for row in unread}, selection.waits
    selection.waits = []
    for at in range(0, len(unread), PAGE):
        try:
            further += _gates_pass(selection, rows=unread[at : at + PAGE], client=client, shared=shared)
        except NodeUnavailable as error:  # what was found goes all the same
            log.warning("candidates_not_read", sender=selection.sender.address, reason=error.reason[:300])
            break
        if len(found) + len(further) >= most:
            break
    # The figures in the texts change with each head: thousands of rows are not written again for them.
    selection.waits = first_waits + [one for one in selection.waits if noted[one[0]] != one[1]]
    further = further[: most - len(found)]
    whole = waiting.in_bulk([one.row.pk for one in further])
    return found + [replace(one, row=whole[one.row.pk]) for one in further if one.row.pk in whole]


def _gates_pass(
    selection: Selection, *, rows: Sequence[Message], client: ChainClient, shared: SharedRules
) -> list[Candidate]:
    """Return the messages that pass the gates: base fee, hold, and a budget that is not used up."""
    actors = actor_rules_find(rows, client=client, key=selection.head.key)
    guards = list(GasGuard.objects.order_by("pk"))
    # Read with the rows: a rule that was set after the push holds for all that has no nonce.
    rules = list(ApprovalRule.objects.order_by("pk")) if rows and getattr(rows[0], "has_rules", True) else []
    needs_kinds = rules or any(guard.actor for guard in guards)
    kinds = receiver_kinds({row.to for row in rows}) if needs_kinds else {}
    unapproved = _unapproved(rows, rules=rules, kinds=kinds) if rules else {}
    selection.unapproved |= unapproved
    base_fee, height = int(selection.head.base_fee), selection.head.height
    found: list[Candidate] = []
    for row in rows:
        if row.pk in unapproved:
            continue
        fees = fee_choose(row, sender=selection.sender, actor=actors.get((row.to, row.method)), shared=shared)
        guard = guard_choose(row, guards=guards, receiver=kinds.get(row.to, ""))
        room = selection.budgets.room(guard.budgets)
        if fees.base_fee_gate and base_fee > fees.base_fee_gate and row.priority not in PRESSING:
            selection.leave(row, Wait.BASE_FEE_GATE, GATE(base_fee=base_fee, limit=int(fees.base_fee_gate)))
        elif hold := guard.holding(base_fee=base_fee, height=height):
            text = HELD(base_fee=base_fee, limit=int(hold.base_fee))
            if hold.until:
                text = HELD_UNTIL(base_fee=base_fee, limit=int(hold.base_fee), epoch=hold.until)
            selection.leave(row, Wait.HELD, text)
        elif room is not None and room <= 0:
            selection.leave(row, Wait.DAILY_BUDGET, BUDGET_SPENT())
        else:
            found.append(Candidate(row, fees, guard))
    return found


def _unapproved(
    rows: Sequence[Message], *, rules: Sequence[ApprovalRule], kinds: Mapping[str, str]
) -> dict[str, str]:
    """Return the messages that a rule fits and nobody has approved as they are, with what the rule says."""
    fitting = {
        row.pk: (row, rule)
        for row in rows
        if (rule := approval_rule_find(row, rules=rules, receiver=kinds.get(row.to, ""))) is not None
    }
    if not fitting:
        return {}
    approved = contents_approved(fitting)
    return {
        pk: approval_rule_describe(rule)
        for pk, (row, rule) in fitting.items()
        if approved.get(pk) != content_digest_compute(row)
    }
