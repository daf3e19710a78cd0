"""What a machine has, the slots proposed for it, and slots that ask for too much."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from poolsite.wire.hardware import Disk
from workers import machine
from workers.config import sealer_config
from workers.config_mistakes import BadConfig
from workers.gpus import gpus_here
from workers.host_sums import HostRequirements
from workers.machine import Machine, config_text, disk_measure, machine_read, slots_propose
from workers.machine_report import MachineReport
from workers.processors.layer_drives import LayerDrives
from workers.stage_processors import HostProcessors, StageProcessor

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

    here = machine_read((tmp_path / "new",))

    assert here.cpus >= 1
    assert here.ram_bytes > GIB
    assert here.disks[0].write_bytes_s > 0
    assert here.disks[0].read_bytes_s > 0
    assert list((tmp_path / "new").iterdir()) == []


def test_a_full_disk_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SAMPLE_BYTES", 1 << 60)

    assert disk_measure(tmp_path).write_bytes_s == 0


def test_a_load_that_cannot_be_read_hides_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = MachineReport(tmp_path, lambda: (tmp_path,))
    monkeypatch.setattr(report._measure, "wait", lambda _seconds: report.stop())

    def fails() -> None:
        raise OSError("a sensor was unplugged")

    monkeypatch.setattr(report._meter, "read", fails)
    report._work()

    assert report.hardware()["load"] is None
    assert [disk.folder for disk in report.hardware()["disks"]] == [str(tmp_path)]


def test_a_disk_that_is_gone_hides_no_other(tmp_path: Path) -> None:
    report = MachineReport(tmp_path, lambda: (tmp_path / "gone", tmp_path))

    report._read()

    assert [disk.folder for disk in report.hardware()["disks"]] == [str(tmp_path)]


def test_disks_of_sealing_threads_are_marked(tmp_path: Path) -> None:
    location = tmp_path / "nvme"
    location.mkdir()
    report = MachineReport(tmp_path, lambda: (tmp_path, location), locations=[location])

    report._read()

    assert [disk.is_location for disk in report.hardware()["disks"]] == [False, True]


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

    with pytest.raises(BadConfig, match=r"32.0 GiB needs 64.0 GiB of memory, but only 21.6 GiB"):
        slots_propose(small, 32 * GIB)


@pytest.mark.parametrize("size", [2 << 10, 512 << 20])
def test_the_proposed_file_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: FARM.cpus)
    (tmp_path / "config.toml").write_text(config_text(FARM, size))
    (tmp_path / "token").write_text("own")

    config = sealer_config(["--dir", str(tmp_path), "--sector-size", "2KiB"])

    assert config.slots == slots_propose(FARM, size)
    assert tomllib.loads(config_text(FARM, size))["proposed"]["sector_room_bytes"] == (
        config.settings.room_bytes(sector_bytes=2 << 10)
    )


def test_slots_that_ask_for_too_much_are_refused_with_the_sum() -> None:
    words = "9 × 64.0 GiB for pc1 need 576.0 GiB .*has 512.0 GiB: set pc1 = 7 or less"
    with pytest.raises(BadConfig, match=words):
        asks().check({"slots.PC1": 9})


def asks(
    *children: StageProcessor, snark: str = "auto", locks: dict[str, int] | None = None
) -> HostRequirements:
    """A machine of 32 cores with a GPU, for sectors of 32 GiB."""
    return HostRequirements(
        path="config.toml",
        sector_bytes=32 * GIB,
        snark=snark,
        children=HostProcessors(children=children, locks=locks or {}),
        cpus=32,
        ram_bytes=512 * GIB,
        gpus=1,
    )


def pinned(stage: str, cpus: str, **more: Any) -> StageProcessor:
    return StageProcessor(stage=stage, around=("taskset", "-c", cpus), **more)


def test_memory_of_all_stages_is_added_up() -> None:
    slots = {"slots.PC1": 6, "slots.C2": 4}

    asks().check(slots)
    with pytest.raises(BadConfig, match=r"6 × 64.0 GiB for pc1 \+ 4 × 35.4 GiB for c2 .*pc1 = 4 or"):
        asks(snark="groth16").check(slots)
    asks(StageProcessor(stage="c2", command=("/opt/c2",)), snark="groth16").check(slots)


def test_a_batch_on_drives_takes_memory_once_and_no_core_for_each_sector() -> None:
    layers = LayerDrives(folder="/host/layers", drives=("/mnt/a", "/mnt/b"), sectors=128)
    host = replace(asks(), children=HostProcessors(layers=layers), gpus=0)

    host.check({"slots.PC1": 128})
    with pytest.raises(BadConfig, match=r"12.4 GiB for a batch .* has 8.0 GiB: set fewer sectors"):
        replace(host, ram_bytes=8 * GIB).check({"slots.PC1": 128})
    replace(host, ram_bytes=8 * GIB).check({"slots.PC1": 0})
    with pytest.raises(BadConfig, match=r"15.2 GiB for a batch .* has 14.0 GiB"):  # larger pieces of trees
        replace(host, ram_bytes=14 * GIB, gpus=1).check({"slots.PC1": 128})


def test_cores_of_processors_and_slots_are_added_up() -> None:
    full = (pinned("pc1", "0-15"), pinned("pc1", "16-31"))
    asks(*full).check({"slots.PC1": 4})
    with pytest.raises(BadConfig, match=r"16 for pc1 \+ 16 for pc1 \+ 4 for c2 = 36 cores, .*has 32: make"):
        asks(*full, pinned("c2", "0-3")).check({})
    small = replace(asks(pinned("pc2", "0-30")), sector_bytes=2 << 10)
    with pytest.raises(BadConfig, match=r"31 for pc2 \+ 2 for 17 pc1 slots .* = 33 cores"):
        small.check({"slots.PC1": 17})


def test_tasks_at_a_time_are_added_up_against_the_cores() -> None:
    asks().check({"slots.PC2": 17, "slots.C2": 17, "slots.PERSIST": 99})  # copying takes no core
    with pytest.raises(BadConfig, match=r"18 pc2 \+ 17 c2 tasks at a time, 33 beyond .*has 32 cores: give"):
        asks().check({"slots.PC2": 18, "slots.C2": 17})
    asks(pinned("pc2", "0-3")).check({"slots.PC2": 18, "slots.C2": 17})
    several = StageProcessor(stage="pc2", command=("/opt/pc2",), sectors=18)
    asks(several).check({"slots.PC2": 18, "slots.C2": 17})
    with pytest.raises(BadConfig, match="99 pc2 tasks"):
        replace(asks(), cpus=2).check({"slots.PC2": 99})


def test_processors_of_one_lock_share_their_cores() -> None:
    both = (pinned("pc2", "0-31", locks=("gpu1",)), pinned("c2", "0-31", locks=("gpu1",)))

    asks(*both, locks={"gpu1": 1}).check({})
    with pytest.raises(BadConfig, match="= 64 cores"):
        asks(*both, locks={"gpu1": 2}).check({})


def test_a_gpu_that_is_not_there_is_named() -> None:
    asks(StageProcessor(stage="c2", environment={"CUDA_VISIBLE_DEVICES": "0"})).check({})
    with pytest.raises(BadConfig, match="of c2 requests GPU 1, but this machine has GPUs 0-0: fix CUDA"):
        asks(StageProcessor(stage="c2", environment={"CUDA_VISIBLE_DEVICES": "0,1"})).check({})


@pytest.mark.parametrize("value", ["-1", "", "all", "GPU-4b1f2c3d-1111-22aa-8833-0123456789ab, 0"])
def test_no_gpu_and_gpus_by_uuid_are_no_numbers(value: str) -> None:
    asks(StageProcessor(stage="c2", environment={"CUDA_VISIBLE_DEVICES": value})).check({})
