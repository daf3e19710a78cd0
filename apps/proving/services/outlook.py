"""The forecast of every deadline: will it land, is it at risk, and why."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from apps.core.live import Change, publish
from apps.messages.selectors import messages_by_ids
from apps.messages.states import MessageState
from apps.proving.models import Deadline, WindowPost
from apps.proving.selectors import Look as Judged
from apps.proving.selectors import outlook_of, provers_there
from apps.proving.states import PostState
from apps.sectors.policy import sealing_policy

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.proving.services.look import Look


def outlooks_judge(miner: Miner, look: Look) -> int:
    """Judge every deadline of a miner again; gives how many have changed."""
    deadlines = list(Deadline.objects.filter(miner=miner))
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
    since = look.now - timedelta(seconds=sealing_policy().worker_away_s)
    judged = Judged(
        height=look.head.height,
        window=look.network.proving.window,
        provers=provers_there(tenant_id=miner.tenant_id, since=since),
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
