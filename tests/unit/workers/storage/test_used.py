"""What sectors take in a store is measured once, not at each look; a large store in several looks."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from workers.storage import used
from workers.storage.used import AGAIN_S, SETTLED_S, UsedBytes

REPLICA, TREE = 1 << 16, 1 << 14


def put(root: Path, number: int, *, age_s: float = 2 * SETTLED_S) -> None:
    """A sector of a replica and two files in its cache folder."""
    name, at = f"s-t01000-{number}", time.time() - age_s
    (root / "sealed").mkdir(parents=True, exist_ok=True)
    (root / "cache" / name).mkdir(parents=True)
    (root / "sealed" / name).write_bytes(bytes(REPLICA))
    for file in ("p_aux", "tree"):
        (root / "cache" / name / file).write_bytes(bytes(TREE))
    for path in (*(root / "cache" / name).iterdir(), root / "sealed" / name, root / "cache" / name):
        os.utime(path, (at, at))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was measured."""
    names: list[str] = []
    real = used._measured

    def noted(entry: Any) -> Any:
        names.append(entry.name)
        return real(entry)

    monkeypatch.setattr(used, "_measured", noted)
    return names


def sector_bytes(count: int) -> int:
    return count * (REPLICA + 2 * TREE)


def test_only_what_is_new_is_measured_again(tmp_path: Path, measured: list[str]) -> None:
    sums = UsedBytes()
    for number in range(5):
        put(tmp_path, number)
    assert (sums.of(tmp_path), len(measured)) == (sector_bytes(5), 10)
    measured.clear()

    assert (sums.of(tmp_path), measured) == (sector_bytes(5), [])
    put(tmp_path, 5, age_s=0)
    for _ in range(2):
        assert sums.of(tmp_path) == sector_bytes(6)
    assert set(measured) == {"s-t01000-5"}, "what is still written to is measured at each look"
    assert len(measured) == 4


def test_what_was_removed_or_replaced_is_not_remembered(tmp_path: Path) -> None:
    sums = UsedBytes()
    put(tmp_path, 1)
    put(tmp_path, 2)
    assert sums.of(tmp_path) == sector_bytes(2)
    (tmp_path / "sealed" / "s-t01000-1").unlink()
    fresh = tmp_path / "sealed" / "fresh"
    fresh.write_bytes(bytes(2 * REPLICA))
    fresh.replace(tmp_path / "sealed" / "s-t01000-2")

    assert sums.of(tmp_path) == sector_bytes(2)
    assert sums.of(tmp_path / "none") == 0


def test_a_look_ends_in_time_and_the_rest_counts_as_the_average(
    tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        put(tmp_path, number)
    sums, clock = UsedBytes(), [0.0]
    real = used._measured

    def slow(entry: Any) -> Any:
        clock[0] += 0.5
        return real(entry)

    monkeypatch.setattr(used, "_measured", slow)
    monkeypatch.setattr("workers.storage.used.time.monotonic", lambda: clock[0])

    assert sums.of(tmp_path, measure_s=2.0) == sector_bytes(10)
    assert len(measured) == 5, "one of each kind at least"
    for _ in range(4):
        sums.of(tmp_path, measure_s=2.0)
    assert (sums.of(tmp_path, measure_s=2.0), len(measured)) == (sector_bytes(10), 20)

    clock[0] += AGAIN_S + 1
    assert (sums.of(tmp_path, measure_s=2.0), len(measured)) == (sector_bytes(10), 25), "a few at each look"
