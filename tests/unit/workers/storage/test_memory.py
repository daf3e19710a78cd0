"""What of a machine's memory a process may take: its control groups' limits count, in both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.storage import memory
from workers.storage.memory import available_bytes, memory_bytes

MIB = 1 << 20


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with 1,024 MiB available and no control groups."""
    (tmp_path / "meminfo").write_text(f"MemTotal: {2048 * 1024} kB\nMemAvailable: {1024 * 1024} kB\n")
    monkeypatch.setattr(memory, "MEMORY_FILE", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUPS_FILE", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "GROUPS_FOLDER", tmp_path / "groups")
    monkeypatch.setattr(
        "workers.storage.memory.os.sysconf", lambda name: MIB if name == "SC_PAGE_SIZE" else 2048
    )
    return tmp_path


def first(folder: Path, *, limit: int, used: int, inactive: int = 0) -> None:
    """Write the figures of a group of the first version."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"cache 1\ntotal_inactive_file {inactive}\n")


def second(folder: Path, *, limit: str, used: int, inactive: int = 0) -> None:
    """Write the figures of a group of the second version."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {inactive}\n")


def test_without_groups_it_is_the_machine_that_counts() -> None:
    assert (memory_bytes(), available_bytes()) == (2048 * MIB, 1024 * MIB)


def test_a_unit_of_systemd_has_what_its_slice_leaves(machine: Path) -> None:
    (machine / "cgroup").write_text("0::/farm.slice/sealer.service\n")
    groups = machine / "groups"
    second(groups / "farm.slice/sealer.service", limit="max", used=500 * MIB)
    second(groups / "farm.slice", limit=str(800 * MIB), used=600 * MIB, inactive=100 * MIB)

    assert (memory_bytes(), available_bytes()) == (800 * MIB, 300 * MIB)


def test_a_container_of_the_first_version_sees_its_group_as_the_root(machine: Path) -> None:
    (machine / "cgroup").write_text("9:name=systemd:/docker/1f\n4:memory,cpu:/docker/1f\n0::/\n")
    first(machine / "groups/memory", limit=256 * MIB, used=400 * MIB)

    assert (memory_bytes(), available_bytes()) == (256 * MIB, 0)


def test_a_limit_above_what_the_machine_has_takes_nothing_away(machine: Path) -> None:
    (machine / "cgroup").write_text("4:memory:/sealer\n")
    first(machine / "groups/memory/sealer", limit=2**63 - 4096, used=400 * MIB)

    assert (memory_bytes(), available_bytes()) == (2048 * MIB, 1024 * MIB)


@pytest.mark.parametrize("figure", ["", "many", "-"])
def test_figures_that_cannot_be_read_limit_nothing(machine: Path, figure: str) -> None:
    (machine / "cgroup").write_text("0::/sealer\n")
    second(machine / "groups/sealer", limit=figure, used=1)

    assert available_bytes() == 1024 * MIB
