"""The verb `sign-file`: a person signs what a pool exported, by this folder's keys or by a Ledger."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from poolsite.filecoin.message import SignedMessage, signed_message_to_json
from poolsite.private_files import private_write
from workers.signer.errors import SignerError
from workers.signer.ledger import ledger_opened, path_parse
from workers.signer.offline_file import message_lines, offline_read
from workers.signer.signer_folder import opened

if TYPE_CHECKING:
    import argparse

    from poolsite.filecoin.signature import Signature
    from workers.signer.ledger import Ledger
    from workers.signer.sign_request import SignRequest
    from workers.signer.signing import Signer

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
