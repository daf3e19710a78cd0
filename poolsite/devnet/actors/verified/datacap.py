"""Data cap: how much verified data each client may still have stored, as a token.

Source: builtin-actors actors/datacap/src/lib.rs; FIP-0045.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.exits import bad_argument
from poolsite.devnet.actors.ledger import resolve_existing
from poolsite.devnet.state.rows import DATACAPS, DataCap

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.tables import Draft, State
    from poolsite.filecoin.address import Address


def datacap_of(state: Draft | State, holder: int) -> int:
    """Give the data cap of a client in token units."""
    row: DataCap | None = state.get(DATACAPS, holder)
    return 0 if row is None else row.amount


def datacap_change(draft: Draft, holder: int, amount: int) -> int:
    """Add to a client's data cap, or take from it; gives what there is then."""
    left = datacap_of(draft, holder) + amount
    if left:
        draft.put(DATACAPS, holder, DataCap(left))
    else:
        draft.delete(DATACAPS, holder)
    return left


def holder_of(call: Call, address: Address) -> int:
    """The actor that an address names.  Raises ActorError 16."""
    found = resolve_existing(call.draft, address)
    if found is None:
        raise bad_argument(f"failed to resolve address {address}")
    return found
