"""What stages fetch from the console and upload to it: pieces, outputs of C1, unsealed data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from poolsite.filecoin.cids import commd_cid
from poolsite.wire.job_reports import StageOutputs
from workers.console.refusals import ConsoleAway, ConsoleRefused
from workers.processors.errors import BadFile, BadInput, BadPiece, TemporaryError
from workers.storage.files import is_complete, space_check

if TYPE_CHECKING:
    from poolsite.wire.job_inputs import SealInputs
    from workers.agent.paths import SealingPaths
    from workers.console.client import Console


class ConsoleData:
    """The console's data of jobs, as the stages of this host need them."""

    def __init__(self, console: Console | None) -> None:
        self.console = console

    def c1_fetch(self, job_id: str, token: int, path: Path) -> None:
        """Download the output of C1 on another host.  Raises TemporaryError, BadInput."""
        try:
            self._require_console().data_fetch(job_id, path, token=token)
        except ConsoleAway as error:
            raise TemporaryError(str(error)) from None
        except ConsoleRefused as error:
            raise BadInput(f"the console does not have the C1 output: {error}: go back to C1") from None

    def c1_upload(self, job_id: str, token: int, path: Path) -> None:
        """Upload the output of C1 to the console, for the host that does C2.  Raises TemporaryError."""
        try:
            self._require_console().data_upload(job_id, path, token=token)
        except (ConsoleAway, ConsoleRefused) as error:
            raise TemporaryError(f"the C1 output cannot be uploaded to the console: {error}") from None

    def _require_console(self) -> Console:
        if self.console is None:
            raise BadInput("this host has no console connection for transferring data")
        return self.console

    def pieces_fetch(self, inputs: SealInputs, paths: SealingPaths) -> None:
        """Bring the raw bytes of clients' pieces here.  Raises TemporaryError, BadPiece."""
        # Of one commitment there is one file: such pieces differ in the zeros behind their data alone.
        by_size = sorted(inputs.pieces, key=lambda piece: piece.payload_size)
        wanted = {piece.comm_p: piece for piece in by_size if piece.payload_size}.values()
        missing = [piece for piece in wanted if not is_complete(paths.piece(piece), piece.payload_size)]
        space_check(paths.job, sum(piece.payload_size for piece in missing))
        for piece in missing:
            try:
                self._require_console().piece_fetch(
                    str(commd_cid(piece.comm_p)), paths.piece(piece), size=piece.payload_size
                )
            except ConsoleAway as error:
                raise TemporaryError(str(error)) from None
            except ConsoleRefused as error:
                raise BadPiece(f"the console did not send piece {commd_cid(piece.comm_p)}: {error}") from None

    def unsealed_upload(self, job_id: str, token: int, paths: SealingPaths) -> StageOutputs:
        """Upload to the console what was unsealed.  Raises TemporaryError, BadFile."""
        try:
            self._require_console().data_upload(job_id, paths.unsealed, token=token)
        except FileNotFoundError:
            raise BadFile("the unsealed data is no longer on this host") from None
        except ConsoleAway as error:
            raise TemporaryError(str(error)) from None
        except ConsoleRefused as error:
            raise BadFile(f"the console rejected the unsealed data: {error}") from None
        return StageOutputs()
