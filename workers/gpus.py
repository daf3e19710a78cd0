"""The GPUs of this machine, and what is the same for all work that one may do.

Source: the NVIDIA driver's /proc/driver/nvidia.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Final, TypeVar

CARD_VARIABLE: Final = "POOLSITE_CARD"
"""Environment variable: `always` or `never` use a card; anything else: by trial."""
SIMULATOR_VARIABLE: Final = "NUMBA_ENABLE_CUDASIM"
"""numba's: `1` runs the card's kernels in Python; for tests."""
ERROR_MAX: Final = 300
"""Characters of what a driver says."""
FAILURES: Final = 3
"""Pieces of work that may fail in a row before a card is left alone."""

T = TypeVar("T")
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


def card_model() -> str:
    """Return the model of the card that may be used, empty where there is none or it is forbidden."""
    models = gpus_here()
    if card_is("never"):
        return ""
    return models[0] if models else "simulated" * (os.environ.get(SIMULATOR_VARIABLE) == "1")


def card_is(value: str) -> bool:
    """Return whether the environment says this of cards."""
    return os.environ.get(CARD_VARIABLE) == value


class CardError(Exception):
    """A card that cannot be used."""


class WrongResult(CardError):
    """A card that gave a wrong result."""


class CardHangs(CardError):
    """A card that does not answer."""


def in_time(act: Callable[[], T], seconds: float) -> T:
    """Return what a call of the card returns.  Raises its errors, and CardHangs: its thread is left alone."""
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(act())
        except BaseException as error:  # noqa: BLE001  # it belongs to the thread that waits
            answer.set_exception(error)

    threading.Thread(target=work, name="card", daemon=True).start()
    try:
        return answer.result(seconds)
    except FutureTimeout:
        raise CardHangs(f"it has not answered for {seconds:.0f} s") from None


def card_reason(error: Exception) -> str:
    """Return what a driver says, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:ERROR_MAX]


def card_say(text: str) -> None:
    """Write a line to the process's log."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
