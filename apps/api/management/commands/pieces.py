"""`manage.py pieces`: the commitment of a file here, and quotas counted anew."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.pieces.data.commitments import commitment_of
from apps.pieces.services.quotas import storage_reconcile
from poolsite.filecoin.piece_cids import SizedPiece, sized_cid


class Command(BaseCommand):
    """Commitments of local files, and repair of quotas; the rest is in `poolsite pieces`."""

    help = (
        "data-cid FILE: its commitment and sizes; "
        "recount: compare the bytes that quotas count with those of the pieces"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("data-cid").add_argument("file", type=Path, help="a file of raw bytes")
        acts.add_parser("recount")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it and write a line for each fact."""
        if options["act"] == "recount":
            self._recount()
        else:
            self._commitment(options["file"])

    def _recount(self) -> None:
        """Count what quotas count anew: a line for each miner whose count was wrong, and is right now."""
        wrong = storage_reconcile()
        for one in wrong:
            self.stdout.write(f"{one.miner}: {one.counted} bytes were counted, its pieces have {one.held}")
        if not wrong:
            self.stdout.write("all counts are right")

    def _commitment(self, file: Path) -> None:
        if not file.is_file() or not file.stat().st_size:
            raise CommandError(f"{file} is not a file, or is empty")
        size, found = file.stat().st_size, commitment_of(file.absolute())
        self.stdout.write(f"piece_cid: {found.cid}")
        self.stdout.write(f"piece_cid_v2: {sized_cid(SizedPiece(found.comm_p, size))}")
        self.stdout.write(f"padded_size: {found.padded_size}")
        self.stdout.write(f"payload_size: {size}")
