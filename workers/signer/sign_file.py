"""The verb `sign-file`: a person signs what a pool exported, by this folder's keys or by a Ledger."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poolsite.filecoin.actors.decode import params_display
from poolsite.filecoin.address import BLS, SECP256K1
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.cids import BadCid, cid_from_json
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import (
    Message,
    SignedMessage,
    message_from_json,
    message_to_cbor,
    signed_message_to_json,
)
from poolsite.private_files import private_write
from poolsite.wire.offline_files import FORMAT, BadFrames, document_read
from workers.signer.errors import SignerError
from workers.signer.ledger import ledger_opened, path_parse
from workers.signer.message_payloads import message_request
from workers.signer.signer_folder import opened

if TYPE_CHECKING:
    from poolsite.filecoin.signature import Signature
    from workers.signer.ledger import Ledger
    from workers.signer.sign_request import SignRequest
    from workers.signer.signing import Signer


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


Sign = Callable[["SignRequest"], "Signature"]
"""Signs what a person agreed to.  Raises SignerError."""


def sign_file_options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("file", type=Path, help="exported file, or the texts of its QR codes, one a line")
    parser.add_argument("--output", type=Path, help="file for the signatures; default: FILE.signed.json")
    parser.add_argument("--ledger", action="store_true", help="sign by a Ledger with the Filecoin app")
    parser.add_argument(
        "--ledger-path",
        default="",
        help="its key, as m/44'/461'/0'/0/0; default: looked for as lotus makes them",
    )
    parser.add_argument("--ledger-at", default="", metavar="HOST:PORT", help="an emulator instead of USB")


def sign_file(options: argparse.Namespace) -> str:
    """Show exported messages, ask for each, and write a file with the signatures."""
    messages = offline_read(options.file.read_text(errors="replace"))
    output: Path = options.output or options.file.with_suffix(".signed.json")
    if output.resolve() == options.file.resolve():
        raise SignerError("the signatures need a file of their own")
    signed: list[SignedMessage] = []
    with ExitStack() as stack:
        sign, warn = _way_of(options, stack)
        for at, one in enumerate(messages, 1):
            say(f"Message {at} of {len(messages)}")
            try:
                request = one.request
                for line in (*message_lines(one, request), *warn(request)):
                    say(line)
                if not is_agreed("Sign it? [y/N] "):
                    say("  not signed")
                    continue
                signature = sign(request)
            except SignerError as error:
                say(f"  not signed: {error}")
                continue
            signed.append(SignedMessage(one.message, signature))
            # After each, so that whoever stops in the middle has what was signed.
            document = {"Messages": [signed_message_to_json(row) for row in signed]}
            private_write(output, json.dumps(document, indent=1) + "\n")
            say("  signed")
    if not signed:
        raise SignerError("nothing was signed")
    return f"{len(signed)} of {len(messages)} messages signed: import {output} on page Offline signing"


def _way_of(
    options: argparse.Namespace, stack: ExitStack
) -> tuple[Sign, Callable[[SignRequest], tuple[str, ...]]]:
    """Open what signs; with it goes what a person should know of a message before."""
    if options.ledger or options.ledger_at:
        ledger = stack.enter_context(ledger_opened(options.ledger_at))
        version = ledger.version()
        if version.is_test and not options.ledger_at:
            raise SignerError("the app on the device is built for tests: everybody knows its keys")
        say(f"Filecoin app {version}: it shows each message too; compare, and approve it there")
        return _ledger_way(ledger, options.ledger_path), lambda _request: ()
    signer = opened(options)
    stack.callback(signer.close)
    return (
        lambda request: signer.sign_by_hand(request, caller=f"command line {getpass.getuser()}"),
        lambda request: nonce_warning(signer, request),
    )


def _ledger_way(ledger: Ledger, path: str) -> Sign:
    def sign(request: SignRequest) -> Signature:
        at = path_parse(path) if path else ledger.path_of(request.address)
        if path and (found := ledger.address(at)) != request.address:
            raise SignerError(f"{path} is {found}, not {request.address}")
        return ledger.sign(at, address=request.address, message=request.raw, payload=request.payload)

    return sign


def nonce_warning(signer: Signer, request: SignRequest) -> tuple[str, ...]:
    """Return that another message has this nonce, signed here before: only one of both can land."""
    others = signer.nonce_signed(request)
    return tuple(f"  NOTE        nonce {request.nonce} was signed for {cid} too" for cid in others)


def say(text: str) -> None:
    """Write a line to the person, beside the answer of the command.

    What moves a terminal's cursor, or turns words around, is shown: a file could hide what is signed by it.
    """
    shown = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
    print(shown, file=sys.stderr)  # noqa: T201  # a command line's questions


def is_agreed(question: str) -> bool:
    """Return whether the person says yes; the end of the input is a no."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
