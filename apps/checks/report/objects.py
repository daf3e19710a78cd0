"""The checks of one object, for its own page: the same list, run on that object alone."""

from __future__ import annotations

from typing import Any, Final

from apps.checks.findings.sealing_clocks import UNCOMMITTED
from apps.checks.report.evaluate import evaluate_some
from apps.checks.report.report import Report
from apps.checks.selectors.data import CheckData
from apps.messages.models import Message, Sender
from apps.messages.selectors.failed import is_failed
from apps.messages.selectors.stuck import Waiting
from apps.messages.states import MessageState, Wait
from apps.miners.models import Miner
from apps.proving.selectors.deadlines import deadlines_by_key
from apps.sectors.models import Sector
from apps.sectors.selectors.sectors import DEPOSIT_OVER
from poolsite.wire.pipeline import SectorState

SHARED: Final = (
    "at",
    "rare",
    "head",
    "network",
    "clock",
    "reward",
    "miners",
    "deadlines",
    "wallets_used",
    "wallet_names",
    "spend_pace",
    "restored",
    "spend",
    "precommit_times",
)
"""Parts that are the same for one object as for the pool."""
OF_MINER: Final = (
    "sectors_faulty",
    "auto_terminations",
    "cutoffs_missed",
    "recoveries_capped",
    "sector_files",
    "windows_missed",
    "windows_at_risk",
    "roles_unheld",
    "doors_down",
    "fee_debt",
    "miners_unread",
    "worker_change_pending",
    "rounds_unbegun",
    "wins_lost",
    "blocks_foreign",
    "blocks_unstarted",
    "rounds_undrawn",
    "wins_rare",
    "winning_proofs_failed",
)
OF_SENDER: Final = (
    "recovery",
    "messages_stuck",
    "nonce_gaps",
    "senders_foreign",
    "senders_left",
    "senders_paused",
    "balances_short",
    "signers_away",
)


def narrowed(data: CheckData, **parts: Any) -> CheckData:
    """Return the same viewer's data with these parts instead; what was read already is not read again."""
    found = CheckData(data.viewer)
    found.__dict__.update({name: data.__dict__[name] for name in SHARED if name in data.__dict__})
    shared: Report | None = getattr(data, "report", None)  # a page's, which its bell shows in any case
    if shared is not None:
        own = {result.check.name: str(result.check.severity) for result in shared.results}
        found.__dict__["severities"] = own
    found.__dict__.update(parts)
    return found


def report_of_miner(data: CheckData, miner: Miner) -> Report:
    """Return what the checks find of one miner."""
    failed = [row for row in data.failed_connections if getattr(row, "actor_id", None) == miner.actor_id]
    own = narrowed(data, miners=[miner], deadlines=deadlines_by_key([miner]), failed_connections=failed)
    return evaluate_some(OF_MINER, own)


def report_of_sector(data: CheckData, sector: Sector) -> Report:
    """Return what the checks find of one sector; those that cannot fail in its state are not run."""
    names = ["sectors_paused"] if sector.paused_at is not None else []
    if sector.state == SectorState.PROVING:
        names += ["sectors_expiring", "runs_stopped", "changes_failed", "moves_failed"]
    elif sector.precommit_epoch is not None and sector.state not in DEPOSIT_OVER:
        names += ["deposits_expiring", "seed_ready"]
    elif sector.ticket_epoch is not None and sector.state in UNCOMMITTED:
        names.append("tickets_expiring")
    rows = Sector.objects.filter(pk=sector.pk).select_related("miner")
    counts = {"PAUSED": int(sector.paused_at is not None)}
    return evaluate_some(names, narrowed(data, sectors=rows, sector_counts=counts))


def report_of_sender(data: CheckData, sender: Sender, *, stuck: int) -> Report:
    """Return what the checks find of one sender, of whose messages so many are stuck."""
    own = narrowed(
        data,
        odd_senders=[sender],
        wallets_used=[one for one in data.wallets_used if one.address == sender.address],
        messages_waiting=Waiting(signed=0, queued=0, stuck=stuck),
        stuck_messages=data.stuck_messages.filter(from_addr=sender.address),
    )
    return evaluate_some(OF_SENDER, own)


def report_of_message(data: CheckData, message: Message) -> Report:
    """Return what the checks find of one message, which says in `is_stuck` whether it is."""
    stuck = bool(getattr(message, "is_stuck", False))
    waits = message.needs_approval and message.state == MessageState.UNFILLED
    own = narrowed(
        data,
        messages_waiting=Waiting(signed=0, queued=0, stuck=int(stuck)),
        stuck_messages=data.stuck_messages.filter(pk=message.pk),
        first_stuck=message if stuck else None,
        unapproved_messages=([message] if waits else [], False),
        replaced_messages=([message] if message.wait == Wait.NONCE_TAKEN else [], False),
        failed_messages=[message] if is_failed(message, now=data.at) else [],
    )
    is_open = message.state in (MessageState.UNFILLED, MessageState.FILLED)
    open_checks = ("recovery", "messages_stuck", "messages_unapproved")
    return evaluate_some(open_checks if is_open else ("messages_failed", "messages_replaced"), own)
