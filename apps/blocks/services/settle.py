"""What became of submitted blocks, by the chain that the follower wrote down."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.blocks.models import Round
from apps.blocks.services.rewards import old_reward_book, reward_reset
from apps.blocks.services.rounds import round_advance
from apps.blocks.states import LOSSES, RoundState
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.models import Head
from apps.chain.models import Head as HeadRow
from apps.chain.node.client import chain_client
from apps.core.compiled import Compiled, Parameter
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET, Network

ORPHAN_DEPTH: Final = 2
"""A block that the chain does not have so many epochs later is orphaned; a reorganisation may bring it
back."""
LEFT_DAYS: Final = 30
"""Of so many days rounds are looked for that nobody settled in time."""
LEFT_AT_ONCE: Final = 20
"""Questions to a node, one after the other; the next ones are asked a minute later."""


def _moved(first: Parameter, last: Parameter) -> QuerySet[Round]:
    """Return the rounds of some epochs whose block joined or left the chain, or may have done so.

    Also those whose block is in another tipset than the one that paid for it: tips and penalty are others.
    """
    tipset = Head.objects.filter(
        is_canonical=True, height=OuterRef("epoch"), cids__contains=[OuterRef("block__cid")]
    )
    is_paid = Q(block__reward__isnull=False) & ~Q(block__reward_key="")
    rows = Round.objects.annotate(
        is_there=Exists(tipset), is_elsewhere=Exists(tipset.exclude(key=OuterRef("block__reward_key")))
    ).filter(
        Q(state=RoundState.SUBMITTED)
        | Q(state=RoundState.INCLUDED, is_there=False)
        | Q(state=RoundState.INCLUDED, is_elsewhere=True) & is_paid
        | Q(state=RoundState.ORPHANED, is_there=True)
        | Q(state__in=LOSSES, win_count__gt=0, is_there=True) & ~Q(block__cid=""),
        epoch__gte=first,
        epoch__lte=last,
        block__isnull=False,
    )
    # The blocks themselves are left out: they are most of a row's bytes.
    return rows.select_related("miner").only("state", "epoch", "miner__uuid", "miner__tenant_id")


MOVED: Final[Compiled[Any]] = Compiled("rounds_moved", _moved, first="bigint", last="bigint")


def rounds_settle(head: HeadRow, *, finality: int) -> int:
    """Move the rounds whose block joined or left the chain; return how many moved."""
    rows = MOVED.rows(first=head.height - finality, last=head.height)
    moved = 0
    for row in rows:
        event = _event(row, is_there=row.is_there, depth=head.height - row.epoch)
        if row.state == RoundState.INCLUDED:  # another execution pays for it, or none
            reward_reset(row)
        if event:
            # A reason why the win seemed lost is cleared once its block is on the chain.
            round_advance(row, event=event, **({"reason": ""} if event == "INCLUDE" else {}))
            moved += 1
    return moved


def rounds_left_settle(head: HeadRow, *, network: Network) -> int:
    """Settle submitted rounds that were a finality old when the pool followed the chain again.

    Of such tipsets it has no heads, so a node is asked.  Return how many were settled.
    """
    epochs = LEFT_DAYS * EPOCHS_PER_DAY_MAINNET
    rows = Round.objects.select_related("miner", "block").filter(
        state=RoundState.SUBMITTED,
        epoch__gte=head.height - epochs,
        epoch__lt=head.height - network.chain_finality,
        block__isnull=False,
    )
    client, settled = chain_client(), 0
    for row in rows.order_by("-epoch")[:LEFT_AT_ONCE]:
        try:
            tipset = client.chain_get_tipset_by_height(row.epoch, head.key)
        except NodeUnavailable:
            break  # the others would wait as long, and the thread that records wins with them
        except NodeRefused:
            continue  # it has not kept that tipset
        is_included = row.block.cid in tipset.cids
        if is_included:  # before its step, after which nobody would book it
            old_reward_book(row, tipset=tipset, client=client)
        round_advance(row, event="INCLUDE" if is_included else "ORPHAN")
        settled += 1
    return settled


def _event(row: Round, *, is_there: bool, depth: int) -> str:
    if is_there:
        return "" if row.state == RoundState.INCLUDED else "INCLUDE"
    if row.state == RoundState.INCLUDED:
        return "ORPHAN"
    return "ORPHAN" if row.state == RoundState.SUBMITTED and depth >= ORPHAN_DEPTH else ""
