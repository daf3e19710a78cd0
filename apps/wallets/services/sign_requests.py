"""What a signer gets for a message, and under which names the hub is asked for its sender."""

from __future__ import annotations

from typing import Final

from apps.chain.selectors.network import network_current
from apps.core.marked_texts import gettext
from apps.gateway.errors import SignerRefused
from apps.gateway.services.signatures import WalletSignRequest
from apps.users.models import SignerGrant, Tenant
from apps.users.selectors.grants import signer_granted
from apps.wallets.errors import SenderNotGranted
from poolsite.filecoin.address import BLS, DELEGATED, Address
from poolsite.filecoin.ethereum_transaction import BadTransaction
from poolsite.filecoin.message import Message, message_to_cbor
from poolsite.filecoin.signing import signing_payload
from poolsite.filecoin.sigtypes import SIG_BLS, SIG_DELEGATED, SIG_SECP256K1

META_MESSAGE: Final = "message"


class Accounts:
    """Under which names the hub may be asked for a sender, looked up once per address."""

    def __init__(self, tenant_id: int | None) -> None:
        self.tenant_id = tenant_id
        self.known: dict[str, list[str]] = {}

    def of(self, address: str) -> list[str]:
        """Return the names.  Raises SenderNotGranted if there is none."""
        if address not in self.known:
            self.known[address] = self.accounts_read(address)
        if not self.known[address]:
            raise SenderNotGranted(address)
        return self.known[address]

    def accounts_read(self, address: str) -> list[str]:
        """Read the grants: a tenant's own name, or every grant's for the pool itself."""
        if self.tenant_id is not None:
            if not signer_granted(tenant_id=self.tenant_id, address=address):
                return []
            return list(Tenant.objects.filter(pk=self.tenant_id).values_list("name", flat=True))
        grants = SignerGrant.objects.filter(address=address, deleted_at=None)
        return list(grants.values_list("tenant__name", flat=True))


def sign_request(message: Message, *, accounts: Accounts) -> WalletSignRequest:
    """Write what the signer gets.  Raises SenderNotGranted, SignerRefused."""
    sender = str(message.from_)
    sig_type = signature_type_choose(message.from_)
    chain_id = network_current().eth_chain_id if sig_type == SIG_DELEGATED else 0
    try:
        payload = signing_payload(message, sig_type, chain_id=chain_id)
    except BadTransaction as error:
        raise SignerRefused(gettext("not an Ethereum transaction: {error}").format(error=error)) from None
    return WalletSignRequest(sender, accounts.of(sender), payload, META_MESSAGE, message_to_cbor(message))


def signature_type_choose(sender: Address) -> int:
    """Return the kind of signature that a sender makes."""
    return {BLS: SIG_BLS, DELEGATED: SIG_DELEGATED}.get(sender.protocol, SIG_SECP256K1)
