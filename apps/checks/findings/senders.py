"""Checks of senders: nonces, foreign messages, how long their balance lasts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from apps.checks import reasons
from apps.checks.findings.acts import ACTS_MAX, funds_send, senders_resume, senders_send_too
from apps.checks.findings.parts import sender_part
from apps.checks.findings.results import Act, Finding, Link
from apps.checks.findings.text import named
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import fees_per_day, provers_of
from apps.core.clock import DAY_S
from apps.core.formatting import shortened
from apps.core.reasons import ReasonKind, clauses, colon, counted
from apps.messages.models import Sender
from apps.messages.selectors.foreign import is_used_elsewhere, senders_left
from apps.messages.selectors.spend import PACE_DAYS_LEAST
from apps.messages.states import NoncesBy, SenderState

RUNWAY_DAYS: Final = 3
"""A balance that lasts shorter than this is short."""


def _senders(
    rows: list[Sender], key: str, *, what: ReasonKind, why: str, acts: tuple[Act, ...] = ()
) -> Iterator[Finding]:
    """Yield one finding for all these senders; it leads to the sender if there is one alone."""
    if rows:
        link = Link("sender", (str(rows[0].address),)) if len(rows) == 1 else None
        say = what(count=counted(len(rows), "sender"))
        breaks = tuple(sender_part(str(row.address)) for row in rows)
        yield Finding(key, say, why, link=link, count=len(rows), acts=acts, breaks=breaks)


def _why(rows: list[Sender], cause: str) -> str:
    return colon(named([shortened(row.address) for row in rows]), cause)


def nonce_gaps(data: CheckData) -> Iterator[Finding]:
    """Senders with a nonce in flight that nobody has: nothing behind it can land."""
    rows = [row for row in data.odd_senders if row.gap_nonce is not None]
    texts = [reasons.GAP(shortened=shortened(row.address), gap_nonce=row.gap_nonce) for row in rows]
    why = clauses(named(texts), reasons.GAP_FILLED())
    yield from _senders(rows, "nonce-gaps", what=reasons.GAPS, why=why)


def senders_paused(data: CheckData) -> Iterator[Finding]:
    """Senders that somebody paused: nothing of theirs is pushed or signed."""
    rows = [row for row in data.odd_senders if row.state == SenderState.FORBIDDEN]
    why, acts = _why(rows, reasons.SENDERS_HELD()), senders_resume(rows, data)
    yield from _senders(rows, "senders-paused", what=reasons.PAUSED, why=why, acts=acts)


def foreign_senders(data: CheckData) -> Iterator[Finding]:
    """Addresses of ours from which another program sends, too; in one that is left to it nothing collides."""
    used = [row for row in data.odd_senders if is_used_elsewhere(row, now=data.at)]
    rows = [row for row in used if row.nonces_by != NoncesBy.OTHER]
    why = _why(rows, reasons.NONCES_COLLIDE())
    yield from _senders(rows, "foreign", what=reasons.SENDERS_FOREIGN, why=why)


def senders_left_waiting(data: CheckData) -> Iterator[Finding]:
    """Messages of the pool wait, since another program gives their sender's nonces."""
    rows = senders_left(data.odd_senders)
    why, acts = _why(rows, reasons.NONCES_OF_OTHER()), senders_send_too(rows, data)
    yield from _senders(rows, "senders-left", what=reasons.SENDERS_LEFT, why=why, acts=acts)


def runway_short(data: CheckData) -> Iterator[Finding]:
    """Addresses whose balance ends within days at what gas has cost lately."""
    pace = data.spend_pace
    short = []
    for wallet in data.wallets_used:
        cost, days = pace.get(wallet.address, (0, 1))
        if wallet.balance is not None and cost > 0 and days >= PACE_DAYS_LEAST:
            left = int(wallet.balance) * days * DAY_S // cost
            if left < RUNWAY_DAYS * DAY_S:
                short.append((left, wallet))
    if short:
        short.sort(key=lambda one: one[0])
        left, first = short[0]
        names = [wallet.label or shortened(wallet.address) for _, wallet in short]
        rows = zip((wallet.address for _, wallet in short), names, strict=True)
        served = provers_of(data, {wallet.address for _, wallet in short})
        yield Finding(
            "runway",
            reasons.RUNWAY(balances=counted(len(short), "balance")),
            reasons.RUNWAY_LEFT(
                names=named(names), runway_days=RUNWAY_DAYS, span=counted(pace[first.address][1], "day")
            ),
            count=len(short),
            per_day=fees_per_day(data, served),
            due_s=int(data.at.timestamp()) + left,
            due_label=reasons.UNTIL_EMPTY(label=first.label or shortened(first.address)),
            acts=tuple(funds_send(address, name) for address, name in rows)[:ACTS_MAX],
            breaks=tuple(sender_part(wallet.address) for _, wallet in short),
        )
