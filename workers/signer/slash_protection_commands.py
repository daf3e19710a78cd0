"""The verb `heights`: which blocks were signed, heights that are closed, and the way out on a new chain."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from workers.signer.errors import SignerError
from workers.signer.miner_address import miner_parse
from workers.signer.records import Records
from workers.signer.slash_protection import heights_signed

HEIGHTS: Final = 2**63
"""Heights are signed numbers of 64 bits."""


def heights_options(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--miner", default="", help="only this miner, for example f01234")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument(
        "--close", type=int, metavar="HEIGHT", help="sign no blocks up to HEIGHT; -1 undoes it"
    )
    parser.add_argument(
        "--forget", action="store_true", help="forget its signed blocks, as its chain was discarded"
    )
    parser.add_argument("--by", default="", help="who decided this, for the records")


def heights(folder: Path, options: Namespace) -> str:
    """Carry out the verb.  Raises SignerError."""
    records = Records(folder / "records.sqlite")
    try:
        miner = miner_parse(options.miner) if options.miner else None
        if options.close is None and not options.forget:
            rows = heights_signed(records.link, miner=str(miner or ""), limit=options.limit)
            lines = [f"{row['miner']} {row['height']} {row['header']} {row['at'][:19]}" for row in rows]
            return "\n".join(lines) or "no blocks were signed"
        if miner is None or not options.by or (options.forget and options.close is not None):
            raise SignerError("pass --miner, --by and either --close or --forget")
        if options.close is not None and not -1 <= options.close < HEIGHTS:
            raise SignerError(f"{options.close} is not a valid height")
        records.mark(miner, closed=options.close, by=options.by, now=datetime.now(UTC))
    finally:
        records.close()
    return "success"
