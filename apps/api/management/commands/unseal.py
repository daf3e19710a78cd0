"""`manage.py unseal`: what lies in a sector; its bytes into a file here or to where a market wants them."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import BaseCommand, CommandError

from apps.api.management.caller import COMMAND
from apps.core import clock
from apps.core.errors import DomainError
from apps.gateway.selectors.reverse import DROPLET, reverse_of
from apps.miners.selectors.miners import miner_get
from apps.pieces.data.ranges import PieceBytes, PieceRange, piece_data
from apps.pieces.errors import PieceSealed
from apps.pieces.selectors import piece_placed, pieces_of_sector
from apps.sectors.services.runs.deliveries import ENDED, FAILED, UnsealOrder, piece_deliver
from apps.sectors.services.runs.unsealing import unseal_request
from poolsite.filecoin.fr32 import unpadded_bytes

if TYPE_CHECKING:
    from apps.pieces.models import Piece

POLL_S: Final = 1.0


class Command(BaseCommand):
    """Waits until the bytes are there; asked again after Ctrl-C it goes on with the same job."""

    help = "List a sector's pieces; with --output or --to, unseal one: `unseal f01000 7 --output file.car`."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("miner", help="address of the miner, such as f01000")
        parser.add_argument("number", type=int, help="the sector's number")
        parser.add_argument("--piece", help="its commitment; needed if the sector has several pieces")
        parser.add_argument("--offset", type=int, default=0, help="bytes from the start of the piece")
        parser.add_argument("--size", type=int, help="bytes; default: all")
        where = parser.add_mutually_exclusive_group()
        where.add_argument("--output", help="local file to create with the raw bytes")
        where.add_argument("--to", help="http://…, https://… or market://…: the raw bytes, zero-padded")

    def handle(self, *_args: Any, **options: Any) -> None:
        """List, or bring the bytes."""
        try:
            miner = miner_get(COMMAND, options["miner"])
            if not options["output"] and not options["to"]:
                for piece in pieces_of_sector(miner, options["number"]):
                    storage = "kept unsealed" if piece.is_readable else "sealed"
                    self.stdout.write(
                        f"{piece.offset} {piece.piece_cid} {piece.payload_size} bytes, {storage}"
                    )
                return
            piece = piece_placed(
                miner, options["number"], options["piece"] or self._only(miner, options["number"])
            )
            if options["output"]:
                self._file(piece, Path(options["output"]), first=options["offset"], size=options["size"])
            else:
                self._deliver(piece, options)
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None

    def _only(self, miner: Any, number: int) -> str:
        pieces = pieces_of_sector(miner, number)
        if len(pieces) != 1:
            raise CommandError(f"sector {number} has {len(pieces)} pieces: name one with --piece")
        return str(pieces[0].piece_cid)

    def _file(self, piece: Piece, path: Path, *, first: int, size: int | None) -> None:
        raw = piece.payload_size or 0
        count = raw - first if size is None else size
        if first < 0 or count < 1 or first + count > raw:
            raise CommandError(f"the piece has {raw} bytes")
        found = self._bytes(piece, PieceRange(first, count))
        try:
            with path.open("xb") as file:
                for chunk in found.chunks:
                    file.write(chunk)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
        self.stdout.write(f"{count} bytes in {path}")

    def _bytes(self, piece: Piece, requested: PieceRange) -> PieceBytes:
        while True:
            piece.refresh_from_db()
            try:
                return piece_data(piece, requested)
            except PieceSealed:
                unseal_request(piece, now=clock.now())
                time.sleep(POLL_S)

    def _deliver(self, piece: Piece, options: dict[str, Any]) -> None:
        room = unpadded_bytes(piece.padded_size)
        order = UnsealOrder(
            miner=options["miner"],
            number=options["number"],
            piece_cid=str(piece.piece_cid),
            offset=unpadded_bytes(piece.offset or 0) + options["offset"],
            size=room - options["offset"] if options["size"] is None else options["size"],
            dest=options["to"],
        )
        reported = ""
        while reported not in ENDED.values():
            state = piece_deliver(order, market=reverse_of(DROPLET), by=COMMAND, now=clock.now())
            if state != reported:
                self.stdout.write(state)
                reported = state
                continue
            time.sleep(POLL_S)
        if reported == FAILED:
            raise CommandError(piece.deliveries.latest("updated_at").error)
