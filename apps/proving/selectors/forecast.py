"""Judging whether the next proof of a deadline will land, from what is known now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from apps.proving.due import WAITS_TO_OPEN
from apps.proving.states import AttemptKind, AttemptState, Forecast, PostState

if TYPE_CHECKING:
    from apps.proving.models import Deadline, WindowPost


LATE_EPOCHS: Final = 2
"""Epochs after a challenge counts within which its proof must have been begun."""
AMBER: Final = 0.05
"""From this probability of a miss on a deadline is at risk."""
NO_PROVER: Final = _("no prover whose proofs the network accepts is connected")


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
        return Forecast.NOTHING, gettext("no sectors")
    if not posts:
        return _forecast_unproved(deadline, context)
    states = {post.state for post in posts}
    if states <= {PostState.LANDED}:
        left_out = _left_out(posts)
        return Forecast.LANDED, f"proved, {left_out}" if left_out else "proved"
    if PostState.MISSED in states:
        return Forecast.MISSED, gettext("the window closed without a proof")
    if states <= {PostState.LANDED, PostState.NOTHING}:
        return Forecast.AT_RISK, gettext("no sector can be proved: files are missing or damaged")
    for post in posts:
        risk = _risk_of(post, deadline, context) or _forecast_risk(deadline)
        if risk:
            return Forecast.AT_RISK, risk
    return Forecast.WILL_LAND, _progress_of(posts, deadline, context)


def _forecast_unproved(deadline: Deadline, context: ForecastContext) -> tuple[str, str]:
    is_challenged = context.height >= deadline.challenge_epoch
    if is_challenged and deadline.faulty - deadline.recovering >= deadline.live:
        return Forecast.NOTHING, gettext("all its sectors are faulty")
    risk = _forecast_risk(deadline) if context.provers else str(NO_PROVER)
    if risk:
        return Forecast.AT_RISK, risk
    if context.height > deadline.challenge_epoch + context.confidence + LATE_EPOCHS:
        return Forecast.AT_RISK, gettext("no proof was begun since the challenge at epoch {epoch}").format(
            epoch=deadline.challenge_epoch
        )
    if is_challenged:
        return Forecast.WILL_LAND, gettext("about to be proved")
    return Forecast.LATER, gettext("challenged at epoch {challenge_epoch}").format(
        challenge_epoch=deadline.challenge_epoch
    )


def _forecast_risk(deadline: Deadline) -> str:
    """Return what the last forecast found: what is lacking, or that measured times are too long."""
    if deadline.unmet_preconditions:
        return "; ".join(deadline.unmet_preconditions.values())[:200]
    if deadline.miss is not None and deadline.miss >= AMBER:
        return gettext("{miss:.0%} chance of missing the window, from measured times").format(
            miss=deadline.miss
        )
    return ""


def _risk_of(post: WindowPost, deadline: Deadline, context: ForecastContext) -> str:
    left = deadline.close_epoch - context.height
    if post.state == PostState.PROVING and context.provers == 0:
        return str(NO_PROVER)
    first = post.attempt(AttemptKind.FIRST) if post.state == PostState.PROVING else None
    if first is not None and first.work.error:
        return gettext("proving failed: {error}").format(error=first.work.error)[:200]
    if first is not None and first.state == AttemptState.STALLED:
        return gettext("partition {partitions}: {reason}").format(
            partitions=", ".join(map(str, post.partitions)), reason=first.reason
        )[:200]
    if post.state == PostState.PROVING and post.tries:
        text = ngettext("{tries} attempt failed: {error}", "{tries} attempts failed: {error}", post.tries)
        return text.format(tries=post.tries, error=post.error)[:200]
    if post.state == PostState.NOTHING:
        return gettext("partition {partitions}: {error}").format(
            partitions=", ".join(map(str, post.partitions)), error=post.error
        )[:200]
    if post.state == PostState.PROVED and post.skipped:
        return _left_out([post])
    if post.state in (PostState.PROVING, PostState.PROVED) and left <= context.window // 3:
        return gettext("not sent yet, {left} epochs left").format(left=left)
    if post.state == PostState.SENT and left <= context.window // 2:
        why = context.message_waits.get(post.message_id, "")
        text = gettext("not landed yet, {left} epochs left").format(left=left)
        return f"{text}: {why}"[:200] if why else text
    return ""


def _left_out(posts: list[WindowPost]) -> str:
    count = sum(len(numbers) for post in posts for numbers in post.skipped.values())
    text = ngettext(
        "{count} sector is left out: its files cannot be read",
        "{count} sectors are left out: their files cannot be read",
        count,
    )
    return text.format(count=count) if count else ""


def _progress_of(posts: list[WindowPost], deadline: Deadline, context: ForecastContext) -> str:
    if any(post.state == PostState.PROVING for post in posts):
        return gettext("being proved")
    if context.height < deadline.open_epoch:
        return WAITS_TO_OPEN
    return gettext("sent, waiting for a block")
