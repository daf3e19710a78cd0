"""Which form a proof takes on this host, and what the host tells the console about it.  Loads no kernel."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.wire.hardware import FOREIGN_GROTH16, TOXIC_GROTH16
from workers.snark.files import (
    CircuitKind,
    Origin,
    ParametersMissing,
    is_converted,
    is_here,
    measured_seconds,
    parameters_origin,
    parameters_path,
    spec_for,
    toxic_path,
)

if TYPE_CHECKING:
    from workers.snark.files import CircuitSpec

SNARK_VARIABLE: Final = "POOLSITE_SNARK"
"""Environment variable of a kernel child, and of `make up`: one of `Snark`."""
TIME_SHARE: Final = 4
"""In `auto` a Groth16 proof may take this part of the time that is left for it."""
UNMEASURED_S: Final = 60
"""In `auto` a proof that nobody has measured is made if so many seconds are left."""
CHECK_EVERY_S: Final = 2.0
"""How often the files are looked at."""


class Snark(StrEnum):
    """What a host was told to make."""

    AUTO = "auto"
    """Groth16 once its parameters are converted and a proof is fast enough; containers until then."""
    GROTH16 = "groth16"
    VANILLA = "vanilla"
    """Our container, which our own chain takes."""
    EXTERNAL = "external"
    """What an own binary makes."""


def snark_chosen() -> Snark:
    """Return what this child was told to make."""
    return Snark(os.environ.get(SNARK_VARIABLE) or Snark.VANILLA)


def takes_groth16(
    spec: CircuitSpec, *, partitions: int = 1, seconds_left: int = 0, is_needed: bool = False
) -> bool:
    """Return whether this child's proof is to be Groth16.

    `seconds_left`: until the proof is due, of a win an epoch; 0: nobody said.  Another proof than a win's is
    in no hurry then.  `is_needed` where the chain takes nothing else.
    """
    chosen = snark_chosen()
    if chosen is not Snark.AUTO or is_needed:
        return chosen in (Snark.AUTO, Snark.GROTH16)
    return _is_fast_enough(spec, partitions=partitions, seconds_left=seconds_left)


def _is_fast_enough(spec: CircuitSpec, *, partitions: int = 1, seconds_left: int) -> bool:
    """Return whether parameters are converted and a proof takes its share of the time that is left."""
    if not is_converted(spec):
        return False
    is_win = spec.kind is CircuitKind.WINNING_POST
    if not seconds_left:
        return not is_win
    seconds = measured_seconds(spec)
    if seconds is None:
        return not is_win and seconds_left >= UNMEASURED_S
    return TIME_SHARE * seconds * partitions <= seconds_left


class HostProofs:
    """The forms of proof that a host makes now."""

    def __init__(
        self, snark: Snark, kinds: Sequence[CircuitKind], sector_bytes: int, *, has_updates: bool = False
    ) -> None:
        self.snark, self.sector_bytes = snark, sector_bytes
        self.specs: list[CircuitSpec] = []
        self.update_spec: CircuitSpec | None = None
        """Of replica updates, where the host proves them itself: a host may seal without."""
        self.progress = 0, 0
        """Steps of making parameters that are done, and their number."""
        self._checked_at = 0.0
        self._seen: tuple[tuple[str, ...], str] = ((), "")
        self._foreign: list[str] = []
        self._made: tuple[tuple[CircuitKind, ...], bool] | None = None
        self.makes(kinds, has_updates=has_updates)

    def makes(self, kinds: Sequence[CircuitKind], *, has_updates: bool) -> None:
        """Follow which proofs the host makes: the console may give or take slots of them at any time."""
        if self._made == (tuple(kinds), has_updates):
            return
        self._made = tuple(kinds), has_updates
        self.specs = [spec_for(kind, self.sector_bytes) for kind in kinds]
        self.update_spec = spec_for(CircuitKind.UPDATE, self.sector_bytes) if has_updates else None
        self._checked_at = 0.0

    def forms(self) -> tuple[str, ...]:
        """Return the forms; with none of them nothing may be claimed."""
        return self._check()[0]

    def update_error(self, *, needs_groth16: bool) -> str:
        """Return why the host can prove no replica update in a form that it makes and the chain takes."""
        if self.update_spec is None:
            return ""
        if self.snark is Snark.EXTERNAL and needs_groth16:
            return "it runs with --snark external, but its [processors] has no snap_prove"
        if self.snark is Snark.GROTH16 or (self.snark is Snark.AUTO and needs_groth16):
            return _missing([self.update_spec])
        return ""

    def winning(self, *, epoch_s: int, needs_groth16: bool) -> tuple[str, float]:
        """Return which form a win's proof takes, empty where none is ours, and the seconds of a Groth16 one.

        The seconds are 0 until one was measured here.
        """
        if not self.specs:
            return "", 0.0
        [spec] = self.specs
        if self.snark not in (Snark.AUTO, Snark.GROTH16):
            return "vanilla", 0.0
        is_needed = needs_groth16 or self.snark is Snark.GROTH16
        is_groth16 = is_needed or _is_fast_enough(spec, seconds_left=epoch_s)
        seconds = measured_seconds(spec) if is_converted(spec) else None
        return ("groth16" if is_groth16 else "vanilla"), seconds or 0.0

    def update_sizes(self) -> tuple[int, ...]:
        """Return the sector sizes of which the host proves updates itself by Groth16."""
        if self.update_spec is None or self.snark not in (Snark.AUTO, Snark.GROTH16):
            return ()
        specs = [spec_for(CircuitKind.UPDATE, size) for size in SECTOR_SIZES]
        return tuple(spec.sector_bytes for spec in specs if not _missing([spec]))

    def foreign(self) -> str:
        """Return the names of the files that are here and not those of the public networks' list."""
        self._check()
        return ", ".join(self._foreign)

    def _groth16(self) -> str:
        specs = self.specs if self.update_spec is None else [*self.specs, self.update_spec]
        here = [spec for spec in specs if toxic_path(spec).exists() or is_here(spec)]
        origins = {spec.parameters_name: parameters_origin(spec) for spec in here}
        self._foreign = [name for name, origin in origins.items() if origin is not Origin.PUBLISHED]
        if Origin.SEED in origins.values():
            return TOXIC_GROTH16
        return FOREIGN_GROTH16 if self._foreign else "groth16"

    def error(self) -> str:
        """Return what is missing for the form that was asked for."""
        return self._check()[1]

    def _check(self) -> tuple[tuple[str, ...], str]:
        now = time.monotonic()
        if not self._checked_at or now - self._checked_at >= CHECK_EVERY_S:
            self._checked_at, self._seen = now, self._forms_now()
        return self._seen

    def _forms_now(self) -> tuple[tuple[str, ...], str]:
        self._foreign = []
        if self.snark is Snark.VANILLA:
            return ("vanilla",), ""
        if self.snark is Snark.EXTERNAL:
            return ("vanilla", "groth16"), ""
        if self.snark is Snark.AUTO:
            is_ready = all(map(is_converted, self.specs))
            return (("vanilla", self._groth16()) if is_ready else ("vanilla",)), ""
        missing = _missing(self.specs)
        return (() if missing else (self._groth16(),)), missing


def _missing(specs: Sequence[CircuitSpec]) -> str:
    """Return which parameter files are not there whole; empty if all are."""
    missing = []
    for spec in specs:
        try:
            parameters_path(spec)
        except ParametersMissing as error:
            missing.append(str(error))
    return "; ".join(missing)
