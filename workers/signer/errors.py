"""Why the signer did not do what it was asked."""

from __future__ import annotations

from poolsite.wire.jsonrpc.messages import RpcError


class SignerError(Exception):
    """A refusal; the text goes to the caller and holds no secret."""


class GatewayRefused(SignerError):
    """The gateway answered a call with an error."""

    def __init__(self, error: RpcError) -> None:
        super().__init__(error.message)
        self.code = error.code


class Unable(SignerError):
    """This signer cannot sign now, whatever its policy says: another one with the key may."""


class Locked(Unable):
    """The key store is locked, or has no password yet."""


class WrongPassword(Unable):
    """The password does not open the store."""


class KeyMissing(Unable):
    """No key of this address; the words are venus-wallet's."""

    def __init__(self) -> None:
        super().__init__("record not found")


class NotUnderstood(SignerError):
    """The bytes are not what they were said to be."""


class Denied(SignerError):
    """The policy does not allow it."""

    def __init__(self, text: str, *, misfit: str = "", reading: str = "") -> None:
        super().__init__(text)
        self.misfit = misfit
        """What kept the rule that came nearest from fitting; empty if a limit or a barrier did."""
        self.reading = reading
        """How the message's method is called."""


class AlreadySigned(Denied):
    """The miner has another block there: both together are a consensus fault, whatever the policy allows."""


class Unrecorded(Unable):
    """The records cannot be kept, so nothing is signed."""


class BadPolicy(Unable):
    """The policy file cannot be read."""


class DamagedStore(Unable):
    """The key store's file cannot be read."""
