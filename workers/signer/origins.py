"""One nonce for one message: what was signed under an id is not signed with another nonce.

A console whose database was restored from a backup does not know what it had signed since, and would pay
again under a fresh nonce.  The records know.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin.actors.decode import params_alike
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.message import message_from_cbor
from poolsite.wire.origins import IdFound, IdsFound, Origin
from workers.signer.errors import Denied

if TYPE_CHECKING:
    from poolsite.filecoin.message import Message
    from workers.signer.sign_request import SignRequest

VERSIONS_MAX: Final = 20
"""Versions of one message that a refusal carries: those of the last nonce, newest first."""

ORIGIN_COLUMNS: Final = ("pool", "message", "account", "kind", "selection", "step", "dead")
"""Columns of `record` that say which message a signature is for; rows without are hashed without them."""

SIGNED: Final = """
SELECT raw, selection, step FROM record INDEXED BY record_message
WHERE message = ? AND pool = ? AND account = ? AND address = ? AND error = '' AND message != ''
ORDER BY seq DESC LIMIT ?
"""
KNOWN: Final = """
SELECT message, account, kind FROM record INDEXED BY record_cid
WHERE cid = ? AND pool = ? AND error = '' AND message != '' ORDER BY seq DESC LIMIT 1
"""


class SignedBefore(Denied):
    """The id was signed with another nonce, or as another message."""

    def __init__(self, id: str, signed: tuple[bytes, ...], *, nonce: int) -> None:
        super().__init__(f"message {id} was already signed with nonce {nonce}")
        self.signed = signed
        """In CBOR: the versions that were signed with the last nonce, newest first."""


def origin_columns(origin: Origin | None) -> dict[str, Any]:
    """Return what a record keeps."""
    if origin is None:
        return dict.fromkeys(ORIGIN_COLUMNS, "")
    return {
        "pool": origin.pool,
        "message": origin.id,
        "account": origin.account,
        "kind": origin.kind,
        "selection": origin.selection,
        "step": str(origin.step),
        "dead": " ".join(map(str, origin.dead)),
    }


def origin_check(link: sqlite3.Connection, request: SignRequest, origin: Origin | None) -> None:
    """Raise SignedBefore if this is a second nonce for an id, or other content under it.

    Allowed are the same message again, with the same nonce another fee or, after an upgrade, another form of
    its parameters; another nonce within one selection, and one after a nonce that the console knows to be
    used by another message.
    """
    if origin is None or not origin.id:
        return
    key = (origin.id, origin.pool, origin.account, str(request.address), VERSIONS_MAX)
    rows = link.execute(SIGNED, key).fetchall()
    if not rows:
        return
    last, wanted = message_from_cbor(rows[0]["raw"]), message_from_cbor(request.raw)
    if _is_same(last, wanted):
        return
    if _is_same(replace(last, nonce=wanted.nonce), wanted):
        is_same_selection = bool(origin.selection) and rows[0]["selection"] == origin.selection
        if last.nonce in origin.dead or (is_same_selection and origin.step > int(rows[0]["step"])):
            return
    versions = [row["raw"] for row in rows if message_from_cbor(row["raw"]).nonce == last.nonce]
    raise SignedBefore(origin.id, tuple(dict.fromkeys(versions)), nonce=last.nonce)


def ids_find(link: sqlite3.Connection, *, pool: str, cids: Iterable[str]) -> IdsFound:
    """Return the ids under which messages were signed for a pool."""
    found = []
    for cid in cids:
        row = link.execute(KNOWN, (cid, pool)).fetchone()
        if row is not None:
            found.append(IdFound(cid=cid, id=row["message"], account=row["account"], kind=row["kind"]))
    return IdsFound(found=tuple(found))


def _is_same(one: Message, other: Message) -> bool:
    """Return whether two messages differ in nothing but fees, and the form of their parameters."""
    return _bare(one) == _bare(other) and params_alike(one.to, one.method, one.params, other.params)


def _bare(message: Message) -> Message:
    return replace(message, gas_limit=0, gas_fee_cap=AttoFil(0), gas_premium=AttoFil(0), params=b"")
