"""Why a remote signer or prover gave no answer."""

from __future__ import annotations

from apps.core.errors import BadValue, DomainError, NotReachable
from apps.core.marked_texts import gettext
from poolsite.filecoin.message import Message


class ProviderRefused(DomainError):
    """The signer or prover itself said no."""

    code = "provider_refused"


class ProviderUnable(ProviderRefused):
    """It cannot now, whatever it would decide: locked, out of space, without the key; another one may."""

    code = "provider_unable"


class AccountNotAgreed(ProviderRefused):
    """The account has not agreed to be served by this signer."""

    code = "account_not_agreed"


class SignerRefused(ProviderRefused):
    """A signer said no."""

    code = "signer_refused"


class SignedBefore(SignerRefused):
    """The signer signed this message before, with another nonce: a second one would pay twice."""

    code = "signed_before"

    def __init__(self, messages: tuple[Message, ...]) -> None:
        self.messages = messages
        """What it signed with the last nonce, newest first."""
        super().__init__(
            gettext("the signer has already signed this message, with nonce {nonce}").format(
                nonce=messages[0].nonce
            )
        )


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
        super().__init__(
            reason or gettext("no signer with the key {address} is connected").format(address=address)
        )


class BadHostKey(BadValue):
    """No service that can stand behind us."""

    code = "bad_host_key"
