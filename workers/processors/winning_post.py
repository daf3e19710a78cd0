"""Stage winning_post: the proof of the one sector that a block win asks for.

Source: rust-fil-proofs filecoin-proofs/src/api/winning_post.rs.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from poolsite.filecoin.post.challenges import post_randomness
from poolsite.filecoin.post.parameters import PoStKind
from poolsite.filecoin.proof_container import winning_post_container
from workers.processors import inputs
from workers.processors.codec import Base64
from workers.processors.errors import BadInput, ProcessorError
from workers.processors.parallel import Progress, no_progress
from workers.processors.post_sector import post_parameters_of, sector_prove
from workers.processors.post_tasks import WinningPostOutput, WinningPostTask
from workers.processors.snark import post_measure, post_snark
from workers.processors.snark_choice import Snark, snark_chosen, takes_groth16
from workers.snark.files import post_spec

if TYPE_CHECKING:
    from poolsite.filecoin.post.parameters import PoStParameters
    from workers.snark.files import CircuitSpec

log = logging.getLogger(__name__)


class WarmUp:
    """Loads kernels and points beside the first wins: that takes seconds, which a win does not have."""

    def __init__(self) -> None:
        self._warm: set[CircuitSpec] = set()
        self._busy = threading.Lock()

    def is_warm(self, parameters: PoStParameters) -> bool:
        """Return whether a proof takes no longer than was measured; begin to see to it."""
        if post_spec(parameters) in self._warm:
            return True
        if self._busy.acquire(blocking=False):
            threading.Thread(target=self._load, args=(parameters,), name="warm-up", daemon=True).start()
        return False

    def _load(self, parameters: PoStParameters) -> None:
        try:
            post_measure(parameters)
            self._warm.add(post_spec(parameters))
        except ProcessorError as error:  # the next win tries again
            log.warning("WinningPoSt stays a container: %s", error)
        finally:
            self._busy.release()


WARM_UP = WarmUp()
"""Of this child."""


def run(task: WinningPostTask, *, progress: Progress = no_progress) -> WinningPostOutput:
    """Prove the sector.  Raises BadFile or BadProof if it is faulty, BadInput unless there is exactly one."""
    parameters = post_parameters_of(task.proof_type, PoStKind.WINNING)
    inputs.digests_check(seed=task.seed)
    if len(task.replicas) != 1:
        raise BadInput(f"{len(task.replicas)} sectors instead of 1")
    randomness = post_randomness(task.seed)
    proof = sector_prove(parameters, task.replicas[0], randomness=randomness, position=0)
    is_only = task.needs_groth16 or snark_chosen() is Snark.GROTH16
    is_taken = takes_groth16(
        post_spec(parameters), seconds_left=task.seconds_left, is_needed=task.needs_groth16
    )
    if is_taken and (is_only or WARM_UP.is_warm(parameters)):
        made = post_snark(parameters, [proof], randomness=randomness, progress=progress)
        return WinningPostOutput((Base64(made),))
    progress(1, 1)
    return WinningPostOutput((Base64(winning_post_container(parameters.number, proof)),))
