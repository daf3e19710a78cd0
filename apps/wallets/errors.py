"""Why something is not signed."""

from __future__ import annotations

from apps.core.errors import NotAllowed
from apps.core.marked_texts import gettext
from apps.gateway.errors import SignerRefused


class SenderNotGranted(NotAllowed):
    """The tenant may not have messages signed for this address."""

    code = "sender_not_granted"

    def __init__(self, address: str) -> None:
        super().__init__(
            gettext("{address} is not a wallet of this account").format(address=address), field="from"
        )


class NoPolicy(SignerRefused):
    """The signer is of another make, and has no policy that could be read."""

    def __init__(self) -> None:
        super().__init__(gettext("this signer does not support policy requests: it is not a Poolsite signer"))
