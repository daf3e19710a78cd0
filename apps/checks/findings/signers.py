"""Checks of signers: connected, and what they were asked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from django.utils.translation import gettext_noop

from apps.checks import reasons
from apps.checks.findings.messages import FAILED_SHOWN
from apps.checks.findings.parts import key_part, needs_of, process_part, prover_part
from apps.checks.findings.results import Act, Finding, Link
from apps.checks.findings.text import grouped, miners_named, named
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import (
    fees_per_day,
    first_close,
    rewards_per_day,
    senders_needed,
)
from apps.core.formatting import shortened
from apps.core.reasons import as_reason, clauses, counted, listed
from apps.gateway.models import ProverConnection, SignerConnection
from apps.gateway.selectors import signer_grants as grants
from apps.gateway.selectors.connections import keys_held, signers_connected
from apps.gateway.states import Purpose
from apps.users.states import POOL, Perm
from poolsite.filecoin.address import id_address
from poolsite.wire.proposals import ANY_ESCROW, NO_PUBLISHING, NO_VOTES, PROOFS_BY_DAY


def signers_away(data: CheckData) -> Iterator[Finding]:
    """Yield the addresses that a miner or an open message needs and for which no signer is connected.

    The key of an owner is best kept offline, and one that was replaced is gone for good.
    """
    # One without an account is kept offline: its messages are exported.
    away = [wallet for wallet in data.wallets_used if wallet.account and not wallet.is_served(data.at)]
    if not away:
        return
    needed = senders_needed(data, {wallet.address for wallet in away})
    away = [wallet for wallet in away if wallet.address in needed.addresses]
    if away:
        names = [wallet.label or shortened(wallet.address) for wallet in away]
        due = first_close(data, needed.provers)
        why: str = reasons.UNSIGNED(names=named(names))
        if needed.provers:
            why = listed([why, reasons.PROOFS_UNSIGNED(served=miners_named(needed.provers))])
        yield Finding(
            "signer",
            reasons.SIGNERS_AWAY(addresses=reasons.ADDRESSES(count=len(away))),
            why,
            count=len(away),
            per_day=fees_per_day(data, needed.provers) + rewards_per_day(data, needed.addresses),
            due_s=due,
            due_label=reasons.UNTIL_CLOSES() if due is not None else "",
            breaks=tuple(key_part(wallet.address) for wallet in away),
            # The console's own signer is of the operator's tenant.
            needs=needs_of((process_part("signer"),) if wallet.account == POOL else () for wallet in away),
        )


def winning_proofs_failed(data: CheckData) -> Iterator[Finding]:
    """Winning proofs that a prover did not give: each is a block that was won and lost."""
    connections = [row for row in data.failed_connections if isinstance(row, ProverConnection)]
    miners = {miner.actor_id: miner for miner in data.miners} if connections else {}
    for group in grouped([row for row in connections if row.purpose == Purpose.PROOF]):
        names = list(dict.fromkeys(str(id_address(row.actor_id)) for row in group))
        yield Finding(
            f"wins-{group[0].pk}",
            reasons.WINNING_FAILED(names=named(names)),
            reasons.LATEST(last_failure=as_reason(group[0].last_failure)),
            count=len(group),
            breaks=tuple(prover_part(miners[row.actor_id]) for row in group if row.actor_id in miners),
            needs=needs_of(
                (prover_part(miners[row.actor_id]),) if row.actor_id in miners else () for row in group
            ),
            seen_s=_seen_s(group[0]),
        )


def _seen_s(row: SignerConnection | ProverConnection) -> int | None:
    return None if row.failed_at is None else int(row.failed_at.timestamp())


def requests_failed(data: CheckData) -> Iterator[Finding]:
    """Signers that gave no answer."""
    since = data.at - FAILED_SHOWN
    signers = [row for row in data.failed_connections if isinstance(row, SignerConnection)]
    rows = [row for row in signers if row.failed_at is not None and row.failed_at > since]
    if rows:
        say = reasons.REQUESTS_FAILED(signers=counted(len(rows), "signer"))
        held = keys_held(rows)
        yield Finding(
            "requests",
            say,
            reasons.LATEST(last_failure=as_reason(rows[0].last_failure)),
            count=len(rows),
            breaks=tuple(map(key_part, sorted(set().union(*held.values())))),
            needs=needs_of(tuple(map(key_part, sorted(held[row.pk]))) for row in rows),
            seen_s=_seen_s(rows[0]),
        )


def policies_advised(data: CheckData) -> Iterator[Finding]:
    """Policies of connected signers that may refuse a window, a vote or deals, or pay a stranger."""
    if not data.rare.signers_advised:
        return
    voting = [lease.miner for lease in data.f3_leases if lease.runs_at(data.at)]
    publishing = data.deal_senders
    for row in signers_connected(data.viewer).exclude(policy_advice=[]):
        keys = [str(key.address) for key in row.signer_keys.all()]
        refused = [miner for miner in voting if NO_VOTES in row.policy_advice and miner.worker in keys]
        unpublished = [
            miner
            for miner, sender in publishing.items()
            if NO_PUBLISHING in row.policy_advice and sender in keys
        ]
        texts = [
            reasons.LIMIT_SHARED() if PROOFS_BY_DAY in row.policy_advice else "",
            reasons.ANYBODYS_ESCROW() if ANY_ESCROW in row.policy_advice else "",
            reasons.VOTES_BARRED(miners=miners_named(refused)) if refused else "",
            reasons.DEALS_BARRED(miners=miners_named(unpublished)) if unpublished else "",
        ]
        if not keys or not any(texts):
            continue
        page = Link("policy", (keys[0],))
        yield Finding(
            f"policy-{keys[0]}",
            reasons.POLICY_ADVICE(tenant=row.tenant.name),
            clauses(*texts),
            acts=(
                Act(
                    page, gettext_noop("Review policy of"), row.tenant.name, perm=Perm.ADMIN, opens_page=True
                ),
            ),
        )


def grants_unchosen(data: CheckData) -> Iterator[Finding]:
    """Keys of another tenant's signer that a tenant may use though nobody granted them."""
    if not data.rare.grants_unchosen:
        return
    for tenant, rows in groupby(grants.grants_unchosen(), key=lambda row: row.tenant):
        addresses = [row.address for row in rows]
        names = [data.wallet_names.get(address) or shortened(address) for address in addresses]
        page = Link("tenant", (str(tenant.uuid),))
        yield Finding(
            f"grants-{tenant.uuid}",
            reasons.GRANTS_UNCHOSEN(tenant=tenant.name, keys=counted(len(addresses), "key")),
            reasons.GRANTS_CHOOSE(names=named(names)),
            link=page,
            count=len(addresses),
            acts=(Act(page, gettext_noop("Review"), tenant.name, perm=Perm.ADMIN, opens_page=True),),
        )
