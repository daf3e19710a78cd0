"""The GPUs of this machine.  Source: the NVIDIA driver's /proc/driver/nvidia."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DRIVER: Final = Path("/proc/driver/nvidia/gpus")


def gpus_here(drivers: Path = DRIVER) -> tuple[str, ...]:
    """Return the models of NVIDIA's GPUs whose driver is loaded."""
    lines = [line for path in sorted(drivers.glob("*/information")) for line in read_text(path).splitlines()]
    return tuple(line.partition(":")[2].strip() for line in lines if line.startswith("Model"))


def read_text(path: Path) -> str:
    """Return a small file of the kernel's; empty where there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
