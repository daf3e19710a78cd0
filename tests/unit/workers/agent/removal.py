"""All files that a host may have of a sector."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def sector_write(folder: Path, name: str) -> list[Path]:
    """Everything that a host may have of a sector."""
    sealing, store = folder / "sealing", folder / "store"
    files = [sealing / "cache" / name / "layer-1", sealing / "cache" / f"{name}.0a1b" / "layer-1"]
    files += [root / kind / name for root in (sealing, store) for kind in ("sealed", "unsealed")]
    files += [store / "cache" / name / "p_aux", store / "sealed" / f"{name}.tmp"]
    files += [sealing / "sealed" / f"{name}.encoding.tmp", sealing / "unsealed" / f"{name}.tmp"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 5000)
    return files


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)
