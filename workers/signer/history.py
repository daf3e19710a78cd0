"""The versions of the policy: every text that was in force, who took it and when, signed and chained.

Each line holds an HMAC with the signer's own secret over itself and the line before.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from workers.signer.errors import SignerError

BY_HAND: Final = "(edited by hand)"
"""Who took a version that appeared in the file without `policy --take`."""


class HistoryBroken(SignerError):
    """A line was changed, taken out or added by somebody without the secret."""


@dataclass(frozen=True, slots=True)
class Version:
    """One text that was in force."""

    at: str
    by: str
    digest: str
    """As records name it."""
    text: str
    mac: str
    """HMAC over the line before and this one."""


class History:
    """The file; it only grows."""

    def __init__(self, path: Path, *, secret: bytes) -> None:
        self.path = path
        self.secret = secret

    def versions(self) -> list[Version]:
        """Return all versions, the oldest first.  Raises HistoryBroken."""
        found: list[Version] = []
        for number, line in enumerate(self.whole_lines().splitlines(), 1):
            try:
                fields = json.loads(line)
                if "seal" in fields:  # the member's name in lines of older signers
                    fields["mac"] = fields.pop("seal")
                one = Version(**fields)
            except (ValueError, TypeError):
                raise HistoryBroken(f"version {number} of the policy cannot be read") from None
            if not hmac.compare_digest(one.mac, self.mac(one, before=found[-1].mac if found else "")):
                raise HistoryBroken(f"version {number} of the policy was changed")
            found.append(one)
        return found

    def whole_lines(self) -> bytes:
        """Return the file without a last line that a full disk or a power cut left unfinished.

        That text never was in force: the policy is written after its line is on disk.
        """
        text = self.path.read_bytes() if self.path.exists() else b""
        return text[: text.rfind(b"\n") + 1]

    def mac(self, one: Version, *, before: str) -> str:
        """Return the HMAC that a line must carry."""
        fields = [before, one.at, one.by, one.digest, one.text]
        return hmac.new(self.secret, json.dumps(fields).encode(), hashlib.sha256).hexdigest()

    def add(self, text: str, *, by: str, now: datetime) -> Version | None:
        """Add a version unless it is the one in force.  Raises HistoryBroken."""
        versions = self.versions()
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        if versions and versions[-1].digest == digest:
            return None
        draft = Version(at=now.isoformat(), by=by[:100], digest=digest, text=text, mac="")
        mac = self.mac(draft, before=versions[-1].mac if versions else "")
        made = Version(**{**asdict(draft), "mac": mac})
        size = len(self.whole_lines())
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.truncate(self.path, size)
        try:
            with os.fdopen(handle, "a") as file:
                file.write(json.dumps(asdict(made)) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            os.truncate(self.path, size)
            raise
        return made
