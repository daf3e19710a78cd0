"""Checks of senders: nonces, foreign messages, how long their balance lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from django.utils.translation import gettext

from apps.checks.findings.acts import ACTS_MAX, funds_send, senders_resume, senders_send_too
from apps.checks.findings.parts import sender_part
from apps.checks.findings.results import Act, Finding, Link
from apps.checks.findings.text import named
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import fees_per_day, provers_of
from apps.core.formatting import DAY_S, plural, shortened
from apps.messages.models import Sender
from apps.messages.selectors.foreign import is_used_elsewhere, senders_left
from apps.messages.selectors.spend import PACE_DAYS_LEAST
from apps.messages.states import NoncesBy, SenderState

RUNWAY_DAYS: Final = 3
"""A balance that lasts shorter than this is short."""


def _senders(
    rows: list[Sender],
    key: str,
    *,
    what: str,
    why: str,
    texts: Sequence[str] = (),
    acts: tuple[Act, ...] = (),
) -> Iterator[Finding]:
    """Yield one finding for all these senders; it leads to the sender if there is one alone."""
    if rows:
        names = texts or [shortened(row.address) for row in rows]
        link = Link("sender", (str(rows[0].address),)) if len(rows) == 1 else None
        say = f"{plural(len(rows), 'sender')} {what}"
        breaks = tuple(sender_part(str(row.address)) for row in rows)
        yield Finding(key, say, f"{named(names)}{why}", link=link, count=len(rows), acts=acts, breaks=breaks)


def nonce_gaps(data: CheckData) -> Iterator[Finding]:
    """Senders with a nonce in flight that nobody has: nothing behind it can land."""
    rows = [row for row in data.odd_senders if row.gap_nonce is not None]
    texts = [
        gettext("{shortened} is missing nonce {gap_nonce}").format(
            shortened=shortened(row.address), gap_nonce=row.gap_nonce
        )
        for row in rows
    ]
    why = gettext("; an empty message fills it within a few heads")
    yield from _senders(rows, "nonce-gaps", what=gettext("with a nonce gap"), why=why, texts=texts)


def senders_paused(data: CheckData) -> Iterator[Finding]:
    """Senders that somebody paused: nothing of theirs is pushed or signed."""
    rows = [row for row in data.odd_senders if row.state == SenderState.FORBIDDEN]
    why = gettext(": nothing is pushed or signed until resumed")
    acts = senders_resume(rows, data)
    yield from _senders(rows, "senders-paused", what=gettext("paused"), why=why, acts=acts)


def foreign_senders(data: CheckData) -> Iterator[Finding]:
    """Addresses of ours from which another program sends, too; in one that is left to it nothing collides."""
    used = [row for row in data.odd_senders if is_used_elsewhere(row, now=data.at)]
    rows = [row for row in used if row.nonces_by != NoncesBy.OTHER]
    why = gettext(": another program sends from the same address, so nonces collide")
    yield from _senders(rows, "foreign", what=gettext("used by another program"), why=why)


def senders_left_waiting(data: CheckData) -> Iterator[Finding]:
    """Messages of the pool wait, since another program gives their sender's nonces."""
    rows = senders_left(data.odd_senders)
    why = gettext(": another program assigns their nonces; let the pool send, or mark them failed")
    acts = senders_send_too(rows, data)
    yield from _senders(
        rows, "senders-left", what=gettext("with messages that wait for your word"), why=why, acts=acts
    )


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
            gettext("{balances} running low").format(balances=plural(len(short), "balance")),
            gettext(
                "{names}: less than {runway_days} days left at the gas cost of the last {span}; send funds"
            ).format(
                names=named(names),
                runway_days=RUNWAY_DAYS,
                span=plural(pace[first.address][1], "day"),
            ),
            count=len(short),
            per_day=fees_per_day(data, served),
            due_s=int(data.at.timestamp()) + left,
            due_label=gettext("until {label} is empty").format(label=first.label or shortened(first.address)),
            acts=tuple(funds_send(address, name) for address, name in rows)[:ACTS_MAX],
            breaks=tuple(sender_part(wallet.address) for _, wallet in short),
        )
