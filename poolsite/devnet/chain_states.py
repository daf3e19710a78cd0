"""States after tipsets: kept in memory, or made again from a snapshot and the changes since."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from poolsite.devnet.executed_tipset import NoTipset
from poolsite.devnet.state.tables import EMPTY_STATE, State, state_changed
from poolsite.devnet.store_rows import row_decode
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.tipset import TipsetKey, tipset_key_from_bytes

if TYPE_CHECKING:
    from poolsite.devnet.state.tables import Key
    from poolsite.devnet.store import Store


class ChainStates:
    """The states of a chain; reads are safe from any thread."""

    def __init__(self, store: Store, *, limit: int) -> None:
        self.store, self.limit = store, limit
        self._states: OrderedDict[bytes, State] = OrderedDict()
        self._lock = threading.Lock()

    def after(self, key: TipsetKey) -> State:
        """Return the state after executing a tipset.  Raises NoTipset."""
        pending: list[bytes] = []
        data = bytes(key)
        while True:
            with self._lock:
                state = self._states.get(data)
            rows = [] if state is not None else self.store.snapshot(data)
            if rows is not None:
                break
            row = self.store.tipset(data)
            if row is None:
                raise NoTipset(first_unknown(self.store, tipset_key_from_bytes(data)))
            pending.append(data)
            data = row.parents
        if rows or pending or state is None:
            steps = (self.store.changes(step) for step in reversed(pending))
            state = state_changed(state or EMPTY_STATE, _newest(rows, *steps))
        self.cache(bytes(key), state)
        return state

    def cache(self, key: bytes, state: State) -> None:
        """Cache a state that will soon be read."""
        with self._lock:
            self._states[key] = state
            self._states.move_to_end(key)
            while len(self._states) > self.limit:
                self._states.popitem(last=False)


def first_unknown(store: Store, key: TipsetKey) -> Cid:
    """Return the first block of a tipset that is not stored."""
    for cid in key.cids:
        if store.block(cid.data) is None:
            return cid
    return key.cids[0] if key.cids else Cid(b"")


def _newest(
    *steps: list[tuple[str, Key, bytes | None]],
) -> dict[str, dict[Key, tuple[object, bytes] | None]]:
    """Return the last form of each row that the steps change: only that one is decoded."""
    last: dict[str, dict[Key, bytes | None]] = {}
    for rows in steps:
        for table, key, data in rows:
            last.setdefault(table, {})[key] = data
    return {
        table: {
            key: None if data is None else (row_decode(table, key, data), data) for key, data in rows.items()
        }
        for table, rows in last.items()
    }
