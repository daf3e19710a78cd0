"""Checks of miners: fee debts, worker keys to confirm, and miners that the pool does not see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from django.utils.translation import gettext_noop

from apps.chain.selectors.heads import head_arrived_by
from apps.checks import reasons
from apps.checks.findings.acts import funds_send
from apps.checks.findings.links import miner_link
from apps.checks.findings.parts import NODE, process_part
from apps.checks.findings.results import Act, Finding, Link
from apps.checks.findings.text import grouped, miner_name, miners_named
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import fees_per_day, first_close
from apps.core.formatting import fil, whole
from apps.messages.selectors.creations import created_id, creations_since
from apps.messages.selectors.messages import messages_visible
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.users.states import Perm
from poolsite.filecoin.address import id_address

UNREAD_EPOCHS: Final = 10
CREATED_SHOWN: Final = timedelta(days=7)
UNREAD_LEAST: Final = timedelta(seconds=60)
"""Right after a start, and on a devnet with epochs of seconds, a miner is behind for a moment."""


def miners_unread(data: CheckData) -> Iterator[Finding]:
    """Miners that are not read any more though heads come: forecasts, messages and balances are old ones."""
    seen = 0 if data.head is None else data.head.height - UNREAD_EPOCHS
    late = [one for one in data.miners if one.state == MinerState.ACTIVE and 0 <= one.refreshed_height < seen]
    head = head_arrived_by(data.at - UNREAD_LEAST) if late else None
    unread = [one for one in late if head is not None and one.refreshed_height < head.height]
    for group in grouped(unread):
        due = first_close(data, group)
        yield Finding(
            f"unread-{group[0].address}",
            reasons.UNREAD_SINCE(
                group=miners_named(group), height=whole(min(miner.refreshed_height for miner in group))
            ),
            reasons.HEADS_ARRIVE(cause=_unread_cause(data)),
            link=miner_link(group),
            count=len(group),
            per_day=fees_per_day(data, group),
            needs=((NODE, process_part("tasks")),),
            due_s=due,
            due_label="" if due is None else reasons.UNTIL_CLOSES(),
        )


def _unread_cause(data: CheckData) -> str:
    """Return why miners are not read, as far as the viewer may know, and what to do."""
    if not data.viewer.sees_pool:
        return reasons.NOT_TRACKED()
    tasks = next((one for one in data.processes if one.name == "tasks" and one.state != "running"), None)
    if tasks is not None and tasks.state == "silent":
        return reasons.TASKS_SILENT()
    if tasks is not None:
        return reasons.TASKS_DOWN()
    return reasons.STATE_AWAY()


def worker_change_pending(data: CheckData) -> Iterator[Finding]:
    """Workers that were asked for and that nobody has confirmed yet: the old key goes on signing.

    A block's key is that of the lookback: one that is taken away with the confirmation loses wins for hours.
    """
    lookback = 0 if data.network is None else data.network.power_lookback
    for group in grouped([miner for miner in data.miners if miner.new_worker]):
        first = group[0]
        at = first.new_worker_epoch or 0
        is_due = data.head is not None and data.head.height >= at
        yield Finding(
            f"worker-{first.address}",
            reasons.WORKER_PENDING(group=miners_named(group)),
            reasons.WORKER_CONFIRMED(
                new_worker=first.new_worker,
                when=reasons.NOW_SINCE() if is_due else reasons.FROM_NOW(),
                at=at,
                lookback=whole(lookback),
            ),
            link=Link("miner-addresses", (first.address,)) if len(group) == 1 else None,
            count=len(group),
        )


def fee_debts(data: CheckData) -> Iterator[Finding]:
    """Miners that owe the chain fees: they can neither pre-commit nor withdraw."""
    owing = sorted((miner for miner in data.miners if miner.fee_debt), key=lambda miner: -miner.fee_debt)
    for group in grouped(owing):
        debt = sum(int(miner.fee_debt) for miner in group)
        yield Finding(
            f"debt-{group[0].address or group[0].pk}",
            reasons.DEBT(group=miners_named(group), debt=fil(debt), count=len(group)),
            reasons.DEBT_BARS(),
            link=miner_link(group),
            count=len(group),
            at_risk=debt,
            acts=_debt_acts(group),
        )


def _debt_acts(miners: Sequence[Miner]) -> tuple[Act, ...]:
    """Return the transfer that pays the debt of a miner; of several each has its own page."""
    if len(miners) > 1:
        return ()
    [miner] = miners
    name = miner_name(miner)
    return (funds_send(miner.address, name, label=gettext_noop("Pay debt of"), value=int(miner.fee_debt)),)


def miners_created(data: CheckData) -> Iterator[Finding]:
    """Yield miners that a tenant's program created in the last week and that are not in the pool.

    No rule of a signer allows anything for such a miner, and nothing of it is shown, so the program stands
    still at its first pre-commit.
    """
    if not data.rare.miners_created:
        return
    rows = creations_since(messages_visible(data.viewer), data.at - CREATED_SHOWN)
    made = {created_id(row): row.tenant.name for row in rows if row.tenant is not None}
    added = set(Miner.objects.filter(actor_id__in=made).values_list("actor_id", flat=True))
    for actor_id, tenant in made.items():
        if actor_id in added:
            continue
        address = str(id_address(actor_id))
        page = Link("miner-new", query=urlencode({"how": "import", "tenant": tenant, "address": address}))
        yield Finding(
            f"created-{address}",
            reasons.MINER_CREATED(tenant=tenant, miner=address),
            reasons.MINER_ADD() if data.viewer.is_operator else reasons.MINER_ADD_ASK(),
            acts=(Act(page, gettext_noop("Add"), address, perm=Perm.ADMIN, opens_page=True),)
            if data.viewer.is_operator
            else (),
        )
