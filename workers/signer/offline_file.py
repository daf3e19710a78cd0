"""Messages that a pool exported to be signed here: read, compared with their CIDs, put into words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poolsite.filecoin.actors.decode import params_display
from poolsite.filecoin.address import BLS, SECP256K1
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.cids import BadCid, cid_from_json
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import Message, message_from_json, message_to_cbor
from poolsite.wire.offline_files import FORMAT, BadFrames, document_read
from workers.signer.errors import SignerError
from workers.signer.message_payloads import message_request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workers.signer.sign_request import SignRequest


@dataclass(frozen=True, slots=True)
class OfflineMessage:
    """One exported message."""

    id: str
    """How its pool calls it."""
    message: Message
    network: str
    expires: str
    """When the pool asks what became of it; empty if the file does not say."""

    @property
    def request(self) -> SignRequest:
        """Return what it is and costs.  Raises NotUnderstood."""
        message = self.message
        return message_request(message, message.from_, raw=message_to_cbor(message), payload=message.cid.data)


def offline_read(text: str) -> list[OfflineMessage]:
    """Return the messages of an exported file, or of its QR codes.  Raises SignerError naming the entry."""
    try:
        document = document_read(text)
    except BadFrames as error:
        raise SignerError(str(error)) from None
    if not isinstance(document, dict) or document.get("Format") != FORMAT:
        raise SignerError(f"this is no file of messages to be signed: its Format is not {FORMAT}")
    entries = document.get("Messages")
    if not isinstance(entries, list) or not entries:
        raise SignerError("the file has no messages")
    return [_entry(one, at, str(document.get("Network", ""))) for at, one in enumerate(entries, 1)]


def _entry(entry: Any, at: int, network: str) -> OfflineMessage:
    try:
        message, cid = message_from_json(entry["Message"]), cid_from_json(entry["CID"])
        sign_bytes = bytes.fromhex(entry["SignBytes"])
    except (BadCid, BadField, KeyError, TypeError, ValueError) as error:
        raise SignerError(f"message {at} cannot be read: {error}") from None
    if message.cid != cid or message.cid.data != sign_bytes:
        raise SignerError(f"message {at} has another CID than the file says: it was changed on its way")
    if message.from_.protocol not in (SECP256K1, BLS):
        raise SignerError(f"message {at} is from {message.from_}: only f1 and f3 keys sign offline")
    return OfflineMessage(str(entry.get("Id", "")), message, network, str(entry.get("ExpiresAt", "")))


def message_lines(one: OfflineMessage, request: SignRequest) -> Iterable[str]:
    """Yield a message in words, each line a name and a value."""
    message = one.message
    readings = " or ".join(request.readings)
    kind = request.readings[0].partition(".")[0] if "." in request.readings[0] else ""
    yield f"  id          {one.id!r} of {one.network or 'a network that the file does not name'}"
    yield f"  from        {message.from_}"
    yield f"  to          {message.to}"
    yield f"  value       {fil_format(message.value)}"
    yield f"  method      {readings} ({message.method})"
    if message.params:
        shown = params_display(kind, message.method, message.params)
        # A transfer may carry bytes that no actor reads: they are shown all the same.
        yield f"  parameters  {json.dumps(message.params.hex() if shown is None else shown, default=str)}"
    if request.about:
        yield f"  moves       {request.about}"
    if request.value != message.value:
        yield f"  in all      {fil_format(request.value)}"
    yield f"  nonce       {message.nonce}"
    yield f"  gas, most   {fil_format(request.fee_max)}"
    yield f"  CID         {message.cid}"
    if one.expires:
        yield f"  expires     {one.expires}"
