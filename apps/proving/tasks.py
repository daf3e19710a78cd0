"""What a head moves here: deadlines read, windows challenged, proofs taken, sent and watched."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import structlog
from celery import current_app, shared_task
from kombu.exceptions import OperationalError as BrokerAway

from apps.chain.node.client import chain_client
from apps.chain.node.isolation import for_each_isolated
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.chain.selectors.read_cache import chain_read_once
from apps.core import clock
from apps.core.locks import single_flight
from apps.miners.models import Miner
from apps.miners.selectors.chain_roots import roots_active
from apps.miners.selectors.miners import miners_active_among, miners_active_now
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.faults import miners_faulty
from apps.proving.selectors.provers import job_miners
from apps.proving.services.check_results import checks_collect
from apps.proving.services.checks import checks_begin
from apps.proving.services.deadlines import deadlines_follow
from apps.proving.services.disputes import disputes_follow
from apps.proving.services.fault_declarations import declarations_advance, declarations_begin
from apps.proving.services.forecast import forecasts_follow, forecasts_measure
from apps.proving.services.posts import moving_miners_list, posts_advance
from apps.proving.services.recoveries import recoveries_advance, recovering_miners_list
from apps.proving.services.recovery_schedule import recoveries_begin
from apps.proving.services.windows import unproved_windows_list
from poolsite.filecoin.deadlines import DeadlineInfo

log = structlog.get_logger(__name__)

SHARE_MINERS: Final = 25
"""Miners whose proofs one task moves."""


def proving_context() -> ProvingContext | None:
    """Return the newest head with what a pass over it needs; None before the first."""
    head = head_current()
    if head is None:
        return None
    return ProvingContext(client=chain_client(), network=network_current(), head=head, now=clock.now())


@shared_task(name="proving.refresh")
@single_flight
def proving_refresh(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Follow windows and partitions of every miner, and judge what will become of them."""
    roots = roots_active()  # read before the head: later reads are never older than these
    context = proving_context()
    if context is None:
        return
    written = deadlines_follow(roots, context=context)
    miners = [row.miner for row in roots]
    for_each_isolated(
        miners_faulty(miners),
        lambda miner: recoveries_begin(miner, context=context),
        event="recovery_not_begun",
    )
    forecasts_follow(miners, context=context, written=written)


@shared_task(name="proving.submit")
@chain_read_once()
def proving_submit(*, height: int, key: str) -> None:
    """Begin the proofs of windows that are challenged, take finished ones, send them, watch their messages.

    The follower sends it when there is a window or a proof to follow: apps/proving/due.py.  Of many miners
    it keeps a share, and leaves the others to whichever task process is free, on any machine.
    """
    context = proving_context()
    if context is None:
        return
    windows = unproved_windows_list(miners_active_now(), context=context)
    moving = [*moving_miners_list(context), *(miner.pk for miner in windows), *recovering_miners_list()]
    miners = list(dict.fromkeys(moving))
    shares = [miners[at : at + SHARE_MINERS] for at in range(SHARE_MINERS, len(miners), SHARE_MINERS)]
    own = set(miners[:SHARE_MINERS]).union(*shares[_shares_send(shares, height=height, key=key) :])
    _share_move(own, {miner: found for miner, found in windows.items() if miner.pk in own}, context)


@shared_task(name="proving.share")
@chain_read_once()
def proving_share(*, miners: list[int], height: int, key: str) -> None:  # noqa: ARG001  # for the logs
    """Do for some miners what `proving.submit` does; their rows say what, at the newest head."""
    context = proving_context()
    if context is not None:
        windows = unproved_windows_list(miners_active_among(miners), context=context)
        _share_move(miners, windows, context)


@shared_task(name="proving.accept")
@chain_read_once()
def proving_accept(*, job: str) -> None:
    """Move the proofs of the miner whose job a prover has just ended."""
    context, miners = proving_context(), job_miners(job)
    if context is not None and miners:
        _share_move(miners, {}, context)


def _shares_send(shares: Sequence[Sequence[int]], *, height: int, key: str) -> int:
    """Send a task for each share of miners; returns how many the broker took.

    They expire when the next head sends them anew.
    """
    epoch_s = network_current().epoch_s
    for at, miners in enumerate(shares):
        kwargs = {"miners": list(miners), "height": height, "key": key}
        try:
            current_app.send_task(
                "proving.share", kwargs=kwargs, queue="proving", retry=False, expires=epoch_s
            )
        except (BrokerAway, OSError) as error:
            log.warning("share_not_sent", shares=len(shares) - at, reason=str(error)[:200])
            return at
    return len(shares)


def _share_move(
    miners: Collection[int], windows: Mapping[Miner, Sequence[DeadlineInfo]], context: ProvingContext
) -> None:
    posts_advance(context, windows=windows, miners=miners)
    recoveries_advance(context, miners=miners)


@shared_task(name="proving.check")
@chain_read_once()
@single_flight
def proving_check(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Check sectors ahead of their windows, declare bad ones faulty, forecast, watch disputes.

    The follower sends it when there is something to check or to declare: apps/proving/due.py.
    """
    context = proving_context()
    if context is None:
        return
    checks_collect(context)
    checks_begin(context)
    declarations_begin(context)
    declarations_advance(context)
    forecasts_measure(context)
    disputes_follow(context)
