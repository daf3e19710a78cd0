"""A tenant's share of the threads that carry out plain handlers."""

from __future__ import annotations

import asyncio
import threading

import pytest

from apps.api.rpc.dispatcher import threads_of
from apps.api.rpc.services.registry import SERVICES
from apps.api.rpc.threads import LONG_THREADS, NODE_THREADS, PLAIN_THREADS, RATE_THREADS, TenantThreads

WAIT_S = 60.0
PLAIN = "Message.ListMessage Venus.WorkerPing Venus.ReportState Filecoin.SectorNumReservations"
ASK_NODES = """
    Filecoin.MinerAddressChange Filecoin.MinerAddressChangePrice Filecoin.MinerAddresses
    Filecoin.SectorNumAssignerMeta Filecoin.SectorNumReserve Filecoin.SectorNumReserveCount
    Message.RecoverFailedMsg Message.ReplaceMessage Message.RepublishMessage Message.Send
    Message.UpdateMessageStateByID
    Venus.AssignTicket Venus.WaitSeed
    Venus.GetSeed Venus.GetTicket Venus.GetWindowPoStChanlleengeRand Venus.GetWindowPoStCommitRand
    Venus.ProvingSectorInfo Venus.SnapUpCandidates Venus.SnapUpPreFetch
    Venus.RemoveSector Venus.RestoreSector Venus.SimulateWdPoSt Venus.TerminateSector
"""
SEARCH = "Message.UpdateAllFilledMessage Message.UpdateFilledMessageByID"


def double(number: int) -> int:
    return 2 * number


def refuse() -> None:
    raise ValueError("no")


async def test_a_tenant_has_half_of_the_threads_for_as_long_as_they_work() -> None:
    threads, gate, going = TenantThreads("test", 4), threading.Event(), threading.Semaphore(0)

    def slow() -> None:
        going.release()
        gate.wait(WAIT_S)

    try:
        first = [asyncio.create_task(threads.run("alice", slow)) for _ in range(2)]
        for _ in first:
            assert await asyncio.to_thread(going.acquire, timeout=WAIT_S)
        for task in first:
            task.cancel()
        await asyncio.wait(first)
        third = asyncio.create_task(threads.run("alice", double, 3))

        assert await threads.run("bob", double, 2) == 4
        assert not third.done()
    finally:
        gate.set()
    assert await third == 6


async def test_what_a_handler_raises_reaches_its_caller() -> None:
    threads = TenantThreads("test", 2)

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            await threads.run("alice", refuse)


@pytest.mark.parametrize(
    ("names", "threads"),
    [(PLAIN, PLAIN_THREADS), (ASK_NODES, NODE_THREADS), (SEARCH, LONG_THREADS)],
    ids=["plain", "node", "long"],
)
def test_what_asks_nodes_takes_no_thread_of_other_methods(names: str, threads: TenantThreads) -> None:
    wrong = [
        name
        for name in names.split()
        if threads_of(SERVICES[name.split(".", 1)[0]].methods[name]) is not threads
    ]

    assert wrong == []


async def test_calls_that_wait_for_a_hanging_redis_leave_threads_to_others() -> None:
    gate, going = threading.Event(), threading.Semaphore(0)

    def count() -> None:
        going.release()
        gate.wait(WAIT_S)

    try:
        calls = [asyncio.create_task(RATE_THREADS(count)) for _ in range(32)]
        for _ in calls:
            assert await asyncio.to_thread(going.acquire, timeout=WAIT_S / 6)
    finally:
        gate.set()
    await asyncio.gather(*calls)
