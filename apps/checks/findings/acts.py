"""What mends a finding with one click: the console's own routes, with the name of the object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from django.utils.translation import gettext_noop

from apps.chain.models import Node
from apps.chain.states import CONDITIONS_FOREIGN
from apps.checks.findings.results import Act, Link
from apps.checks.models import AlertChannel
from apps.checks.reasons import THE_POOL
from apps.checks.selectors.data import CheckData
from apps.core.formatting import shortened
from apps.core.reasons import counted
from apps.messages.models import Message, Sender
from apps.messages.rules.methods import method_text
from apps.messages.selectors.alike import MessageGroup
from apps.messages.selectors.diagnosis import message_diagnose
from apps.messages.selectors.senders import sender_may_set
from apps.miners.models import Miner
from apps.miners.services.network_unbind import network_may_unbind
from apps.proving.models import Deadline
from apps.sectors.models import PipelineRun, Sector, Worker
from apps.sectors.selectors.failures import FailureGroup
from apps.users.states import Perm
from apps.wallets.selectors import wallets_visible
from poolsite.filecoin.amounts import fil_format

ACTS_MAX: Final = 3
"""Objects of one finding that have a button; its page has all."""
PRICED_OUT: Final = "state=priced-out"
"""The filter of the list of messages for those below the base fee."""
MESSAGE_ACTS: Final[dict[str, tuple[str, str, bool]]] = {
    "retry-now": ("message-retry-now", gettext_noop("Retry"), False),
    "republish": ("message-republish", gettext_noop("Republish"), False),
    "replace": ("message-replace", gettext_noop("Raise fees of"), False),
    "raise-fee": ("message-replace", gettext_noop("Raise fee of"), True),
}
"""Of the doctor's actions those with a route of their own: its name, the label, whether it asks first."""
MENDS: Final = frozenset({*MESSAGE_ACTS, "fund", "policy", "fee-rules", "replace-earlier"})
"""The doctor's actions that end a cause by themselves."""
FREE_ACTS: Final = ("retry-now", "republish")
"""Actions that sign nothing anew, and so cost nothing for however many messages."""


def hosts_resume(workers: Sequence[Worker]) -> tuple[Act, ...]:
    """Return the acts by which these hosts claim work again."""
    return tuple(
        Act(Link("host-act", (str(worker.uuid), "resume")), gettext_noop("Resume"), worker.name)
        for worker in workers[:ACTS_MAX]
    )


def senders_resume(senders: Sequence[Sender], data: CheckData) -> tuple[Act, ...]:
    """Return the acts that resume these senders; one that tenants share is the operator's."""
    return tuple(
        Act(Link("sender-act", (str(row.address), "resume")), gettext_noop("Resume"), shortened(row.address))
        for row in senders[:ACTS_MAX]
        if sender_may_set(data.viewer, row.address)
    )


def senders_send_too(senders: Sequence[Sender], data: CheckData) -> tuple[Act, ...]:
    """Return the acts that let the pool send beside another program; of a shared one the operator's."""
    return tuple(
        Act(
            Link("sender-act", (str(row.address), "send-too")),
            gettext_noop("Let the pool send for"),
            shortened(row.address),
        )
        for row in senders[:ACTS_MAX]
        if sender_may_set(data.viewer, row.address)
    )


def sectors_retry(sectors: Sequence[Sector]) -> tuple[Act, ...]:
    """Return the acts that retry these sectors' failed stages; one that is not paused needs nobody."""
    return tuple(
        Act(
            Link("sector-retry", (str(row.uuid),)),
            gettext_noop("Retry"),
            f"{row.miner.address} / {row.number}",
        )
        for row in sectors
        if row.paused_at is not None
    )[:ACTS_MAX]


def group_retry(group: FailureGroup) -> Act:
    """Return the act that retries all sectors that failed alike."""
    link = Link("sectors-failures-retry", (group.key,))
    return Act(link, gettext_noop("Retry"), counted(group.count, "sector"))


def sectors_rebuild(sectors: Sequence[Sector]) -> tuple[Act, ...]:
    """Return the acts that rebuild these sectors; the page asks first."""
    return tuple(
        Act(
            Link("sector-rebuild", (str(row.uuid),)),
            gettext_noop("Rebuild"),
            f"{row.miner.address} / {row.number}",
            opens_page=True,
        )
        for row in sectors[:ACTS_MAX]
    )


def deadlines_dry_run(miner: Miner, deadlines: Sequence[Deadline]) -> tuple[Act, ...]:
    """Return the acts that compute and verify the proofs of these deadlines without sending them."""
    return tuple(
        Act(
            Link("proving-dry-run", (miner.address, str(row.index))),
            gettext_noop("Dry run"),
            f"{miner.address} / {row.index}",
            perm=Perm.WRITE,
        )
        for row in deadlines[:ACTS_MAX]
        if row.live
    )


def runs_retry(runs: Sequence[PipelineRun]) -> tuple[Act, ...]:
    """Return the acts that retry runs that stopped, at the same stage."""
    return tuple(
        Act(
            Link("sector-run-retry", (str(row.sector.uuid), row.kind)),
            gettext_noop("Retry"),
            f"{row.sector.miner.address} / {row.sector.number}",
        )
        for row in runs[:ACTS_MAX]
    )


def sectors_extend(many: str) -> Act:
    """Return the act that extends all sectors that expire soon; its page shows the cost."""
    link = Link("sectors-change", ("extend",), query="all=1&state=expiring")
    return Act(link, gettext_noop("Extend"), many, opens_page=True)


def funds_send(to: str, name: str, *, label: str = "", value: int = 0) -> Act:
    """Return the act that begins a transfer to this address; the page asks which wallet pays."""
    filled = {"to": to, **({"value": fil_format(value, unit="")} if value else {})}
    link = Link("message-compose", query=urlencode(filled))
    return Act(link, label or gettext_noop("Send FIL to"), name, opens_page=True)


def message_mend(message: Message, data: CheckData) -> tuple[Act, ...]:
    """Return the first of the doctor's actions for a stuck message that has a page or a route."""
    diagnosis = message_diagnose(message, head=data.head)
    action, key = next((one for one in diagnosis.actions if one in MENDS), ""), message.pk
    sender = message.from_addr
    name = data.wallet_names.get(sender) or shortened(sender)
    if action == "fund":
        return (funds_send(sender, name),)
    if action == "policy" and wallets_visible(data.viewer).filter(address=sender).exists():
        link = Link("policy", (sender,))
        return (Act(link, gettext_noop("Change the signing policy of"), name, opens_page=True),)
    if action == "fee-rules" and sender_may_set(data.viewer, sender):
        link = Link("sender", (sender,))
        return (Act(link, gettext_noop("Change the fee rules of"), name, opens_page=True),)
    if action == "replace-earlier" and "earlier_id" in diagnosis.evidence:
        action, key = "replace", str(diagnosis.evidence["earlier_id"])
    if action not in MESSAGE_ACTS:
        return ()
    page, label, opens_page = MESSAGE_ACTS[action]
    # Its fees are raised once, however often that is clicked.
    query = urlencode({"cid": message.cid}) if action == "replace" and key == message.pk else ""
    return (Act(Link(page, (key,), query), label, message_name(message, data), opens_page=opens_page),)


def group_mend(group: MessageGroup, first: Message, data: CheckData) -> tuple[Act, ...]:
    """Return the doctor's first action for a message, for all that are stuck alike; empty if it costs."""
    action = next(iter(message_diagnose(first, head=data.head).actions), "")
    if action not in FREE_ACTS or action not in group.diagnosis.actions:
        return ()
    link = Link("messages-bulk", (action,), query=f"state={group.view}&cause={group.key}")
    return (Act(link, MESSAGE_ACTS[action][1], counted(group.count, "message"), opens_page=True),)


def messages_review(messages: Sequence[Message], data: CheckData) -> tuple[Act, ...]:
    """Return the acts that show what these do, for a second person to approve or refuse."""
    return tuple(
        Act(
            Link("message-approve", (row.pk,)),
            gettext_noop("Review"),
            message_name(row, data),
            opens_page=True,
        )
        for row in messages[:ACTS_MAX]
    )


def messages_push_again(messages: Sequence[Message], data: CheckData) -> tuple[Act, ...]:
    """Return the acts that push these messages again; their page asks first, as it may pay twice."""
    return tuple(
        Act(
            Link("message-push-again", (row.pk,)),
            gettext_noop("Push again"),
            message_name(row, data),
            opens_page=True,
        )
        for row in messages[:ACTS_MAX]
    )


def fees_raise(messages: Sequence[Message], many: str, data: CheckData) -> tuple[Act, ...]:
    """Return the act that raises the fees of all messages below the base fee; its page shows the cost."""
    if len(messages) == 1:
        link, of = Link("message-replace", (messages[0].pk,)), message_name(messages[0], data)
    else:
        link, of = Link("messages-bulk", ("replace",), query=f"all=1&{PRICED_OUT}"), many
    return (Act(link, gettext_noop("Raise fees of"), of, opens_page=True),)


def message_name(message: Message, data: CheckData) -> str:
    """Return its method's name."""
    miners = {miner.address for miner in data.miners if miner.address}
    return method_text(message.to, message.method, kind=message.kind, miners=miners)


def miner_warm_up(miner: Miner) -> Act:
    """Return the act that tries a win by a throw-away challenge, which shows the step that fails."""
    link = Link("blocks-warm-up", (str(miner.uuid),))
    return Act(link, gettext_noop("Warm up"), str(miner.name or miner), perm=Perm.WRITE)


def blocks_unwanted(miner: Miner) -> Act:
    """Return the act that stops a miner's blocks: a request without a body does so at its route."""
    link = Link("blocks-mining", (str(miner.uuid),))
    return Act(link, gettext_noop("Make no blocks for"), str(miner.name or miner), perm=Perm.WRITE)


def nodes_leave(node: Node, nodes: Sequence[Node]) -> tuple[Act, ...]:
    """Return the acts for nodes of another chain: disable one, or unbind a pool that was bound by mistake."""
    if any(one.condition not in CONDITIONS_FOREIGN for one in nodes):
        act = Act(
            Link("chain-node-act", (str(node.pk), "disable")),
            gettext_noop("Disable"),
            str(node),
            perm=Perm.ADMIN,
        )
        return (act,)
    if network_may_unbind():
        return (
            Act(Link("chain-unbind"), gettext_noop("Unbind"), THE_POOL(), perm=Perm.ADMIN, opens_page=True),
        )
    return ()


def channels_test(channels: Sequence[AlertChannel]) -> tuple[Act, ...]:
    """Return the acts that send a test to these channels; what waits for one follows at once."""
    return tuple(
        Act(
            Link("alert-channel-act", (str(row.uuid), "test")),
            gettext_noop("Test"),
            row.name,
            perm=Perm.ADMIN,
        )
        for row in channels[:ACTS_MAX]
    )
