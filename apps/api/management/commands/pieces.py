"""`manage.py pieces`: where clients' data are, adding and unsealing it, and into which sectors it goes."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import CommandError

from apps.api.management.caller import COMMAND
from apps.api.management.words import facts, refusals_as_command_errors
from apps.api.v1.pieces import piece_body
from apps.core import clock
from apps.core.management.any_order import AnyOrderCommand
from apps.miners.selectors.miners import miner_get
from apps.pieces.data.commitments import commitment_of
from apps.pieces.selectors import PieceFilter, piece_get, piece_named, piece_status, pieces_page
from apps.pieces.services.quotas import storage_reconcile
from apps.pieces.services.uploads import PieceSpec, piece_purpose_set, piece_upload
from apps.pieces.states import PiecePurpose
from apps.sectors.services.runs.unsealing import unseal_request
from apps.sectors.services.sealing.packing import packing_plan, packing_request
from poolsite.filecoin.piece_cids import SizedPiece, sized_cid

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.pieces.models import Piece

PAGE = 1_000
FILES: Final = ("data-cid", "add")
"""Acts on a file."""
SEAL: Final = "seal"
RECOUNT: Final = "recount"
NAMELESS: Final = ("list", SEAL, RECOUNT)
"""Acts on no single piece."""
FILELESS: Final = "name the piece by its commitment"


class Command(AnyOrderCommand):
    """List pieces, show one, unseal it, change where it goes; add a file; seal those that wait."""

    help = (
        "list [--miner f01000] [--state READY]; show CID; unseal CID; purpose CID|UPLOAD any|snap-up; "
        "data-cid FILE; add FILE --miner f01000; "
        "seal --miner f01000 [--dry-run]: start sectors for the waiting pieces now, even if part-filled; "
        "recount: compare the bytes that quotas count with those of the pieces"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("act", choices=["show", "unseal", "purpose", *NAMELESS, *FILES])
        parser.add_argument(
            "piece",
            nargs="?",
            default="",
            help="its commitment; for purpose also its upload's uuid; for data-cid, add: a file of raw bytes",
        )
        parser.add_argument("purpose", nargs="?", default="", help=f"one of {', '.join(PiecePurpose.values)}")
        parser.add_argument(
            "--miner", default="", help="for list: only this miner's pieces; for add, seal: the miner"
        )
        parser.add_argument("--state", default="", help="for list: only pieces in this state")
        parser.add_argument("--dry-run", action="store_true", help="for seal: only show the sectors")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it and write a line for each fact."""
        if options["act"] not in NAMELESS and not options["piece"]:
            raise CommandError("name the file" if options["act"] in FILES else FILELESS)
        if options["act"] in FILES:
            self._file(Path(options["piece"]), options)
            return
        with refusals_as_command_errors():
            if options["act"] == "list":
                self._list(options)
                return
            if options["act"] == RECOUNT:
                self._recount()
                return
            if options["act"] == SEAL:
                self._seal(miner_get(COMMAND, options["miner"]), is_dry_run=options["dry_run"])
                return
            for line in facts(piece_body(self._piece(options["act"], options["piece"], options["purpose"]))):
                self.stdout.write(line)

    def _piece(self, act: str, name: str, purpose: str) -> Piece:
        """Return a piece after what is to be done with it."""
        if act == "purpose":
            return piece_purpose_set(piece_named(COMMAND, name), purpose=purpose, by=COMMAND)
        if act == "unseal":
            unseal_request(piece_get(COMMAND, name), now=clock.now())
        return piece_status(COMMAND, name)

    def _recount(self) -> None:
        """Count what quotas count anew: a line for each miner whose count was wrong, and is right now."""
        wrong = storage_reconcile()
        for one in wrong:
            self.stdout.write(f"{one.miner}: {one.counted} bytes were counted, its pieces have {one.held}")
        if not wrong:
            self.stdout.write("all counts are right")

    def _seal(self, miner: Miner, *, is_dry_run: bool) -> None:
        """Begin the sectors of waiting pieces, or only show them: a line for each."""
        plan = packing_plan(miner) if is_dry_run else packing_request(miner, now=clock.now(), by=COMMAND)
        for packed in plan:
            names = ", ".join(str(one.piece_cid) for one in packed.pieces)
            self.stdout.write(f"{packed.used} of {packed.size} bytes: {names}")
        if not plan:
            self.stdout.write("no piece is waiting for a new sector")

    def _file(self, file: Path, options: dict[str, Any]) -> None:
        """Add a file to a miner's pieces, or print its commitment and sizes."""
        if not file.is_file() or not file.stat().st_size:
            raise CommandError(f"{file} is not a file, or is empty")
        size = file.stat().st_size
        with refusals_as_command_errors():
            if options["act"] == "add":
                with file.open("rb") as source:
                    miner, spec = miner_get(COMMAND, options["miner"]), PieceSpec(payload_size=size)
                    body = piece_body(piece_upload(miner, spec=spec, source=source, by=COMMAND)[0])
            else:
                found = commitment_of(file.absolute())
                body = {
                    "piece_cid": str(found.cid),
                    "piece_cid_v2": str(sized_cid(SizedPiece(found.comm_p, size))),
                    "padded_size": found.padded_size,
                    "payload_size": size,
                }
        for line in facts(body):
            self.stdout.write(line)

    def _list(self, options: dict[str, Any]) -> None:
        before: int | None = None
        while True:
            filters = PieceFilter(miner=options["miner"], state=options["state"], before=before)
            rows = pieces_page(COMMAND, filters, limit=PAGE)
            for row in rows:
                place = ""
                if row.sector_number is not None:
                    place = f" in {row.miner} / {row.sector_number} at {row.offset}, {row.padded_size} bytes"
                why = f": {row.error}" if row.error else ""
                self.stdout.write(f"{row.uuid} {row} {row.state} {row.purpose}{place}{why}")
            if len(rows) < PAGE:
                return
            before = rows[-1].pk
