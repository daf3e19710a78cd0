"""Checks of messages: stuck, failed, below the base fee, held after a restore."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from django.utils.translation import gettext_noop

from apps.automation.selectors.auto_rules import auto_rules_hindered
from apps.checks import reasons
from apps.checks.findings.acts import (
    fees_raise,
    group_mend,
    message_mend,
    message_name,
    messages_push_again,
    messages_review,
)
from apps.checks.findings.message_costs import messages_cost
from apps.checks.findings.parts import FEES, needs_of, sender_part
from apps.checks.findings.results import Act, Finding, Link
from apps.checks.findings.text import at_least, grouped
from apps.checks.selectors.data import FAILED_MAX, CheckData
from apps.checks.selectors.exposure import STUCK_MAX, deposits_in, fees_per_day, first_close, held_by_stuck
from apps.core.formatting import fee_text, shortened
from apps.core.reasons import MARKED, as_reason, clauses, colon, counted, lasting, listed
from apps.messages.models import Message
from apps.messages.rules.causes import error_words
from apps.messages.selectors.alike import failed_grouped, stuck_grouped
from apps.messages.selectors.approvals import approvers_of
from apps.messages.selectors.failed import FAILED_HOURS
from apps.messages.selectors.recovery import unmatched_open
from apps.messages.selectors.stuck import messages_priced_out
from apps.messages.states import Wait
from poolsite.filecoin.actors.exitcodes import exit_code_text

COUNTED_MAX: Final = 200
"""Messages below the base fee that are counted; of more the check says "at least"."""
WAITS_MAX: Final = 100
"""Senders of stuck messages by which other findings know that they are of the same cause."""
FAILED_SHOWN: Final = timedelta(hours=1)
"""A signer's failed request is named for so long."""


def _what(data: CheckData, message: Message) -> str:
    """`SubmitWindowedPoSt of alice worker`."""
    return reasons.MESSAGE_OF(
        message=message_name(message, data),
        labels=data.wallet_names.get(message.from_addr) or shortened(message.from_addr),
    )


def recovery(data: CheckData) -> Iterator[Finding]:
    """Only proofs are signed: the database was restored, and what was sent since is not read back yet."""
    row = data.recovery
    if row is None or row.since is None:
        return
    count = unmatched_open().count() if data.viewer.sees_pool else 0
    left = reasons.RECOVERY_READS()
    if count:
        left = reasons.RECOVERY_UNKNOWN(messages=counted(count, "message"))
    yield Finding(
        "recovery",
        reasons.RECOVERY_HOLDS(),
        clauses(left, as_reason(row.reason)) if data.viewer.sees_pool else left,
        link=Link("recovery") if data.viewer.sees_pool else None,
        button=gettext_noop("Recovery") if data.viewer.sees_pool else "",
        per_day=fees_per_day(data, data.miners),  # proofs are messages
        due_s=(closes := first_close(data, data.miners)),
        due_label="" if closes is None else reasons.UNTIL_CLOSES(),
    )


def stuck(data: CheckData) -> Iterator[Finding]:
    """Messages that will not land by themselves."""
    count, first = data.messages_waiting.stuck, data.first_stuck
    if first is None:
        return
    wait = Wait(first.wait)
    why = _what(data, first)
    if first.error:
        why = colon(why, error_words(first.error, method=first.method))
    if wait == Wait.IN_POOL:
        since = first.published_at or first.filled_at or first.created_at
        why = listed([why, reasons.FOR_TIME(time=lasting((data.at - since).total_seconds()))])
    value, deposits = held_by_stuck(data)
    kinds = data.stuck_messages.select_related(None).order_by().values_list("kind", "pk")
    per_day, is_part = _costs_of(kinds[:STUCK_MAX], data)
    yield Finding(
        "stuck",
        (reasons.STUCK if count == 1 else reasons.STUCK_MOST)(
            messages=counted(count, "message"), why=MARKED(text=str(wait.label))
        ),
        why,
        link=Link("message", (first.pk,)) if count == 1 else Link("messages-failures"),
        button="" if count == 1 else gettext_noop("Failures"),
        count=count,
        has_more=count > STUCK_MAX,
        per_day=per_day,
        is_part=is_part,
        at_risk=value + deposits,
        deposits=deposits,
        acts=_stuck_acts(first, data, count=count),
        needs=_stuck_parts(data),
    )


def _stuck_acts(first: Message, data: CheckData, *, count: int) -> tuple[Act, ...]:
    """Return what mends the most urgent of them, with all that are stuck alike where that is one act."""
    groups = stuck_grouped(data.stuck_messages) if count > 1 else []
    group = next((one for one in groups if first.pk in one.ids), None)
    acts = () if group is None or group.count == 1 else group_mend(group, first, data)
    return acts or message_mend(first, data)


def _stuck_parts(data: CheckData) -> tuple[tuple[str, ...], ...]:
    """Return, for each sender and wait of stuck messages, what may have broken them."""
    rows = data.stuck_messages.select_related(None).order_by().values_list("from_addr", "wait").distinct()
    found = [(sender_part(address), wait) for address, wait in rows[: WAITS_MAX + 1]]
    needs = needs_of(_wait_parts(sender, wait) for sender, wait in found)
    return needs if len(found) <= WAITS_MAX else ()


def _wait_parts(sender: str, wait: str) -> tuple[str, ...]:
    parts = {
        Wait.FUNDS.value: (sender,),
        Wait.NO_ACTOR.value: (sender,),
        Wait.IN_POOL.value: (sender, FEES),
        Wait.FEE_CAP.value: (FEES,),
    }
    return parts.get(wait, ())


def unapproved(data: CheckData) -> Iterator[Finding]:
    """Messages that wait for a second person."""
    rows, has_more = data.unapproved_messages
    if not rows:
        return
    first = rows[0]
    names = listed(approvers_of(first)) or reasons.NOBODY()
    many = at_least(len(rows), "message", has_more=has_more)
    yield Finding(
        "unapproved",
        reasons.UNAPPROVED(many=many),
        reasons.PUSHED_BY(
            message=_what(data, first), pushed_by=first.pushed_by or reasons.THE_POOL(), names=names
        ),
        link=Link("message", (first.pk,)) if len(rows) == 1 else None,
        count=len(rows),
        has_more=has_more,
        acts=messages_review(rows, data),
    )


def nonce_taken(data: CheckData) -> Iterator[Finding]:
    """Messages whose nonce another message used: what they were for was not done."""
    rows, has_more = data.replaced_messages
    if not rows:
        return
    first = rows[0]
    many = at_least(len(rows), "message", has_more=has_more)
    yield Finding(
        "nonce-taken",
        reasons.NONCE_TAKEN(many=many),
        colon(_what(data, first), first.error),
        link=Link("message", (first.pk,)) if len(rows) == 1 else None,
        count=len(rows),
        has_more=has_more,
        acts=messages_push_again(rows, data),
    )


def rules_hindered(data: CheckData) -> Iterator[Finding]:
    """Automatic rules that switched themselves off, or that something keeps from what is due."""
    if not data.rare.rules_hindered:
        return
    for rule in auto_rules_hindered(data.viewer)[:COUNTED_MAX]:
        yield Finding(
            f"auto-rule-{rule.uuid}",
            reasons.RULE_STOPPED() if rule.stopped else reasons.RULE_HINDERED(),
            colon(MARKED(text=str(rule.get_kind_display())), as_reason(rule.stopped or rule.note)),
            link=Link("auto-rule", (str(rule.uuid),)),
        )


def failed(data: CheckData) -> Iterator[Finding]:
    """Messages of the last day that were given up, or landed with an exit code."""
    rows, has_more = data.failed_messages[:FAILED_MAX], len(data.failed_messages) > FAILED_MAX
    for groups in grouped(failed_grouped(rows)):
        first, keys = groups[0].newest, [key for group in groups for key in group.ids]
        link = Link("messages", query=f"state={groups[0].view}&cause={groups[0].key}")
        if len(groups) > 1:
            link = Link("messages-failures")
        many = at_least(len(keys), "message", has_more=has_more)
        deposits = deposits_in(data, keys)
        per_day, is_part = _costs_of(((one.newest.kind, key) for one in groups for key in one.ids), data)
        yield Finding(
            f"failed-{groups[0].key}",
            reasons.FAILED_LATELY(many=many, failed_hours=FAILED_HOURS),
            colon(_what(data, first), _failed_why(first)),
            link=Link("message", (first.pk,)) if len(keys) == 1 else link,
            count=len(keys),
            has_more=has_more,
            per_day=per_day,
            is_part=is_part,
            at_risk=deposits,  # their value has not left the sender
            deposits=deposits,
        )


def _costs_of(rows: Iterable[tuple[str, str]], data: CheckData) -> tuple[int, bool]:
    """Return what messages, by kind and key, cost a day as far as it is known, and whether others name it."""
    keys: dict[str, list[str]] = {}
    for kind, key in rows:
        keys.setdefault(kind, []).append(key)
    costs = [cost for kind, some in keys.items() if (cost := messages_cost(data, kind, some)) is not None]
    rewards = sum(cost.rewards for cost in costs)
    faults = sum(cost.faults for cost in costs)
    return (rewards, False) if rewards else (faults, bool(faults))


def _failed_why(message: Message) -> str:
    """Return what was said of a message that failed, else what its exit code means."""
    if words := error_words(message.error, method=message.method):
        return as_reason(words)
    if message.exit_code <= 0:
        return reasons.MARKED_FAILED()
    return reasons.EXITED(exit_code=message.exit_code, meaning=MARKED(text=exit_code_text(message.exit_code)))


def base_fee_above_cap(data: CheckData) -> Iterator[Finding]:
    """Signed messages that no block takes, as the base fee rose above what they pay at most."""
    if data.head is None or not data.rare.messages_open:
        return
    rows = messages_priced_out(data.viewer, head=data.head)
    found = list(rows[: COUNTED_MAX + 1])
    if found:
        first, has_more = found[0], len(found) > COUNTED_MAX
        found = found[:COUNTED_MAX]
        many = at_least(len(found), "message", has_more=has_more)
        cap, base = fee_text(int(first.gas_fee_cap)), fee_text(int(data.head.base_fee))
        yield Finding(
            "priced-out",
            reasons.PRICED_OUT(many=many),
            reasons.FEES_WERE(message=_what(data, first), cap=cap, base=base),
            link=Link("message", (first.pk,)) if len(found) == 1 else None,
            count=len(found),
            has_more=has_more,
            acts=fees_raise(found, many, data),
            breaks=(FEES,),
        )
