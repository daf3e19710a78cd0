"""What a chain's file keeps from its genesis on: network, profile, keys, the first tipset."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from poolsite.devnet.profile import Profile
from poolsite.devnet.store_rows import BlockRow, TipsetRow, TipsetWrite
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.keys import KEY_BLS, key_export, key_generate, key_import
from poolsite.filecoin.policy import network_by_name
from poolsite.filecoin.tipset import tipset_key_to_cbor

if TYPE_CHECKING:
    from poolsite.devnet.genesis_bundle import GenesisBundle
    from poolsite.devnet.state.tables import State
    from poolsite.devnet.store import Store
    from poolsite.filecoin.keys import KeyInfo
    from poolsite.filecoin.policy import Network
    from poolsite.filecoin.tipset import Tipset


class BrokenChain(Exception):
    """A file whose chain does not follow from its blocks, or a chain that cannot move."""


def network_named(name: str) -> Network:
    """Return a network's row by short name (demo, test, soak, lotus-2k) or full name."""
    short = {
        "demo": "localnet-poolsite-demo",
        "test": "localnet-poolsite-test",
        "soak": "localnet-poolsite-soak",
        "lotus-2k": "localnet-poolsite-2k",
    }
    return network_by_name(short.get(name, name))


def settings_create(
    store: Store, network: str, profile: Profile | None, bundle: GenesisBundle | None
) -> bool:
    """Fix the settings of a chain that begins, or take those of `bundle`; return whether it begins."""
    is_new = store.meta("head") is None
    if is_new and bundle is not None:
        store.metas_put(bundle.metas())
    elif is_new:
        settings_write(store, network_named(network), profile or Profile())
    return is_new


def settings_write(store: Store, network: Network, profile: Profile) -> None:
    """Fix network and profile for the chain's life, and make its keys."""
    store.metas_put(
        {
            "network": network.name.encode(),
            "profile": profile.to_bytes(),
            "beacon": key_export(key_generate(KEY_BLS)).encode(),
            "miner": key_export(key_generate(KEY_BLS)).encode(),
            "secret": secrets.token_bytes(32),
        }
    )


def settings_read(store: Store) -> tuple[Network, Profile]:
    """Network and profile.  Raises BrokenChain."""
    name = meta_read(store, "network").decode()
    return network_by_name(name), Profile.from_bytes(meta_read(store, "profile"))


def key_read(store: Store, name: str) -> KeyInfo:
    """One of the chain's keys.  Raises BrokenChain."""
    return key_import(meta_read(store, name).decode())


def meta_read(store: Store, name: str) -> bytes:
    """Return a value that every file has.  Raises BrokenChain."""
    data = store.meta(name)
    if data is None:
        raise BrokenChain(f"the chain file has no {name}")
    return data


def genesis_store(store: Store, tipset: Tipset, state: State) -> None:
    """Store the first tipset as the head, its whole state as a snapshot."""
    header = tipset.blocks[0]
    row = TipsetRow(
        key=bytes(tipset.key),
        height=0,
        parents=b"",
        weight=0,
        root=header.parent_state_root.data,
        receipts_root=header.parent_message_receipts.data,
        next_base_fee=header.parent_base_fee,
    )
    write = TipsetWrite(
        row=row,
        changes=[],
        receipts=[],
        inclusions=[],
        senders=[],
        objects=[(tipset.key.cid.data, tipset_key_to_cbor(tipset.key))],
        snapshot=state.rows(),
    )
    block = BlockRow(header.cid.data, 0, b"", to_cbor(header), b"", b"")
    store.tipset_put(write, head=True, block=(block, []))
