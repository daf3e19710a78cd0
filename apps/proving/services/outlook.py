"""The forecast of every deadline: will it land, is it at risk, and why."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Q

from apps.chain.apart import each_apart
from apps.core.live import Change, publish
from apps.messages.selectors import messages_by_ids
from apps.messages.states import MessageState
from apps.proving.models import Deadline, WindowPost
from apps.proving.selectors import Look as Judged
from apps.proving.selectors import outlook_of, provers_there
from apps.proving.states import Outlook, PostState
from apps.sectors.policy import sealing_policy

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from apps.miners.models import Miner
    from apps.proving.services.look import Look


def outlooks_follow(miners: Sequence[Miner], look: Look, *, written: Collection[int]) -> None:
    """Judge the deadlines whose forecast may have changed: `written` ones, challenged ones, and odd ones.

    A window that is not challenged waits for its prover, and is told from the row alone.
    """
    since = look.now - timedelta(seconds=sealing_policy().worker_away_s)
    provers = {
        tenant_id: provers_there(tenant_id=tenant_id, since=since)
        for tenant_id in {miner.tenant_id for miner in miners}
    }
    served = [tenant_id for tenant_id, count in provers.items() if count]
    alone = [tenant_id for tenant_id, count in provers.items() if not count]
    later = Q(live__gt=0, challenge_epoch__gt=look.head.height)
    odd = (
        Q(live=0) & ~Q(outlook=Outlook.NOTHING)
        | later & Q(miner__tenant_id__in=served) & ~Q(outlook=Outlook.LATER)
        | later & Q(miner__tenant_id__in=alone) & ~Q(outlook=Outlook.AT_RISK)
    )
    challenged = Q(live__gt=0, challenge_epoch__lte=look.head.height)
    rows: dict[int, list[Deadline]] = defaultdict(list)
    wanted = Deadline.objects.filter(Q(pk__in=written) | challenged | odd, miner__in=miners)
    for deadline in wanted:
        rows[deadline.miner_id].append(deadline)
    each_apart(
        [miner for miner in miners if miner.pk in rows],
        lambda miner: outlooks_judge(miner, rows[miner.pk], look, provers=provers[miner.tenant_id]),
        event="outlook_not_judged",
    )


def outlooks_judge(miner: Miner, deadlines: Sequence[Deadline], look: Look, *, provers: int) -> int:
    """Judge deadlines of a miner again; returns how many have changed."""
    posts: dict[tuple[int, int], list[WindowPost]] = defaultdict(list)
    windows = [deadline.open_epoch for deadline in deadlines]
    for post in WindowPost.objects.filter(miner=miner, open_epoch__in=windows).select_related("job"):
        posts[post.deadline_index, post.open_epoch].append(post)
    sent = [post.message_id for group in posts.values() for post in group if post.state == PostState.SENT]
    waits = {
        key: str(message.get_wait_display())
        for key, message in messages_by_ids(sent).items()
        if message.state != MessageState.LANDED
    }
    judged = Judged(
        height=look.head.height,
        window=look.network.proving.window,
        provers=provers,
        message_waits=waits,
    )
    count = 0
    for deadline in deadlines:
        outlook, reason = outlook_of(deadline, posts[deadline.index, deadline.open_epoch], judged)
        if (deadline.outlook, deadline.reason) != (outlook, reason):
            Deadline.objects.filter(pk=deadline.pk).update(outlook=outlook, reason=reason)
            publish(Change("deadline", deadline.pk, miner.tenant_id))
            count += 1
    return count
