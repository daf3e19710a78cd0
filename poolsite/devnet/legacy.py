"""What a chain was born with, handed to a node that follows it: genesis and the beacon's key."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poolsite.devnet.state.tables import EMPTY_STATE, State, state_changed
from poolsite.devnet.store import changes_decode, changes_encode, row_decode
from poolsite.filecoin.block import tipset_from_json, tipset_to_json
from poolsite.filecoin.keys import KEY_BLS, key_export, key_generate

if TYPE_CHECKING:
    from poolsite.devnet.state.tables import Key
    from poolsite.filecoin.block import Tipset


@dataclass(frozen=True, slots=True)
class Legacy:
    """The beginning of a chain."""

    network: str
    profile: bytes
    beacon: str
    """Key of the devnet's beacon, exported: every node must be able to make its values."""
    tipset: Tipset
    state: State

    def metas(self) -> dict[str, bytes]:
        """The named values of a follower's file; its own miner's key wins nothing."""
        return {
            "network": self.network.encode(),
            "profile": self.profile,
            "beacon": self.beacon.encode(),
            "miner": key_export(key_generate(KEY_BLS)).encode(),
            "secret": secrets.token_bytes(32),
        }


def legacy_to_json(legacy: Legacy) -> dict[str, Any]:
    """The form in which `Devnet.Legacy` answers."""
    return {
        "Network": legacy.network,
        "Profile": legacy.profile.decode(),
        "Beacon": legacy.beacon,
        "Genesis": tipset_to_json(legacy.tipset),
        "Rows": base64.b64encode(changes_encode(legacy.state.rows())).decode(),
    }


def legacy_from_json(value: Any) -> Legacy:
    """Read what `legacy_to_json` wrote."""
    rows: dict[str, dict[Key, tuple[object, bytes] | None]] = {}
    for table, key, data in changes_decode(base64.b64decode(value["Rows"])):
        if data is not None:
            rows.setdefault(table, {})[key] = (row_decode(table, key, data), data)
    return Legacy(
        network=value["Network"],
        profile=value["Profile"].encode(),
        beacon=value["Beacon"],
        tipset=tipset_from_json(value["Genesis"]),
        state=state_changed(EMPTY_STATE, rows),
    )
