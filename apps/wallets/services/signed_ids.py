"""Asking the signers of a key under which ids they signed messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from apps.core.marked_texts import gettext
from apps.gateway.errors import NoAnswer, NoProvider, ProviderRefused, SignerAway
from apps.gateway.models import SignerConnection
from apps.gateway.services.connection_test import connection_request
from apps.gateway.services.signatures import signers_find
from apps.wallets.services.sign import SIGN_S
from poolsite.wire.codec import BadWire, document_decode, document_encode
from poolsite.wire.origins import CIDS_MAX, IDS_METHOD, IdFound, IdsAsked, IdsFound

UNKNOWN_EVENT: Final = "unexpect type"
"""How venus-wallet, and a signer of ours from before, refuses an event that it does not know."""


def signed_ids_read(address: str, *, pool: UUID, cids: Sequence[str]) -> dict[str, IdFound]:
    """Return the ids under which any connected signer of a key signed messages, by the unsigned ones' CIDs.

    A signer that keeps no ids, as venus-wallet, knows none.  Raises SignerAway where messages are asked
    about and no signer of the key is connected, or a connected one does not answer.
    """
    if not cids:
        return {}
    signers = signers_find(address)
    if not signers:
        raise SignerAway(address)
    found: dict[str, IdFound] = {}
    for at in range(0, len(cids), CIDS_MAX):
        request = IdsAsked(pool=str(pool), cids=tuple(cids[at : at + CIDS_MAX]))
        for row in signers:
            found.update((one.cid, one) for one in _ids_read(row, address, request).found)
    return found


def _ids_read(row: SignerConnection, address: str, request: IdsAsked) -> IdsFound:
    try:
        answer = connection_request(
            row, method=IDS_METHOD, payload=document_encode(request), timeout_s=SIGN_S
        )
        return document_decode(IdsFound, answer)
    except ProviderRefused as refusal:
        if refusal.reason.startswith(UNKNOWN_EVENT):
            return IdsFound()
        raise SignerAway(address, refusal.reason) from None
    except (NoAnswer, NoProvider) as refusal:
        raise SignerAway(address, refusal.reason) from None
    except BadWire as error:
        raise SignerAway(
            address, gettext("the signer's response could not be parsed: {error}").format(error=error)
        ) from None
