"""The policy file of a folder, read again when it changes."""

from __future__ import annotations

from pathlib import Path

from workers.signer.errors import BadPolicy
from workers.signer.policy import Policy
from workers.signer.policy_parse import policy_parse


class PolicyFile:
    """The file, read again when it changes; while it cannot be read, nothing is signed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._policy = Policy("")
        self._stamp: tuple[int, int] | None = None

    def current(self) -> Policy:
        """Return the rules as the file has them now.  Raises BadPolicy."""
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                self._policy, self._stamp = policy_parse(self.path.read_text()), stamp
        except (OSError, UnicodeDecodeError) as error:
            raise BadPolicy(f"the policy cannot be read: {error}") from None
        return self._policy
