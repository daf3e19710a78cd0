"""Having messages signed, and keeping what the chain says of our addresses."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext

from apps.chain.errors import NodeRefused
from apps.chain.parallel import map_parallel
from apps.chain.selectors import network_current
from apps.core import clock
from apps.core.compiled import Compiled
from apps.core.errors import DomainError
from apps.core.live import Change, publish
from apps.gateway.errors import NoAnswer, NoProvider, ProviderRefused, SignerAway, SignerRefused
from apps.gateway.models import SignerKey
from apps.gateway.selectors import ALIVE_S, signer_keys
from apps.gateway.services.connection_test import connection_request
from apps.gateway.services.signatures import RuledSignature, WalletSignRequest, signers_of, wallet_sign_all
from apps.users.models import SignerGrant, Tenant
from apps.users.principals import SYSTEM
from apps.users.selectors import signer_granted
from apps.wallets.errors import SenderNotGranted
from apps.wallets.models import SERVED_S, SignRecord, Wallet
from poolsite.filecoin.address import BLS, DELEGATED, Address, BadAddress, address_parse
from poolsite.filecoin.ethereum_transaction import BadTransaction
from poolsite.filecoin.message import SignedMessage, message_to_cbor
from poolsite.filecoin.signature import BadSignature, Signature, signature_verify
from poolsite.filecoin.signing import signing_payload
from poolsite.filecoin.sigtypes import SIG_BLS, SIG_DELEGATED, SIG_SECP256K1, SIG_TYPE_NAMES
from poolsite.wire.codec import BadWire, document_decode, document_encode
from poolsite.wire.origins import CIDS_MAX, IDS_METHOD, IdsAsked, IdsFound

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

    from apps.chain.client import ChainClient
    from apps.core.compiled import Parameter
    from apps.gateway.models import SignerConnection
    from poolsite.filecoin.message import Message
    from poolsite.wire.origins import IdFound, Origin

SIGN_S: Final = 10.0
"""Time for one round of signatures; a signer that is away is expected back within it."""
TURN_MIN: Final = 100
"""Wallets that are asked for in turn; a pool of no more has all balances of its last turn."""
TURN_HEADS: Final = 60
"""A larger pool's wallets are all asked for within so many heads, moved or not."""
MOVED_MAX: Final = 1_000
"""Most of those that moved at one head; the others come with the next ones."""
CALLS_MAX: Final = 50
"""Calls in one request."""
HAS_MOVED: Final = Q(checked_at=None) | Q(moved_at__isnull=False, moved_at__gte=F("checked_at"))
OLDEST_FIRST: Final = F("checked_at").asc(nulls_first=True)
META_MESSAGE: Final = "message"
UNKNOWN_EVENT: Final = "unexpect type"
"""How venus-wallet, and a signer of ours from before, refuses an event that it does not know."""


def message_sign(message: Message, *, tenant_id: int | None, asked_by: str = "messager") -> SignedMessage:
    """Have one message signed.  Raises SenderNotGranted, SignerAway, SignerRefused."""
    answer = messages_sign([message], tenant_id=tenant_id, asked_by=asked_by)[0]
    if isinstance(answer, DomainError):
        raise answer
    return answer


def messages_sign(
    messages: Sequence[Message],
    *,
    tenant_id: int | None,
    asked_by: str = "messager",
    origins: Sequence[Origin] = (),
) -> list[SignedMessage | DomainError]:
    """Have messages signed, all at once, and record each; `origins`, one for each, say which ones they are.

    Each gets its signed form, or SenderNotGranted, SignerAway, SignedBefore or SignerRefused.
    Nothing unsigned by the sender's own key comes back: every signature is verified.  Network work: not for
    use in a transaction.
    """
    start = time.monotonic()
    found: dict[int, SignedMessage | DomainError] = {}
    asked: list[tuple[int, WalletSignRequest]] = []
    accounts = Accounts(tenant_id)
    for at, message in enumerate(messages):
        try:
            request = sign_request(message, accounts)
            asked.append((at, replace(request, origin=origins[at]) if origins else request))
        except DomainError as error:
            found[at] = error
    answers = wallet_sign_all([request for _, request in asked], timeout_s=SIGN_S) if asked else []
    rules: dict[int, str] = {}
    for (at, request), answer in zip(asked, answers, strict=True):
        found[at] = signed_checked(messages[at], request.to_sign, answer=answer)
        rules[at] = rule_of(answer)
    results = [found[at] for at in range(len(messages))]
    records_write(
        messages,
        results,
        rules=rules,
        tenant_id=tenant_id,
        asked_by=asked_by,
        ms=int((time.monotonic() - start) * 1000),
    )
    return results


def ids_signed(address: str, *, pool: UUID, cids: Sequence[str]) -> dict[str, IdFound]:
    """Return the ids under which any connected signer of a key signed messages, by the unsigned ones' CIDs.

    A signer that keeps no ids, as venus-wallet, knows none.  Raises SignerAway where messages are asked
    about and no signer of the key is connected, or a connected one does not answer.
    """
    if not cids:
        return {}
    signers = signers_of(address)
    if not signers:
        raise SignerAway(address)
    found: dict[str, IdFound] = {}
    for at in range(0, len(cids), CIDS_MAX):
        asked = IdsAsked(pool=str(pool), cids=tuple(cids[at : at + CIDS_MAX]))
        for row in signers:
            found.update((one.cid, one) for one in _ids_read(row, address, asked).found)
    return found


def _ids_read(row: SignerConnection, address: str, asked: IdsAsked) -> IdsFound:
    try:
        answer = connection_request(row, IDS_METHOD, payload=document_encode(asked), timeout_s=SIGN_S)
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


def rule_of(answer: Signature | DomainError) -> str:
    """Name the rule of the signer's policy that allowed a signature, where the signer told."""
    return answer.rule if isinstance(answer, RuledSignature) else ""


def bytes_sign(
    *, address: Address, to_sign: bytes, meta_type: str, extra: bytes, tenant_id: int | None, asked_by: str
) -> Signature:
    """Have bytes of any kind signed, as the wallet interface of a node does; recorded like messages.

    Raises SenderNotGranted, SignerAway, SignerRefused.
    """
    start, words = time.monotonic(), str(address)
    answer: Signature | DomainError
    try:
        accounts = Accounts(tenant_id).of(words)
        [answer] = wallet_sign_all(
            [WalletSignRequest(words, accounts, to_sign, meta_type, extra)], timeout_s=SIGN_S
        )
        if isinstance(answer, Signature):
            signature_verify(answer, address, to_sign)
    except BadSignature as error:
        answer = SignerRefused(
            gettext("the signer returned an invalid signature: {error}").format(error=error)
        )
    except DomainError as error:
        answer = error
    SignRecord.objects.create(
        at=clock.now(),
        tenant_id=tenant_id,
        address=words,
        what=gettext("{meta_type}: {count} bytes").format(meta_type=meta_type or "bytes", count=len(to_sign))[
            :200
        ],
        asked_by=asked_by,
        ms=int((time.monotonic() - start) * 1000),
        error=answer.reason[:500] if isinstance(answer, DomainError) else "",
        rule=rule_of(answer),
    )
    if isinstance(answer, DomainError):
        raise answer
    return answer


class Accounts:
    """Under which names the hub may be asked for a sender, looked up once per address."""

    def __init__(self, tenant_id: int | None) -> None:
        self.tenant_id = tenant_id
        self.known: dict[str, list[str]] = {}

    def of(self, address: str) -> list[str]:
        """Return the names.  Raises SenderNotGranted if there is none."""
        if address not in self.known:
            self.known[address] = self.look(address)
        if not self.known[address]:
            raise SenderNotGranted(address)
        return self.known[address]

    def look(self, address: str) -> list[str]:
        """Read the grants: a tenant's own name, or every grant's for the pool itself."""
        if self.tenant_id is not None:
            if not signer_granted(tenant_id=self.tenant_id, address=address):
                return []
            return list(Tenant.objects.filter(pk=self.tenant_id).values_list("name", flat=True))
        grants = SignerGrant.objects.filter(address=address, deleted_at=None)
        return list(grants.values_list("tenant__name", flat=True))


def sign_request(message: Message, accounts: Accounts) -> WalletSignRequest:
    """Write what the signer gets.  Raises SenderNotGranted, SignerRefused."""
    sender = str(message.from_)
    sig_type = signature_type(message.from_)
    chain_id = network_current().eth_chain_id if sig_type == SIG_DELEGATED else 0
    try:
        payload = signing_payload(message, sig_type, chain_id=chain_id)
    except BadTransaction as error:
        raise SignerRefused(gettext("not an Ethereum transaction: {error}").format(error=error)) from None
    return WalletSignRequest(sender, accounts.of(sender), payload, META_MESSAGE, message_to_cbor(message))


def signature_type(sender: Address) -> int:
    """Return the kind of signature that a sender makes."""
    return {BLS: SIG_BLS, DELEGATED: SIG_DELEGATED}.get(sender.protocol, SIG_SECP256K1)


def signed_checked(
    message: Message, payload: bytes, *, answer: Signature | DomainError
) -> SignedMessage | DomainError:
    """Take a signature only if it is one of the sender's over this message."""
    if isinstance(answer, DomainError):
        return answer
    try:
        signature_verify(answer, message.from_, payload)
    except BadSignature as error:
        return SignerRefused(gettext("the signer returned an invalid signature: {error}").format(error=error))
    return SignedMessage(message, answer)


def records_write(
    messages: Sequence[Message],
    results: Sequence[SignedMessage | DomainError],
    *,
    rules: Mapping[int, str],
    tenant_id: int | None,
    asked_by: str,
    ms: int,
) -> None:
    """Keep the console's copy of a round; `rules` by place."""
    now = clock.now()
    SignRecord.objects.bulk_create(
        SignRecord(
            at=now,
            tenant_id=tenant_id,
            address=str(message.from_),
            what=gettext("message: method {method} to {to}").format(method=message.method, to=message.to),
            cid=str(message.cid),
            asked_by=asked_by,
            ms=ms,
            error=result.reason[:500] if isinstance(result, DomainError) else "",
            rule=rules.get(at, ""),
        )
        for at, (message, result) in enumerate(zip(messages, results, strict=True))
    )


@transaction.atomic
def wallets_from_keys(*, now: datetime) -> None:
    """Have a row for each key that a signer proved, and note which are served now."""
    for key in UNKNOWN.rows():
        kind = SIG_TYPE_NAMES[signature_type(address_parse(key.address))]
        wallet, _ = Wallet.objects.get_or_create(
            address=key.address,
            defaults={"tenant": key.tenant, "account": key.tenant.name, "key_type": kind},
        )
        publish(Change("wallet", wallet.pk, wallet.tenant_id))
    unsure = UNSURE.rows(alive=now - ALIVE_S, before=now - SERVED_S / 3)
    if unsure:
        Wallet.objects.filter(pk__in=[wallet.pk for wallet in unsure]).update(seen_at=now)
    for wallet in unsure:
        if wallet.seen_at is None or wallet.seen_at <= now - SERVED_S:
            publish(Change("wallet", wallet.pk, wallet.tenant_id))


def _keys_unknown() -> QuerySet[SignerKey]:
    """Return the keys that signers proved and no wallet has."""
    return signer_keys(SYSTEM).exclude(address__in=Wallet.objects.values("address"))


def _unsure(alive: Parameter, before: Parameter) -> QuerySet[Wallet]:
    """Return the wallets of connected signers' keys that were not noted as served for a while."""
    here = SignerKey.objects.filter(
        removed_at=None, connection__closed_at=None, connection__seen_at__gt=alive
    )
    rows = Wallet.objects.filter(address__in=here.order_by().values("address"))
    return rows.exclude(seen_at__gt=before).only("tenant_id", "seen_at")


UNKNOWN: Final[Compiled[SignerKey]] = Compiled("signer_keys_unknown", _keys_unknown)
UNSURE: Final[Compiled[Wallet]] = Compiled(
    "wallets_unsure", _unsure, alive="timestamptz", before="timestamptz"
)
MOVED: Final[Compiled[Wallet]] = Compiled(
    "wallets_moved",
    lambda: Wallet.objects.filter(HAS_MOVED).order_by(OLDEST_FIRST, "pk")[:MOVED_MAX],
)


def wallets_moved(addresses: Collection[str], *, at: datetime) -> None:
    """Note that messages from or to these addresses moved: the next refresh asks for them first."""
    numbers = [int(one[2:]) for one in addresses if one.startswith("f0")]
    Wallet.objects.filter(Q(address__in=addresses) | Q(actor_id__in=numbers)).update(moved_at=at)


def wallets_due() -> list[Wallet]:
    """Return the wallets to ask for now: those that moved or are new, and some of the rest in turn."""
    moved = MOVED.rows()
    turn = max(TURN_MIN, -(-Wallet.objects.count() // TURN_HEADS))
    rest = Wallet.objects.exclude(pk__in=[wallet.pk for wallet in moved])
    return moved + list(rest.order_by(OLDEST_FIRST, "pk")[:turn])


def wallets_refresh(*, client: ChainClient, now: datetime) -> int:
    """Refresh balance, nonce and number of the wallets that are due; returns how many changed.

    Whether any is, apps/wallets/due.py tells.  Raises NodeUnavailable if no node answers.
    """
    wallets_from_keys(now=now)
    wallets = wallets_due()
    unnumbered = [wallet for wallet in wallets if wallet.actor_id is None]
    calls: list[tuple[str, Sequence[Any]]] = [("StateGetActor", (one.address, [])) for one in wallets]
    calls += [("StateLookupID", (wallet.address, [])) for wallet in unnumbered]
    answers = _answers(client, calls)
    actors, numbers = answers[: len(wallets)], answers[len(wallets) :]
    ids = {wallet.pk: actor_id_read(number) for wallet, number in zip(unnumbered, numbers, strict=True)}
    changed: set[int] = set()
    for wallet, actor in zip(wallets, actors, strict=True):
        balance, nonce = actor_read(actor)
        actor_id = wallet.actor_id if wallet.actor_id is not None else ids.get(wallet.pk)
        if (balance, nonce, actor_id) != (wallet.balance, wallet.nonce, wallet.actor_id):
            wallet_update(wallet, balance=balance, nonce=nonce, actor_id=actor_id, now=now)
            changed.add(wallet.pk)
    same = [wallet.pk for wallet in wallets if wallet.pk not in changed]
    Wallet.objects.filter(pk__in=same).update(checked_at=now)
    return len(changed)


def _answers(client: ChainClient, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
    """Query in several requests at a time.  Raises NodeUnavailable."""
    parts = [calls[at : at + CALLS_MAX] for at in range(0, len(calls), CALLS_MAX)]
    found: list[Any] = []
    for answers in map_parallel(client.call_many, parts):
        if isinstance(answers, Exception):
            raise answers
        found += answers
    return found


@transaction.atomic
def wallet_update(
    wallet: Wallet, *, balance: int | None, nonce: int | None, actor_id: int | None, now: datetime
) -> None:
    """Store what the chain said, and tell the pages."""
    Wallet.objects.filter(pk=wallet.pk).update(
        balance=balance, nonce=nonce, actor_id=actor_id, checked_at=now
    )
    publish(Change("wallet", wallet.pk, wallet.tenant_id))


def actor_read(answer: Any) -> tuple[int | None, int | None]:
    """Read balance and nonce; an address that the chain does not know has nothing."""
    if isinstance(answer, NodeRefused):
        return (0, 0) if "actor not found" in answer.reason else (None, None)
    return int(answer["Balance"]), int(answer["Nonce"])


def actor_id_read(answer: Any) -> int | None:
    """Read an ID address."""
    if isinstance(answer, NodeRefused):
        return None
    try:
        return address_parse(answer).actor_id
    except BadAddress:
        return None
