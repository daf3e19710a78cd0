"""Where clients reach the node that takes a miner's deals, as the chain announces it: read and written."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from poolsite.filecoin.actors.miner_control import ChangeMultiaddrsParams, ChangePeerIDParams
from poolsite.filecoin.multiaddr import (
    MULTIADDRS_MAX_BYTES,
    BadMultiaddr,
    base58_encode,
    multiaddr_decode,
    multiaddr_encode,
    multiaddr_parse,
    multiaddr_text,
    peer_id_parse,
)


def multiaddr_shown(data: bytes) -> str:
    """Return a multiaddress of the chain; in hexadecimal what is none that is known here."""
    try:
        return multiaddr_text(multiaddr_decode(data))
    except BadMultiaddr:
        return data.hex()


def multiaddrs_named(encoded: Sequence[str] | None) -> tuple[str, ...]:
    """Return the multiaddresses that a node gave in base64."""
    return tuple(multiaddr_shown(base64.b64decode(one)) for one in encoded or ())


def multiaddrs_text(texts: Sequence[str]) -> str:
    """Return multiaddresses in words."""
    return gettext("multiaddresses: {named}").format(named=", ".join(texts) or gettext("none"))


def peer_text(peer_id: str) -> str:
    """Return a peer id in words."""
    return gettext("peer id {peer_id}").format(peer_id=peer_id or gettext("none"))


def multiaddrs_change_text(params: ChangeMultiaddrsParams) -> str:
    """Return what a message announces."""
    return multiaddrs_text([multiaddr_shown(one) for one in params.new_multiaddrs])


def peer_change_text(params: ChangePeerIDParams) -> str:
    """Return what a message announces."""
    return peer_text(base58_encode(params.new_id))


def multiaddrs_change(texts: Sequence[str] | None) -> ChangeMultiaddrsParams:
    """Return the parameters that announce these multiaddresses and no others.  Raises BadValue."""
    if texts is None:
        reason = gettext("required; an empty list removes all multiaddresses")
        raise BadValue(reason, field="addresses")
    try:
        found = tuple(multiaddr_encode(multiaddr_parse(text)) for text in texts)
    except BadMultiaddr as error:
        raise BadValue(str(error)[:500], field="addresses") from None
    if sum(map(len, found)) > MULTIADDRS_MAX_BYTES:
        reason = gettext("the chain accepts at most {most} bytes of multiaddresses").format(
            most=MULTIADDRS_MAX_BYTES
        )
        raise BadValue(reason, field="addresses")
    return ChangeMultiaddrsParams(found)


def peer_change(texts: Sequence[str] | None) -> ChangePeerIDParams:
    """Return the parameters that announce this peer id.  Raises BadValue."""
    if texts is None or len(texts) != 1:
        raise BadValue(gettext("give exactly one peer id"), field="addresses")
    try:
        return ChangePeerIDParams(peer_id_parse(texts[0]))
    except BadMultiaddr as error:
        raise BadValue(str(error)[:500], field="addresses") from None
