"""How busy this machine is: processors, memory, GPUs and their temperatures, as far as the kernel tells.

Source: Linux proc_stat(5); Documentation/hwmon/sysfs-interface.rst, driver-api/thermal/sysfs-api.rst and
gpu/amdgpu/thermal.rst; `nvidia-smi --help-query-gpu`.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from poolsite.wire.hardware import HostLoad
from workers.gpus import gpus_here, read_text
from workers.storage.memory import available_bytes, memory_bytes

PROC: Final = Path("/proc")
SYS: Final = Path("/sys")
PROCESSOR_SENSORS: Final = frozenset({"coretemp", "k10temp", "zenpower", "cpu_thermal"})
"""Names of the drivers that read a processor's own sensors."""
PROCESSOR_ZONES: Final = frozenset({"x86_pkg_temp", "cpu-thermal", "soc-thermal"})
"""Types of the thermal zones of processors, where no driver of theirs is loaded."""
NVIDIA: Final = (
    "nvidia-smi",
    "--query-gpu=utilization.gpu,temperature.gpu",
    "--format=csv,noheader,nounits",
)
NVIDIA_EVERY_S: Final = 60.0
"""It is a program: it is started once a minute."""
NVIDIA_WAIT_S: Final = 5.0
WINDOW_S: Final = 600.0
"""The console takes down the load of its hosts that often: so no busy minutes fall between."""
MILLI: Final = 1000
IDLE_COLUMNS: Final = (3, 4)
"""Of the first line of /proc/stat: idle, and waiting for a disk."""
GUEST_COLUMNS: Final = 8
"""From here on it repeats what it has counted as user time."""


class LoadMeter:
    """Reads the load; the processors' is that of the last `WINDOW_S`, or since the start."""

    def __init__(self, proc: Path = PROC, sys: Path = SYS) -> None:
        self._proc, self._sys = proc, sys
        self._times = deque([(time.monotonic(), processor_times(proc))])
        self._nvidia = NvidiaProgram()
        self._gpus: tuple[int | None, int | None] = (None, None)
        self._gpus_read_at = -NVIDIA_EVERY_S

    def read(self) -> HostLoad:
        """Return the load now; what cannot be read is None."""
        now = time.monotonic(), processor_times(self._proc)
        self._times.append(now)
        while len(self._times) > 2 and now[0] - self._times[1][0] >= WINDOW_S:
            self._times.popleft()
        gpu, gpu_celsius = self._gpus_now()
        return HostLoad(
            cpu_permille=busy_permille(self._times[0][1], now[1]),
            memory_permille=permille(memory_bytes() - available_bytes(), memory_bytes()),
            gpu_permille=gpu,
            celsius=processor_celsius(self._sys),
            gpu_celsius=gpu_celsius,
        )

    def _gpus_now(self) -> tuple[int | None, int | None]:
        if time.monotonic() - self._gpus_read_at < NVIDIA_EVERY_S:
            return self._gpus
        self._gpus_read_at = time.monotonic()
        self._gpus = amd_read(self._sys) if not gpus_here() else self._nvidia.read()
        return self._gpus


def processor_times(proc: Path) -> tuple[int, int] | None:
    """Return the ticks in which the processors had nothing to do, and all of them; None: not told."""
    name, *columns = (read_text(proc / "stat").splitlines() or [""])[0].split() or [""]
    if name != "cpu" or not all(column.isdigit() for column in columns):
        return None
    ticks = [int(column) for column in columns[:GUEST_COLUMNS]]
    return sum(ticks[at] for at in IDLE_COLUMNS if at < len(ticks)), sum(ticks)


def busy_permille(before: tuple[int, int] | None, now: tuple[int, int] | None) -> int | None:
    """Return the share of the ticks between two readings that were not idle."""
    if before is None or now is None:
        return None
    idle, ticks = now[0] - before[0], now[1] - before[1]
    return permille(ticks - idle, ticks)


def permille(part: int, whole: int) -> int | None:
    """Return a part in thousandths, at most all of them; None where that makes no sense."""
    return min(MILLI * part // whole, MILLI) if whole > 0 and part >= 0 else None


def processor_celsius(sys: Path) -> int | None:
    """Return the temperature of the hottest processor; None where no sensor of one is found."""
    sensors = (
        path
        for folder in (sys / "class/hwmon").glob("hwmon*")
        if read_text(folder / "name") in PROCESSOR_SENSORS
        for path in folder.glob("temp*_input")
    )
    zones = (
        folder / "temp"
        for folder in (sys / "class/thermal").glob("thermal_zone*")
        if read_text(folder / "type") in PROCESSOR_ZONES
    )
    found = hottest(sensors)
    return hottest(zones) if found is None else found


def hottest(files: Iterable[Path]) -> int | None:
    """Return the highest of some temperatures, which the kernel gives in thousandths of a degree."""
    found = [int(text) // MILLI for path in files if (text := read_text(path)).isdigit()]
    return max(found, default=None)


def amd_read(sys: Path) -> tuple[int | None, int | None]:
    """Return how busy AMD's GPUs are, and the hottest one's temperature."""
    cards = list((sys / "class/drm").glob("card*/device/gpu_busy_percent"))
    busy = [int(text) for path in cards if (text := read_text(path)).isdigit()]
    heat = hottest(sensor for path in cards for sensor in path.parent.glob("hwmon/hwmon*/temp1_input"))
    return (10 * sum(busy) // len(busy) if busy else None), heat


class NvidiaProgram:
    """Runs the driver's program, one at a time: where the driver hangs, not even a kill ends it."""

    def __init__(self) -> None:
        self._stuck: subprocess.Popen[str] | None = None
        """One that was killed and has not ended yet."""

    def read(self) -> tuple[int | None, int | None]:
        """Return how busy NVIDIA's GPUs are, and the hottest one's temperature."""
        path = shutil.which(NVIDIA[0])
        if path is None or self._is_stuck():
            return None, None
        try:
            program = subprocess.Popen(  # noqa: S603  # the driver's own program, and our own words
                [path, *NVIDIA[1:]],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
            )
        except OSError:
            return None, None
        try:
            text, _ = program.communicate(timeout=NVIDIA_WAIT_S)
        except subprocess.TimeoutExpired:
            program.kill()
            self._stuck = program  # it is not waited for
            return None, None
        return nvidia_parse(text) if program.returncode == 0 else (None, None)

    def _is_stuck(self) -> bool:
        if self._stuck is None:
            return False
        if self._stuck.poll() is None:
            return True
        if self._stuck.stdout is not None:
            self._stuck.stdout.close()
        self._stuck = None
        return False


def nvidia_parse(text: str) -> tuple[int | None, int | None]:
    """Read a line `87, 64` for each GPU; one that does not tell says `[N/A]`."""
    columns = list(zip(*(line.split(",") for line in text.splitlines() if line.count(",") == 1), strict=True))
    busy, heat = ([int(cell) for cell in column if cell.strip().isdigit()] for column in columns or ((), ()))
    return (10 * sum(busy) // len(busy) if busy else None), max(heat, default=None)
