"""Judging whether the next proof of a deadline will land, from what is known now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apps.core.reasons import CLAUSES, COLON, MARKED, as_reason
from apps.proving.models import Deadline, WindowPost
from apps.proving.reasons import (
    ABOUT_TO_PROVE,
    ALL_FAULTY,
    BEING_PROVED,
    CHALLENGED_AT,
    FILES_GONE,
    LEFT_OUT,
    MISS_LIKELY,
    MISSED,
    NO_PROVER,
    NO_SECTORS,
    NOT_BEGUN,
    NOT_LANDED_YET,
    NOT_SENT_YET,
    OF_PARTITION,
    PROVED,
    PROVED_IN_PART,
    PROVING_FAILED,
    TRIES_FAILED,
    WAITS_FOR_BLOCK,
    WAITS_TO_OPEN,
)
from apps.proving.states import AttemptKind, AttemptState, Forecast, PostState

LATE_EPOCHS: Final = 2
"""Epochs after a challenge counts within which its proof must have been begun."""
AMBER: Final = 0.05
"""From this probability of a miss on a deadline is at risk."""


@dataclass(frozen=True, slots=True)
class ForecastContext:
    """What the forecast of a window is judged by."""

    height: int
    window: int
    """Length of a window in epochs."""
    provers: int
    message_waits: dict[str, str]
    """Message id to what it waits for, in words, of messages that have not landed."""
    confidence: int = 0
    """Epochs after which a challenge counts."""


def forecast_of(deadline: Deadline, posts: list[WindowPost], context: ForecastContext) -> tuple[str, str]:
    """Judge a deadline's present or next window: the forecast and why."""
    if deadline.live == 0:
        return Forecast.NOTHING, NO_SECTORS()
    if not posts:
        return _forecast_unproved(deadline, context)
    states = {post.state for post in posts}
    if states <= {PostState.LANDED}:
        left_out = _left_out(posts)
        return Forecast.LANDED, PROVED_IN_PART(left_out=left_out) if left_out else PROVED()
    if PostState.MISSED in states:
        return Forecast.MISSED, MISSED()
    if states <= {PostState.LANDED, PostState.NOTHING}:
        return Forecast.AT_RISK, FILES_GONE()
    for post in posts:
        risk = _risk_of(post, deadline, context) or _forecast_risk(deadline)
        if risk:
            return Forecast.AT_RISK, risk
    return Forecast.WILL_LAND, _progress_of(posts, deadline, context)


def _forecast_unproved(deadline: Deadline, context: ForecastContext) -> tuple[str, str]:
    is_challenged = context.height >= deadline.challenge_epoch
    if is_challenged and deadline.faulty - deadline.recovering >= deadline.live:
        return Forecast.NOTHING, ALL_FAULTY()
    risk = _forecast_risk(deadline) if context.provers else NO_PROVER()
    if risk:
        return Forecast.AT_RISK, risk
    if context.height > deadline.challenge_epoch + context.confidence + LATE_EPOCHS:
        return Forecast.AT_RISK, NOT_BEGUN(epoch=deadline.challenge_epoch)
    if is_challenged:
        return Forecast.WILL_LAND, ABOUT_TO_PROVE()
    return Forecast.LATER, CHALLENGED_AT(challenge_epoch=deadline.challenge_epoch)


def _forecast_risk(deadline: Deadline) -> str:
    """Return what the last forecast found: what is lacking, or that measured times are too long."""
    if deadline.unmet_preconditions:
        return CLAUSES(parts=[*map(as_reason, deadline.unmet.values())])
    if deadline.miss is not None and deadline.miss >= AMBER:
        return MISS_LIKELY(miss=deadline.miss)
    return ""


def _risk_of(post: WindowPost, deadline: Deadline, context: ForecastContext) -> str:
    left = deadline.close_epoch - context.height
    if post.state == PostState.PROVING and context.provers == 0:
        return NO_PROVER()
    first = post.attempt(AttemptKind.FIRST) if post.state == PostState.PROVING else None
    if first is not None and first.work.error:
        return PROVING_FAILED(error=as_reason(first.work.error))
    if first is not None and first.state == AttemptState.STALLED:
        return OF_PARTITION(partitions=", ".join(map(str, post.partitions)), reason=as_reason(first.reason))
    if post.state == PostState.PROVING and post.tries:
        return TRIES_FAILED(tries=post.tries, error=as_reason(post.error))
    if post.state == PostState.NOTHING:
        return OF_PARTITION(partitions=", ".join(map(str, post.partitions)), reason=as_reason(post.error))
    if post.state == PostState.PROVED and post.skipped:
        return _left_out([post])
    if post.state in (PostState.PROVING, PostState.PROVED) and left <= context.window // 3:
        return NOT_SENT_YET(left=left)
    if post.state == PostState.SENT and left <= context.window // 2:
        why = context.message_waits.get(post.message_id, "")
        text = NOT_LANDED_YET(left=left)
        return COLON(one=text, other=MARKED(text=why)) if why else text
    return ""


def _left_out(posts: list[WindowPost]) -> str:
    count = sum(len(numbers) for post in posts for numbers in post.skipped.values())
    return LEFT_OUT(count=count) if count else ""


def _progress_of(posts: list[WindowPost], deadline: Deadline, context: ForecastContext) -> str:
    if any(post.state == PostState.PROVING for post in posts):
        return BEING_PROVED()
    if context.height < deadline.open_epoch:
        return WAITS_TO_OPEN()
    return WAITS_FOR_BLOCK()
