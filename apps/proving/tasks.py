"""What a head moves here: deadlines read, windows challenged, proofs taken, sent and watched."""

from __future__ import annotations

from celery import shared_task

from apps.chain.node.client import chain_client
from apps.chain.node.isolation import for_each_isolated
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.chain.selectors.read_cache import chain_read_once
from apps.core import clock
from apps.core.locks import single_flight
from apps.miners.selectors.chain_roots import roots_active
from apps.miners.selectors.miners import miners_active_now
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.faults import miners_faulty
from apps.proving.services.check_results import checks_collect
from apps.proving.services.checks import checks_begin
from apps.proving.services.deadlines import deadlines_follow
from apps.proving.services.disputes import disputes_follow
from apps.proving.services.fault_declarations import declarations_advance, declarations_begin
from apps.proving.services.forecast import forecasts_follow, forecasts_measure
from apps.proving.services.posts import posts_advance
from apps.proving.services.recoveries import recoveries_advance
from apps.proving.services.recovery_schedule import recoveries_begin
from apps.proving.services.windows import posts_schedule, unproved_windows_list


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
def proving_submit(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Begin the proofs of windows that are challenged, take finished ones, send them, watch their messages.

    The follower sends it when there is a window or a proof to follow: apps/proving/due.py.
    """
    context = proving_context()
    if context is None:
        return
    windows = unproved_windows_list(miners_active_now(), context=context)
    for_each_isolated(
        windows.items(),
        lambda item: posts_schedule(item[0], windows=item[1], context=context),
        event="window_not_scheduled",
    )
    posts_advance(context)
    recoveries_advance(context)


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
