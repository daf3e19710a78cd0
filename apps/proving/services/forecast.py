"""The forecast of every deadline: will it land, is it at risk, and why."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import F, Q

from apps.chain.node.isolation import for_each_isolated
from apps.core.compiled import Compiled, attach
from apps.core.live import Change, publish
from apps.core.reason_fields import is_kept
from apps.messages.selectors.messages import messages_by_ids
from apps.messages.states import MessageState
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import MinerState, Use
from apps.proving.models import Deadline, ProofAttempt, WindowPost
from apps.proving.reasons import HELD, OTHER_PROVES_FROM, POOL_PROVES_FROM
from apps.proving.rules.policy import ahead_epochs
from apps.proving.selectors.forecast import ForecastContext, forecast_of
from apps.proving.selectors.miss_probability import miss_probability_estimate, proof_times_read
from apps.proving.selectors.posts import attempts_open
from apps.proving.selectors.provers import provers_online_count
from apps.proving.services.preconditions import readiness_check, unmet_preconditions_find
from apps.proving.states import Forecast, PostState
from apps.sectors.rules.policy import sealing_policy
from apps.wallets.services.policies import keys_group, policy_advice_record

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from django.db.models import QuerySet

    from apps.core.compiled import Parameter
    from apps.miners.models import Miner
    from apps.proving.rules.proving_context import ProvingContext
    from apps.proving.selectors.miss_probability import Measured

    Posts = dict[tuple[int, int, int], list[WindowPost]]
    """By miner, deadline and the epoch at which its window opens."""


MEASURED_SHARE: Final = 12
"""Forecasts are measured once in this part of a window: every 5 epochs on mainnet."""
MEASURED_EPOCHS: Final = 4
"""Not more often than this: the embedded chain's windows have eight epochs of two seconds."""


def forecasts_follow(miners: Sequence[Miner], *, context: ProvingContext, written: Collection[int]) -> None:
    """Judge the deadlines whose forecast may have changed: `written` ones, challenged ones, and odd ones.

    A window that is not challenged waits for its prover, and is judged from the row alone.
    """
    since = context.now - timedelta(seconds=sealing_policy().worker_away_s)
    provers = {
        tenant_id: provers_online_count(tenant_id=tenant_id, since=since)
        for tenant_id in {miner.tenant_id for miner in miners}
    }
    rows: dict[int, list[Deadline]] = defaultdict(list)
    for deadline in FORECASTS_DUE.rows(
        written=list(written),
        height=context.head.height,
        served=[tenant_id for tenant_id, count in provers.items() if count],
        alone=[tenant_id for tenant_id, count in provers.items() if not count],
        miners=[miner.pk for miner in miners],
    ):
        rows[deadline.miner_id].append(deadline)
    posts = _posts_of(rows)
    waits = _message_waits(posts)
    by_number = {miner.pk: miner for miner in miners}

    def judge(number: int) -> None:
        miner = by_number[number]
        judged = ForecastContext(
            height=context.head.height,
            window=context.network.proving.window,
            provers=provers[miner.tenant_id],
            message_waits=waits,
            confidence=context.network.confidences.challenge,
        )
        forecasts_update(miner, deadlines=rows[number], posts=posts, judged=judged)

    for_each_isolated(rows, judge, event="forecast_update_failed")


def _wanted(
    written: Parameter, height: Parameter, served: Parameter, alone: Parameter, miners: Parameter
) -> QuerySet[Deadline]:
    """Return the deadlines of some miners that are judged again."""
    later = Q(live__gt=0, challenge_epoch__gt=height)
    mismatched = (
        Q(live=0) & ~Q(forecast=Forecast.NOTHING)
        | later & Q(miner__tenant_id__any=served) & ~Q(forecast=Forecast.LATER)
        | later & Q(miner__tenant_id__any=alone) & ~Q(forecast=Forecast.AT_RISK)
    )
    challenged = Q(live__gt=0, challenge_epoch__lte=height)
    is_elsewhere = Q(miner__works_until__lte=F("open_epoch")) | Q(miner__works_from__gt=F("open_epoch"))
    newly_elsewhere = Q(live__gt=0) & ~Q(forecast=Forecast.ELSEWHERE) & is_elsewhere
    return Deadline.objects.filter(
        Q(pk__any=written) | challenged | mismatched | newly_elsewhere, miner_id__any=miners
    )


FORECASTS_DUE: Final[Compiled[Deadline]] = Compiled(
    "forecasts_wanted",
    _wanted,
    written="bigint[]",
    height="bigint",
    served="bigint[]",
    alone="bigint[]",
    miners="bigint[]",
)
NEAR: Final[Compiled[Deadline]] = Compiled(
    "forecasts_near",
    lambda height, ahead: Deadline.objects.filter(
        miner__state=MinerState.ACTIVE, live__gt=0, close_epoch__gt=height, cutoff_epoch__lte=ahead
    ).select_related("miner__tenant"),
    height="bigint",
    ahead="bigint",
)
POSTS: Final[Compiled[WindowPost]] = Compiled(
    "forecasts_posts",
    lambda miners, windows: WindowPost.objects.filter(miner_id__any=miners, open_epoch__any=windows),
    miners="bigint[]",
    windows="bigint[]",
)
ATTEMPTS: Final[Compiled[ProofAttempt]] = Compiled(
    "forecasts_attempts", lambda posts: attempts_open("job").filter(post_id__any=posts), posts="bigint[]"
)


def forecasts_measure(context: ProvingContext) -> None:
    """Look ahead for the windows that are open or near: what they lack, and how likely they are missed.

    A few times in a window only: for each miner a dozen rows are read.
    """
    window = context.network.proving.window
    if context.head.height % max(window // MEASURED_SHARE, MEASURED_EPOCHS):
        return
    ahead = context.head.height + ahead_epochs(context.network.proving)
    rows: dict[int, list[Deadline]] = defaultdict(list)
    miners: dict[int, Miner] = {}
    for deadline in NEAR.rows(height=context.head.height, ahead=ahead):
        rows[deadline.miner_id].append(deadline)
        miners[deadline.miner_id] = deadline.miner
    posts = _posts_of(rows)
    waits = _message_waits(posts)
    times: dict[tuple[int, frozenset[str]], Measured] = {}
    keys = {sender_choose(miner, Use.POST).address for miner in miners.values()}
    keys |= {miner.worker for miner in miners.values()}
    answered: set[str] = set()

    def ask(held: list[str]) -> None:
        if policy_advice_record(address=held[0]):
            answered.update(held)

    for_each_isolated(keys_group(sorted(keys)), ask, event="policy_not_read")

    def measure(key: int) -> None:
        miner = miners[key]
        ready = readiness_check(miner, context=context, answering=answered)
        hosts = frozenset(prover.name for prover in ready.provers)
        if (miner.tenant_id, hosts) not in times:
            times[miner.tenant_id, hosts] = proof_times_read(miner.tenant_id, hosts=hosts)
        for row in rows[key]:
            found = posts.get((key, row.index, row.open_epoch), [])
            took = times[miner.tenant_id, hosts]
            row.unmet = unmet_preconditions_find(row, readiness=ready)
            row.miss = miss_probability_estimate(
                row, posts=found, context=context, times=took, hosts=len(hosts)
            )
        Deadline.objects.bulk_update(rows[key], ["unmet_preconditions", "unmet_coded", "miss"])
        confidence = context.network.confidences.challenge
        judged = ForecastContext(context.head.height, window, len(ready.provers), waits, confidence)
        forecasts_update(miner, deadlines=rows[key], posts=posts, judged=judged)

    for_each_isolated(rows, measure, event="forecast_not_measured")


def _posts_of(rows: Mapping[int, Sequence[Deadline]]) -> Posts:
    """Return the proofs for the windows of deadlines; asks once for all miners."""
    windows = {deadline.open_epoch for deadlines in rows.values() for deadline in deadlines}
    found: Posts = defaultdict(list)
    posts = POSTS.rows(miners=list(rows), windows=list(windows)) if rows else []
    attempts = ATTEMPTS.rows(posts=[post.pk for post in posts]) if posts else []
    attach(posts, "attempts", attempts, by="post")
    for post in posts:
        found[post.miner_id, post.deadline_index, post.open_epoch].append(post)
    return found


def _message_waits(posts: Posts) -> dict[str, str]:
    """Return why the messages of proofs that were sent have not landed, by their ids."""
    sent = [post.message_id for group in posts.values() for post in group if post.state == PostState.SENT]
    return {
        key: str(message.get_wait_display())
        for key, message in messages_by_ids(sent).items()
        if message.state != MessageState.LANDED
    }


def forecasts_update(
    miner: Miner, *, deadlines: Sequence[Deadline], posts: Posts, judged: ForecastContext
) -> int:
    """Judge deadlines of a miner again; returns how many have changed."""
    count = 0
    for deadline in deadlines:
        found = posts.get((miner.pk, deadline.index, deadline.open_epoch), [])
        if deadline.live and not found and not miner.works_at(deadline.open_epoch):
            forecast, reason = Forecast.ELSEWHERE.value, _elsewhere_text(miner, deadline=deadline)
        else:
            forecast, reason = forecast_of(deadline, found, judged)
        if deadline.forecast != forecast or not is_kept(deadline, "reason", reason):
            Deadline.objects.filter(pk=deadline.pk).update(forecast=forecast, reason=reason)
            publish(Change("deadline", deadline.pk, miner.tenant_id))
            count += 1
    return count


def _elsewhere_text(miner: Miner, *, deadline: Deadline) -> str:
    """Return until when, or from when on, another program proves a miner's windows."""
    if miner.works_from is not None and deadline.open_epoch < miner.works_from:
        return POOL_PROVES_FROM(height=miner.works_from)
    if miner.is_held:
        return HELD()
    return OTHER_PROVES_FROM(height=miner.works_until)
