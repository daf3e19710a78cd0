"""How a signer says that it cannot sign now, whatever its policy says: another one with the key may."""

from __future__ import annotations

from typing import Final

UNABLE_FIELD: Final = "Unable"
"""Of the answer, beside `Error`; sophon-gateway does not know it and passes over it."""
UNABLE_TEXTS: Final = frozenset({"wallet locked", "password not set", "record not found"})
"""What venus-wallet says instead.  Source: filecoin-project/venus-wallet."""
