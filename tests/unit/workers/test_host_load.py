"""How busy a machine is: read from the kernel's files, absent where it does not tell."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from workers.host_load import LoadMeter, NvidiaProgram, amd_read, nvidia_parse, processor_celsius


def stat_write(proc: Path, *, busy: int, idle: int, waiting: int = 0) -> None:
    (proc / "stat").write_text(f"cpu  {busy} 0 0 {idle} {waiting} 0 0 0 0 0\ncpu0 1 2 3\n")


def file_write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def test_processors_are_busy_when_neither_idle_nor_waiting_for_a_disk(tmp_path):
    stat_write(tmp_path, busy=100, idle=100)
    meter = LoadMeter(proc=tmp_path, sys=tmp_path)
    stat_write(tmp_path, busy=130, idle=150, waiting=20)

    assert meter.read().cpu_permille == 300


def test_a_busy_minute_counts_until_its_window_is_over(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("workers.host_load.time.monotonic", lambda: clock.now)
    stat_write(tmp_path, busy=0, idle=0)
    meter = LoadMeter(proc=tmp_path, sys=tmp_path)
    read = []
    for at, busy in ((60, 60), (600, 60), (660, 60), (1260, 60)):
        clock.now = float(at)
        stat_write(tmp_path, busy=busy, idle=at - busy)
        read.append(meter.read().cpu_permille)

    assert read == [1000, 100, 0, 0]


def test_what_the_kernel_does_not_tell_is_absent(tmp_path):
    load = LoadMeter(proc=tmp_path, sys=tmp_path).read()

    assert (load.cpu_permille, load.celsius, load.gpu_permille, load.gpu_celsius) == (None,) * 4
    assert load.memory_permille is not None


def test_the_hottest_processor_is_told(tmp_path):
    for name, driver, heat in (("hwmon0", "nvme", 90_000), ("hwmon1", "k10temp", 61_500)):
        file_write(tmp_path / f"class/hwmon/{name}/name", driver)
        file_write(tmp_path / f"class/hwmon/{name}/temp1_input", str(heat))

    assert processor_celsius(tmp_path) == 61


def test_a_thermal_zone_serves_where_no_driver_is_loaded(tmp_path):
    for name, kind, heat in (("thermal_zone0", "acpitz", 20_000), ("thermal_zone1", "x86_pkg_temp", 55_000)):
        file_write(tmp_path / f"class/thermal/{name}/type", kind)
        file_write(tmp_path / f"class/thermal/{name}/temp", str(heat))

    assert processor_celsius(tmp_path) == 55


def test_gpus_of_amd_are_read_from_their_driver(tmp_path):
    for card, busy, heat in (("card0", 80, 60_000), ("card1", 40, 70_000)):
        file_write(tmp_path / f"class/drm/{card}/device/gpu_busy_percent", str(busy))
        file_write(tmp_path / f"class/drm/{card}/device/hwmon/hwmon3/temp1_input", str(heat))

    assert amd_read(tmp_path) == (600, 70)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("87, 64\n13, 71\n", (500, 71)),
        ("[N/A], 64\n", (None, 64)),
        ("", (None, None)),
        ("No devices were found\n", (None, None)),
    ],
)
def test_gpus_of_nvidia_are_read_from_its_program(text, found):
    assert nvidia_parse(text) == found


def nvidia_program(folder: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text("\n".join(("#!/bin/sh", f"echo >> {folder}/starts", *lines)) + "\n")
    path.chmod(0o700)
    monkeypatch.setattr("workers.host_load.shutil.which", lambda _name: str(path))


def test_what_nvidias_program_prints_is_read(tmp_path, monkeypatch):
    nvidia_program(tmp_path, monkeypatch, "echo '87, 64'")

    assert NvidiaProgram().read() == (870, 64)

    nvidia_program(tmp_path, monkeypatch, "echo '87, 64'", "exit 9")
    assert NvidiaProgram().read() == (None, None)


def test_a_program_that_no_kill_ends_is_not_waited_for_nor_started_again(tmp_path, monkeypatch):
    nvidia_program(tmp_path, monkeypatch, "exec sleep 60")
    program = NvidiaProgram()
    with monkeypatch.context() as patch:
        patch.setattr("workers.host_load.NVIDIA_WAIT_S", 1.0)
        patch.setattr("workers.host_load.subprocess.Popen.kill", lambda _program: None)
        began = time.monotonic()
        assert program.read() == (None, None)
        assert program.read() == (None, None)
        assert time.monotonic() - began < 30
    assert (tmp_path / "starts").read_text() == "\n"

    stuck = program._stuck
    assert stuck is not None
    stuck.kill()
    stuck.wait()
    nvidia_program(tmp_path, monkeypatch, "echo '5, 40'")
    assert program.read() == (50, 40)
