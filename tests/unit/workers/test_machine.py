"""What a machine has, the slots proposed for it, and slots that ask for too much."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from poolsite.wire.hosts import Disk
from workers import machine
from workers.config import BadConfig, sealer_config, slots_check
from workers.machine import Machine, config_text, disk_measure, gpus_here, machine_look, slots_propose

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30
FARM = Machine(
    cpus=64,
    numa_nodes=2,
    l3_bytes=32 << 20,
    l3_caches=8,
    ram_bytes=512 * GIB,
    gpus=("NVIDIA RTX A4000",),
    disks=(
        Disk(folder="/a", total_bytes=4096 * GIB, free_bytes=4096 * GIB, write_bytes_s=GIB, read_bytes_s=GIB),
    ),
)


def test_it_finds_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SAMPLE_BYTES", 8 << 20)

    here = machine_look((tmp_path / "new",))

    assert here.cpus >= 1
    assert here.ram_bytes > GIB
    assert here.disks[0].write_bytes_s > 0
    assert here.disks[0].read_bytes_s > 0
    assert list((tmp_path / "new").iterdir()) == []


def test_a_full_disk_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SAMPLE_BYTES", 1 << 60)

    assert disk_measure(tmp_path).write_bytes_s == 0


def test_gpus_are_read_from_the_driver(tmp_path: Path) -> None:
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA H200\nIRQ:   1\n")

    assert gpus_here(tmp_path) == ("NVIDIA H200",)


def test_memory_and_disk_decide_how_many_are_labelled() -> None:
    assert slots_propose(FARM, 32 * GIB)["PC1"] == 7  # nine tenths of 512 GiB by 64 GiB each
    assert slots_propose(FARM, 2 << 10)["PC1"] == 64  # a core each


def test_a_sector_that_does_not_fit_is_said() -> None:
    small = Machine(
        cpus=2, numa_nodes=1, l3_bytes=0, l3_caches=0, ram_bytes=24 * GIB, gpus=(), disks=FARM.disks
    )

    with pytest.raises(BadConfig, match=r"32.0 GiB needs 64.0 GiB of memory, there are 24.0 GiB"):
        slots_propose(small, 32 * GIB)


def test_the_proposed_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(config_text(FARM, 512 << 20))
    (tmp_path / "token").write_text("own")

    config = sealer_config(["--dir", str(tmp_path)])

    assert config.slots == slots_propose(FARM, 512 << 20)
    assert tomllib.loads(config_text(FARM, 512 << 20))["proposed"]["sector_room_bytes"] == (
        config.settings.get("sector_room_bytes")
    )


def test_slots_that_ask_for_too_much_are_refused_with_the_sum() -> None:
    with pytest.raises(BadConfig, match=r"pc1 = 9 .*in all 576.0 GiB.*has 512.0 GiB: write pc1 = 7 at most"):
        slots_check(9, sector_bytes=32 * GIB, ram_bytes=512 * GIB)
