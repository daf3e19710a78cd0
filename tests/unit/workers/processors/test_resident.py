"""Memory for layers and data: what one stage was promised, another does not find available."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from workers.processors import resident
from workers.processors.errors import NotEnoughRoom
from workers.processors.resident import resident_allocate
from workers.storage import memory
from workers.storage.checksums import part_ignore
from workers.storage.mapped import Bytes, resident_bytes

MIB = 1 << 20


def test_too_little_memory_is_an_error_that_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 * MIB - 1)

    with pytest.raises(NotEnoughRoom, match=r"two pieces: 2\.0 MiB of memory needed"):
        resident_allocate(2, size_bytes=MIB, purpose="two pieces", alive=part_ignore)


def test_allocated_memory_is_missing_from_what_is_available() -> None:
    before = resident_now()

    pieces = resident_allocate(2, size_bytes=32 * MIB, purpose="two pieces", alive=part_ignore)

    assert resident_now() - before > 60 * MIB
    assert not any(piece.any() for piece in pieces)


def test_nobody_checks_while_another_allocates(monkeypatch: pytest.MonkeyPatch) -> None:
    allocating, waited, may_go_on, checked = threading.Event(), threading.Event(), threading.Event(), []

    def slow(size_bytes: int) -> Bytes:
        allocating.set()
        assert may_go_on.wait(60)
        return resident_bytes(size_bytes)

    monkeypatch.setattr(resident, "WAIT_S", 0.01)
    monkeypatch.setattr(resident, "memory_check", lambda needed, _: checked.append(needed))
    monkeypatch.setattr(resident, "resident_bytes", slow)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(resident_allocate, 1, size_bytes=MIB, purpose="first", alive=part_ignore)
        assert allocating.wait(60)
        second = threads.submit(resident_allocate, 1, size_bytes=2 * MIB, purpose="second", alive=waited.set)
        assert waited.wait(60)
        assert checked == [MIB]
        may_go_on.set()
        first.result(60)
        second.result(60)

    assert checked == [MIB, 2 * MIB]


def resident_now() -> int:
    """Return the memory that this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
