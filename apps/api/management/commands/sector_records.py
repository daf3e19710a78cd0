"""`manage.py sector_records`: what sectors are made of, for and from other sealers."""

from __future__ import annotations

import json
import re
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import BaseCommand, CommandError

from apps.api.management.caller import COMMAND
from apps.core.errors import DomainError
from apps.miners.selectors.miners import miner_get
from apps.moves.selectors.lotus_metadata import lotus_snapshot, snapshot_require
from apps.sectors.selectors.sector_records import record_of
from apps.sectors.selectors.sectors import sectors_listed
from apps.sectors.services.adoptions.records import RECORDS_MAX, records_import

if TYPE_CHECKING:
    from apps.miners.models import Miner

NO_SPACE: Final = re.compile(r"\S")


class Command(BaseCommand):
    """Write a record on each line; read such lines."""

    help = (
        "export f01000 > FILE; import FILE [--miner f01000] [--dry-run]: records of damocles or lotus, one "
        "after another or in lists, `-` is the standard input; "
        "lotus f01000 --to FILE [--all]: a snapshot for `lotus-shed datastore import … /metadata FILE`"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("act", choices=["export", "import", "lotus"])
        parser.add_argument("what", help="address of the miner; for import: the file")
        parser.add_argument(
            "--miner", help="for import: the miner of records that name none, as lotus' SectorInfo"
        )
        parser.add_argument("--to", type=Path, help="for lotus: the output file")
        parser.add_argument(
            "--all",
            action="store_true",
            help="for lotus: include every proving sector, also those that lotus-miner itself sealed",
        )
        parser.add_argument(
            "--early",
            action="store_true",
            help=(
                "for lotus: write it although the pool still makes blocks or assigns numbers; "
                "for a trial import only"
            ),
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="for import: only show what would be imported"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Export or import."""
        try:
            if options["act"] == "export":
                self._export(options["what"])
                return
            if options["act"] == "lotus":
                self._lotus(options["what"], options["to"], is_all=options["all"], is_early=options["early"])
                return
            miner = miner_get(COMMAND, options["miner"]) if options["miner"] else None
            self._import(options["what"], is_trial=options["dry_run"], miner=miner)
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None

    def _export(self, address: str) -> None:
        miner, before = miner_get(COMMAND, address), None
        while True:
            rows = list(sectors_listed(COMMAND, before=before).filter(miner=miner)[:RECORDS_MAX])
            for row in rows:
                self.stdout.write(json.dumps(record_of(row)))
            if len(rows) < RECORDS_MAX:
                return
            before = rows[-1].pk

    def _lotus(self, address: str, file: Path | None, *, is_all: bool, is_early: bool) -> None:
        miner = miner_get(COMMAND, address)
        if file is None:
            raise CommandError("name the file: --to FILE")
        if not is_early:
            snapshot_require(miner, by=COMMAND)
        count = 0
        try:
            with file.open("xb") as out:
                for entry in lotus_snapshot(miner, is_all=is_all):
                    count += 1
                    out.write(entry)
        except OSError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{count} entries of {miner} written to {file}")

    def _import(self, name: str, *, is_trial: bool, miner: Miner | None) -> None:
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
            records = records_split(text)
        except (OSError, ValueError) as error:
            raise CommandError(f"{name}: {error}") from None
        for at in range(0, len(records), RECORDS_MAX):
            part = records[at : at + RECORDS_MAX]
            for done in records_import(part, by=COMMAND, is_trial=is_trial, miner=miner):
                outcome = done.refusal or ", ".join(done.filled) or "nothing new"
                self.stdout.write(f"f0{done.miner_id} {done.number}: {outcome}")


def records_split(text: str) -> list[Any]:
    """Return the documents of a file, on one line each or on several, those of a list by themselves.

    Raises ValueError.
    """
    found: list[Any] = []
    at, read = 0, json.JSONDecoder().raw_decode
    while (begin := NO_SPACE.search(text, at)) is not None:  # without a copy of the rest for each document
        document, at = read(text, begin.start())
        found += document if isinstance(document, list) else [document]
    return found
