"""The file of messages that are signed offline, and of their signatures: JSON with lotus' members.

Source: lotus chain/types/signedmessage.go; cmd/lotus `wallet sign` writes a signature as hexadecimal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.messages.models import Message
from apps.messages.states import EXPORT_WITHIN
from poolsite.filecoin.cids import BadCid, Cid, cid_from_json, cid_parse, cid_to_json
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import message_to_json, signed_message_from_json
from poolsite.filecoin.signature import Signature
from poolsite.wire.offline_files import FORMAT

ENTRIES_MAX: Final = 500
"""Signatures in one file: as many messages as one sender may export at once."""


@dataclass(frozen=True, slots=True)
class OfflineSignature:
    """A signature that was made offline, and the message that it is for."""

    cid: Cid
    """CID of the unsigned message."""
    signature: Signature


def unsigned_entry(row: Message) -> dict[str, Any]:
    """Return one exported message: what is signed, and what a person compares."""
    message = row.chain_message()
    return {
        "Id": row.push_id,
        "Message": message_to_json(message),
        "CID": cid_to_json(message.cid),
        "SignBytes": message.cid.data.hex(),
        "ExportedAt": "" if row.exported_at is None else row.exported_at.isoformat(),
        "ExpiresAt": "" if row.exported_at is None else (row.exported_at + EXPORT_WITHIN).isoformat(),
    }


def unsigned_file(rows: Sequence[Message], *, network: str) -> dict[str, Any]:
    """Return the file of exported messages, in the order of their nonces."""
    return {"Format": FORMAT, "Network": network, "Messages": [unsigned_entry(row) for row in rows]}


def signatures_read(text: str) -> list[OfflineSignature]:
    """Return the signatures of a file or a pasted text: JSON documents, or lines of CID and hexadecimal.

    Raises BadValue naming the entry.
    """
    text = text.strip()
    if not text.startswith(("{", "[")):
        pairs = [line.split() for line in text.splitlines() if line.strip()]
        if any(len(pair) != 2 for pair in pairs):  # CID and signature
            raise BadValue(
                gettext("must be JSON, or a CID and a signature in hexadecimal in each line"),
                field="messages",
            )
        return signatures_parse([{"CID": cid, "Signature": signature} for cid, signature in pairs])
    entries: list[Any] = []
    decoder, at = json.JSONDecoder(), 0
    try:
        while at < len(text) and len(entries) <= ENTRIES_MAX:
            value, at = decoder.raw_decode(text, at)
            entries += value if isinstance(value, list) else _entries(value)
            while text[at : at + 1].isspace():
                at += 1
    except (ValueError, RecursionError) as error:
        raise BadValue(gettext("this is no JSON: {error}").format(error=error), field="messages") from None
    return signatures_parse(entries)


def _entries(value: Any) -> list[Any]:
    """Return what a document lists, or itself as the one entry."""
    listed = value.get("Messages", [value]) if isinstance(value, dict) else [value]
    return listed if isinstance(listed, list) else [listed]


def signatures_parse(value: Any) -> list[OfflineSignature]:
    """Return the signatures of a file: lotus' SignedMessage, one or a list, or `CID` with `Signature` in hex.

    Raises BadValue naming the entry.
    """
    entries = _entries(value) if isinstance(value, dict) else value
    if not isinstance(entries, list) or not entries:
        raise BadValue(gettext("must be a signed message, or a list of them"), field="messages")
    if len(entries) > ENTRIES_MAX:
        raise BadValue(gettext("at most {most} signatures").format(most=ENTRIES_MAX), field="messages")
    return [_entry(one, at) for at, one in enumerate(entries)]


def _entry(entry: Any, at: int) -> OfflineSignature:
    try:
        if isinstance(entry, dict) and isinstance(entry.get("Signature"), str):
            data = bytes.fromhex(entry["Signature"])
            cid = entry["CID"]
            parsed = cid_parse(cid) if isinstance(cid, str) else cid_from_json(cid)
            if parsed is None:
                raise BadCid("no CID")
            return OfflineSignature(parsed, Signature(data[0], data[1:]))
        signed = signed_message_from_json(entry)
        return OfflineSignature(signed.message.cid, signed.signature)
    except (BadCid, BadField, IndexError, KeyError, TypeError, ValueError) as error:
        raise BadValue(
            gettext("entry {number} is no signed message: {error}").format(number=at + 1, error=error),
            field="messages",
        ) from None
