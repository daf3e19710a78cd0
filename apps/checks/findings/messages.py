"""Checks of messages, senders and the money that they need."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from apps.checks.acts import (
    ACTS_MAX,
    fees_raise,
    funds_send,
    message_mend,
    message_name,
    senders_resume,
)
from apps.checks.data import FAILED_MAX
from apps.checks.exposure import (
    deposits_in,
    fees_per_day,
    first_close,
    held_by_stuck,
    provers_of,
    rewards_per_day,
)
from apps.checks.results import Finding, Link
from apps.checks.text import grouped, miner_name, named
from apps.core.formatting import fee_text, plural, shortened, time_left, whole
from apps.gateway.models import ProverConnection, SignerConnection
from apps.gateway.states import Purpose
from apps.messages.selectors.failed import FAILED_HOURS
from apps.messages.selectors.foreign import is_used_elsewhere
from apps.messages.selectors.recovery import unmatched_open
from apps.messages.selectors.stuck import messages_priced_out
from apps.messages.states import SenderState, Wait
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.filecoin.address import id_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from apps.checks.data import CheckData
    from apps.checks.results import Act
    from apps.messages.models import Message, Sender

COUNTED_MAX: Final = 200
"""Messages below the base fee that are counted; of more the check says "over"."""
FAILED_SHOWN: Final = timedelta(hours=1)
"""A signer's failed request is named for so long."""
RUNWAY_DAYS: Final = 3
"""A balance that lasts shorter than this is short."""


def _what(data: CheckData, message: Message) -> str:
    """`SubmitWindowedPoSt of alice worker`."""
    labels = {wallet.address: wallet.label for wallet in data.wallets}
    return gettext("{message} of {labels}").format(
        message=message_name(message, data),
        labels=labels.get(message.from_addr) or shortened(message.from_addr),
    )


def recovery(data: CheckData) -> Iterator[Finding]:
    """Nothing is signed: the database was restored, and what was sent since is not read back yet."""
    row = data.recovery
    if row is None or row.since is None:
        return
    count = unmatched_open().count() if data.viewer.is_operator else 0
    left = "the chain is being read from the backup's height on; signing resumes automatically"
    if count:
        left = gettext("{messages} on chain not in the database: identify each one").format(
            messages=plural(count, "message")
        )
    yield Finding(
        "recovery",
        "no message is signed: the pool is recovering from a restored backup",
        f"{left}; {row.reason}" if data.viewer.is_operator else left,
        link=Link("recovery") if data.viewer.is_operator else None,
        button="Recovery" if data.viewer.is_operator else "",
        per_day=fees_per_day(data, data.miners),  # proofs are messages
        due_s=(closes := first_close(data, data.miners)),
        due_label="" if closes is None else gettext("until a window closes"),
    )


def stuck(data: CheckData) -> Iterator[Finding]:
    """Messages that will not land by themselves."""
    count, first = data.messages_waiting.stuck, data.first_stuck
    if first is None:
        return
    wait = Wait(first.wait)
    why = f"{_what(data, first)}: {wait.label}" + (f": {first.error}" if first.error else "")
    if wait == Wait.IN_POOL:
        since = first.published_at or first.filled_at or first.created_at
        why += gettext(", for {time}").format(time=time_left((data.at - since).total_seconds()))
    value, deposits = held_by_stuck(data)
    yield Finding(
        "stuck",
        gettext("{messages} stuck").format(messages=plural(count, "message")),
        why,
        link=Link("message", (first.pk,)),
        count=count,
        at_risk=value + deposits,
        deposits=deposits,
        acts=message_mend(first, data),
    )


def failed(data: CheckData) -> Iterator[Finding]:
    """Messages of the last day that were given up, or landed with an exit code."""
    rows = data.failed_messages
    if not rows:
        return
    first = rows[0]
    code = gettext("exit {exit_code}: {meaning}").format(
        exit_code=first.exit_code, meaning=exit_code_text(first.exit_code)
    )
    why = first.error or (code if first.exit_code > 0 else "marked as failed")
    many = (
        gettext("over {failed_max} messages").format(failed_max=whole(FAILED_MAX))
        if len(rows) > FAILED_MAX
        else plural(len(rows), "message")
    )
    deposits = deposits_in(data, [row.pk for row in rows])
    yield Finding(
        "failed",
        gettext("{many} failed in the last {failed_hours} h").format(many=many, failed_hours=FAILED_HOURS),
        f"{_what(data, first)}: {why}",
        link=Link("message", (first.pk,)) if len(rows) == 1 else None,
        count=len(rows),
        at_risk=deposits,  # their value has not left the sender
        deposits=deposits,
    )


def base_fee_above_cap(data: CheckData) -> Iterator[Finding]:
    """Signed messages that no block takes, as the base fee rose above what they pay at most."""
    if data.head is None or not data.rare.messages_open:
        return
    rows = messages_priced_out(data.viewer, head=data.head)
    found = list(rows[: COUNTED_MAX + 1])
    if found:
        first, count = found[0], len(found)
        many = (
            gettext("over {counted_max} messages").format(counted_max=whole(COUNTED_MAX))
            if count > COUNTED_MAX
            else plural(count, "message")
        )
        cap, base = fee_text(int(first.gas_fee_cap)), fee_text(int(data.head.base_fee))
        yield Finding(
            "priced-out",
            gettext("{many} with a fee cap below the base fee").format(many=many),
            gettext("{message}: fee cap {cap}, base fee {base}").format(
                message=_what(data, first), cap=cap, base=base
            ),
            link=Link("message", (first.pk,)) if count == 1 else None,
            count=count,
            acts=fees_raise(found, many, data),
        )


def _senders(
    rows: list[Sender],
    key: str,
    *,
    what: str,
    why: str,
    words: Sequence[str] = (),
    acts: tuple[Act, ...] = (),
) -> Iterator[Finding]:
    """Yield one finding for all these senders; it leads to the sender if there is one alone."""
    if rows:
        names = words or [shortened(row.address) for row in rows]
        link = Link("sender", (str(rows[0].address),)) if len(rows) == 1 else None
        say = f"{plural(len(rows), 'sender')} {what}"
        yield Finding(key, say, f"{named(names)}{why}", link=link, count=len(rows), acts=acts)


def nonce_gaps(data: CheckData) -> Iterator[Finding]:
    """Senders with a nonce in flight that nobody has: nothing behind it can land."""
    rows = [row for row in data.odd_senders if row.gap_nonce is not None]
    words = [
        gettext("{shortened} is missing nonce {gap_nonce}").format(
            shortened=shortened(row.address), gap_nonce=row.gap_nonce
        )
        for row in rows
    ]
    why = "; an empty message fills it within a few heads"
    yield from _senders(rows, "nonce-gaps", what="with a nonce gap", why=why, words=words)


def senders_paused(data: CheckData) -> Iterator[Finding]:
    """Senders that somebody paused: nothing of theirs is pushed or signed."""
    rows = [row for row in data.odd_senders if row.state == SenderState.FORBIDDEN]
    why = ": nothing is pushed or signed until resumed"
    acts = senders_resume(rows, data)
    yield from _senders(rows, "senders-paused", what="paused", why=why, acts=acts)


def foreign_senders(data: CheckData) -> Iterator[Finding]:
    """Addresses of ours from which another program sends, too."""
    rows = [row for row in data.odd_senders if is_used_elsewhere(row, now=data.at)]
    why = ": another program sends from the same address, so nonces collide"
    yield from _senders(rows, "foreign", what="used by another program", why=why)


def runway_short(data: CheckData) -> Iterator[Finding]:
    """Addresses whose balance ends within days at what gas has cost lately."""
    spent = data.spend
    short = []
    for wallet in data.wallets:
        cost, days = spent.get(wallet.address, (0, 1))
        if wallet.balance is not None and cost > 0:
            left = int(wallet.balance) * days * 86_400 // cost
            if left < RUNWAY_DAYS * 86_400:
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
            gettext("{names}: covers less than {runway_days} days of gas; send funds").format(
                names=named(names), runway_days=RUNWAY_DAYS
            ),
            count=len(short),
            per_day=fees_per_day(data, served),
            due_s=int(data.at.timestamp()) + left,
            due_label=gettext("until {label} is empty").format(label=first.label or shortened(first.address)),
            acts=tuple(funds_send(address, name) for address, name in rows)[:ACTS_MAX],
        )


def signers_away(data: CheckData) -> Iterator[Finding]:
    """Addresses for which no signer is connected."""
    away = [wallet for wallet in data.wallets if not wallet.is_served(data.at)]
    if away:
        names = [wallet.label or shortened(wallet.address) for wallet in away]
        addresses = {wallet.address for wallet in away}
        served = provers_of(data, addresses)
        due = first_close(data, served)
        why = gettext("messages from {names} are waiting").format(names=named(names))
        if served:
            why += gettext(", including the proofs of {served}").format(
                served=named([miner_name(one) for one in served])
            )
        yield Finding(
            "signer",
            gettext("{addresses} without a signer").format(
                addresses=plural(len(away), "address", "addresses")
            ),
            why,
            count=len(away),
            per_day=fees_per_day(data, served) + rewards_per_day(data, addresses),
            due_s=due,
            due_label="until a window closes" if due is not None else "",
        )


def winning_proofs_failed(data: CheckData) -> Iterator[Finding]:
    """Winning proofs that a prover did not give: each is a block that was won and lost."""
    connections = [row for row in data.failed_connections if isinstance(row, ProverConnection)]
    for group in grouped([row for row in connections if row.purpose == Purpose.PROOF]):
        names = list(dict.fromkeys(str(id_address(row.actor_id)) for row in group))
        yield Finding(
            f"wins-{group[0].pk}",
            gettext("winning proofs of {names} failed").format(names=named(names)),
            gettext("latest: {last_failure}").format(last_failure=group[0].last_failure),
            count=len(group),
        )


def requests_failed(data: CheckData) -> Iterator[Finding]:
    """Signers that gave no answer."""
    since = data.at - FAILED_SHOWN
    signers = [row for row in data.failed_connections if isinstance(row, SignerConnection)]
    rows = [row for row in signers if row.failed_at is not None and row.failed_at > since]
    if rows:
        say = gettext("requests to {signers} failed").format(signers=plural(len(rows), "signer"))
        yield Finding(
            "requests",
            say,
            gettext("latest: {last_failure}").format(last_failure=rows[0].last_failure),
            count=len(rows),
        )
