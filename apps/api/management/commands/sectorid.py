"""`manage.py sectorid`: hand sector numbers over to filguard's allocator by its file, and take them back."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.api.management.caller import COMMAND
from apps.chain.node.client import chain_client
from apps.core import clock
from apps.core.errors import DomainError
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.selectors.miners import miner_get
from apps.sectors.services.reservations import sectorid_export, sectorid_import


class Command(BaseCommand):
    """Write or read `$LOTUS_STORAGE_PATH/sectorid`, which holds one number."""

    help = (
        "export: write the file and stop allocating numbers here; import: continue after the file's number."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments: export or import, the miner and the file."""
        parser.add_argument("way", choices=["export", "import"])
        parser.add_argument("--miner", required=True, help="address of the miner, such as f01000")
        parser.add_argument("file", type=Path)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it; a file that is there already is not written over."""
        file: Path = options["file"]
        try:
            miner = miner_get(COMMAND, options["miner"])
            if options["way"] == "export":
                allocated = numbers_allocated(chain_client(), miner.address)
                if file.exists() and file.read_text().strip():
                    raise CommandError(f"{file} already exists: it may hold the number of another miner")
                file.touch()  # before the export: numbers leave the pool only once they can be written
                number = sectorid_export(miner, principal=COMMAND, now=clock.now(), allocated=allocated)
                file.write_text(f"{number}\n")
                self.stdout.write(f"{file} holds {number}; the pool no longer allocates numbers of {miner}")
                return
            text = file.read_text().strip()
            if not text.isascii() or not text.isdigit():
                raise CommandError(f"{file} does not hold a number")
            following = sectorid_import(miner, number=int(text), principal=COMMAND)
            self.stdout.write(f"the next number of {miner} is {following}")
        except OSError as error:
            raise CommandError(str(error)) from None
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None
