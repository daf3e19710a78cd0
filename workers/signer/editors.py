"""Who may change the policy through a console: names with a code each, which the console never learns."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from pathlib import Path
from typing import Final

from poolsite.private_files import locked, private_write
from poolsite.wire.policy import change_signature
from workers.signer.errors import SignerError

FILE: Final = "editors.json"
CODE_BYTES: Final = 20
NAME_MAX: Final = 60


class NotAnEditor(SignerError):
    """The change has no signature of an editor."""


def editors_read(folder: Path) -> dict[str, str]:
    """Return the codes by name; nobody where there is no file.  Raises SignerError for a damaged one."""
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
    except ValueError:
        raise SignerError(f"{path} is damaged") from None
    if not isinstance(found, dict) or not all(isinstance(code, str) and code for code in found.values()):
        raise SignerError(f"{path} is damaged")
    return found


def editor_add(folder: Path, name: str) -> str:
    """Allow policy changes through a console; returns the editor's approval code.  Raises SignerError."""
    if not name or len(name) > NAME_MAX or not name.isprintable():
        raise SignerError(f"an editor's name must have 1 to {NAME_MAX} printable characters")
    with locked(folder / "editors.lock"):
        editors = editors_read(folder)
        if name in editors:
            raise SignerError(f"editor '{name}' already exists: remove it first")
        code = base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode().lower()
        private_write(folder / FILE, json.dumps({**editors, name: code}, indent=1) + "\n")
    return code


def editor_remove(folder: Path, name: str) -> None:
    """Revoke that.  Raises SignerError if there is no such editor."""
    with locked(folder / "editors.lock"):
        editors = editors_read(folder)
        if editors.pop(name, None) is None:
            raise SignerError(f"there is no editor '{name}'")
        private_write(folder / FILE, json.dumps(editors, indent=1) + "\n")


def signature_check(folder: Path, *, editor: str, change: str, signature: str) -> None:
    """Compare a signature with the editor's code.  Raises NotAnEditor."""
    editors = editors_read(folder)
    if not editors:
        raise NotAnEditor(
            "this signer accepts no changes from a console: allow them with `policy --editor NAME`"
        )
    code = editors.get(editor)
    if code is None:
        raise NotAnEditor(f"'{editor[:NAME_MAX]}' is not an editor of this signer's policy")
    if not hmac.compare_digest(change_signature(code, change).encode(), signature.strip().encode()):
        raise NotAnEditor(
            "the signature does not match this change: wrong code, or the policy changed in the meantime"
        )
