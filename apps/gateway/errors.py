"""Why a remote signer or prover gave no answer."""

from __future__ import annotations

from apps.core.errors import DomainError, NotReachable


class ProviderRefused(DomainError):
    """The signer or prover itself said no; its words are final."""

    code = "provider_refused"


class SignerRefused(ProviderRefused):
    """A signer said no."""

    code = "signer_refused"


class NoProvider(NotReachable):
    """Nobody who could answer is connected."""

    code = "no_provider"


class NoAnswer(NotReachable):
    """The connection went away or was too slow; another one may still answer."""

    code = "no_answer"


class AnswerTooLarge(NoAnswer):
    """The answer passed the limit: it was not read, and another connection may have a smaller one."""

    code = "answer_too_large"


class SignerAway(NotReachable):
    """No signer with this key is connected, or none answered in time."""

    code = "signer_away"

    def __init__(self, address: str, reason: str = "") -> None:
        self.address = address
        super().__init__(reason or f"no signer with the key {address} is connected")
