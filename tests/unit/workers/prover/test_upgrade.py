"""A prover that is told to make room for another version first answers the wins that it was asked for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from workers.console.gateway import pack
from workers.prover.gateway import ProofLine, ProofSession
from workers.prover.main import upgrade_ready


def line_of(compute: Any) -> ProofLine:
    return ProofLine(url="", token=str, miners=set, compute=compute)


@pytest.mark.parametrize(
    ("running", "answering", "told", "is_ready"),
    [({}, 0, True, True), ({"j": 1}, 0, True, False), ({}, 1, True, False), ({}, 0, False, False)],
)
def test_it_ends_once_nothing_is_proven(
    running: dict[str, int], answering: int, told: bool, is_ready: bool
) -> None:
    gateway = line_of(None)
    gateway.answering = answering
    prover: Any = SimpleNamespace(running=running)
    leases: Any = SimpleNamespace(upgrade_reported=lambda: told)

    assert upgrade_ready(leases, prover=prover, gateway=gateway) is is_ready


def test_a_win_that_is_asked_for_while_the_console_is_told_is_answered() -> None:
    gateway = line_of(None)
    prover: Any = SimpleNamespace(running={})

    def told() -> bool:
        gateway.answering += 1
        return True

    assert not upgrade_ready(SimpleNamespace(upgrade_reported=told), prover=prover, gateway=gateway)  # type: ignore[arg-type]  # all that it asks


def test_a_win_counts_until_its_answer_has_left() -> None:
    seen: list[tuple[str, int]] = []

    def compute(_miner: int, _request: Any) -> Any:
        seen.append(("compute", line.answering))
        return []

    async def call(_method: str, _answer: Any) -> None:
        seen.append(("answer", line.answering))

    line = line_of(compute)

    async def whole() -> None:
        session = ProofSession(line, None)  # type: ignore[arg-type]  # nothing is sent
        session.call = call  # type: ignore[method-assign,assignment]
        await session.handle(1000, {"Method": "ComputeProof", "Id": "1", "Payload": pack({})})
        await session.handle(1000, {"Method": "ComputeProof", "Id": "2", "Payload": "?"})

    asyncio.run(whole())

    assert seen == [("compute", 1), ("answer", 1), ("answer", 1)]
    assert line.answering == 0
