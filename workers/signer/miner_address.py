"""A miner as messages, blocks and policies name it."""

from __future__ import annotations

from poolsite.filecoin.address import ID, Address, BadAddress, address_parse
from workers.signer.errors import SignerError


def miner_parse(text: str) -> Address:
    """Read the option `--miner`.  Raises SignerError for all but an ID address: nothing else ever matches."""
    try:
        miner = address_parse(text)
    except BadAddress as error:
        raise SignerError(f"--miner: {error}") from None
    if miner.protocol != ID:
        raise SignerError(
            f"--miner: {miner} would never match: messages and blocks name a miner by its ID address, f0…"
        )
    return miner
