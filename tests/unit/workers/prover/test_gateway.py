"""A prover that fell behind proves the wins that can still become blocks."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from workers.console.gateway import pack
from workers.prover import gateway
from workers.prover.gateway import ProofLine, ProofSession


@pytest.mark.parametrize(
    ("asked", "proven"),
    [
        ([10, 11, 12, 13], [10, 12, 13]),
        ([10, 11], [10, 11]),
        ([10, 12, 11], [10, 12, 11]),
        ([10, 0, 13], [10, 0, 13]),
    ],
)
def test_wins_whose_time_is_over_are_not_proven(asked: list[int], proven: list[int]) -> None:
    begun, answers = [], {}
    all_there = threading.Event()

    def compute(_miner: int, request: Any) -> Any:
        all_there.wait(10)  # the first is being proven while the others come
        begun.append(request["Height"])
        return []

    async def call(_method: str, answer: Any) -> None:
        answers[answer["Id"]] = answer["Error"]

    async def whole() -> None:
        line = ProofLine(url="", token=str, miners=set, compute=compute)
        session = ProofSession(line, None)  # type: ignore[arg-type]  # nothing is sent
        session.call = call  # type: ignore[method-assign,assignment]
        events = [{"Method": "ComputeProof", "Id": at, "Payload": pack({"Height": at})} for at in asked]
        running = [asyncio.create_task(session.handle(1000, event)) for event in events]
        await asyncio.sleep(0.05)
        all_there.set()
        await asyncio.gather(*running)

    asyncio.run(whole())

    assert begun == proven
    assert {at for at, error in answers.items() if not error} == set(proven)
    assert all("is too late" in error for error in answers.values() if error)


def test_a_win_whose_disk_hangs_holds_up_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    disk_answers, answered, daemons = threading.Event(), [], []
    monkeypatch.setattr(gateway, "TURN_S", 0.2)

    def compute(_miner: int, request: Any) -> Any:
        daemons.append(threading.current_thread().daemon)
        if request["Height"] == 10:
            disk_answers.wait()
        return []

    async def call(_method: str, answer: Any) -> None:
        answered.append(answer["Id"])

    async def whole() -> None:
        session = ProofSession(ProofLine(url="", token=str, miners=set, compute=compute), None)  # type: ignore[arg-type]
        session.call = call  # type: ignore[method-assign,assignment]
        events = [
            {"Method": "ComputeProof", "Id": at, "Payload": pack({"Height": at})} for at in (10, 11, 12)
        ]
        first, *others = [asyncio.create_task(session.handle(1000, event)) for event in events]
        try:
            await asyncio.wait_for(asyncio.gather(*others), 20)
        finally:
            disk_answers.set()
        await first

    asyncio.run(whole())

    assert answered == [11, 12, 10]
    assert all(daemons), "the program's end does not wait for the disk"
