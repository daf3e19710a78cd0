"""The genesis of a chain, for a node that follows it: network, profile, first tipset and the beacon's key."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poolsite.devnet.state.tables import EMPTY_STATE, State, state_changed
from poolsite.devnet.store_rows import changes_decode, changes_encode, row_decode
from poolsite.filecoin.keys import KEY_BLS, key_export, key_generate
from poolsite.filecoin.tipset import tipset_from_json, tipset_to_json

if TYPE_CHECKING:
    from poolsite.devnet.state.tables import Key
    from poolsite.filecoin.tipset import Tipset


@dataclass(frozen=True, slots=True)
class GenesisBundle:
    """The beginning of a chain."""

    network: str
    profile: bytes
    beacon: str
    """Key of the devnet's beacon, exported: every node must be able to make its values."""
    tipset: Tipset
    state: State

    def metas(self) -> dict[str, bytes]:
        """Return the named values of a follower's file; its own miner's key wins nothing."""
        return {
            "network": self.network.encode(),
            "profile": self.profile,
            "beacon": self.beacon.encode(),
            "miner": key_export(key_generate(KEY_BLS)).encode(),
            "secret": secrets.token_bytes(32),
        }


def bundle_to_json(bundle: GenesisBundle) -> dict[str, Any]:
    """Return the form in which `Devnet.GenesisBundle` answers."""
    return {
        "Network": bundle.network,
        "Profile": bundle.profile.decode(),
        "Beacon": bundle.beacon,
        "Genesis": tipset_to_json(bundle.tipset),
        "Rows": base64.b64encode(changes_encode(bundle.state.rows())).decode(),
    }


def bundle_from_json(value: Any) -> GenesisBundle:
    """Read what `bundle_to_json` wrote."""
    rows: dict[str, dict[Key, tuple[object, bytes] | None]] = {}
    for table, key, data in changes_decode(base64.b64decode(value["Rows"])):
        if data is not None:
            rows.setdefault(table, {})[key] = (row_decode(table, key, data), data)
    return GenesisBundle(
        network=value["Network"],
        profile=value["Profile"].encode(),
        beacon=value["Beacon"],
        tipset=tipset_from_json(value["Genesis"]),
        state=state_changed(EMPTY_STATE, rows),
    )
