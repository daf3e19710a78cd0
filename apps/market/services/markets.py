"""What a miner asks of clients and accepts, as its people set it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.db import transaction

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.client import chain_client
from apps.core.errors import BadValue
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.market.models import PLACE_MAX, PLACE_MIN, MinerMarket
from apps.market.selectors.deals import door_port_is_taken, market_of
from apps.market.services.deal_filter import filter_url_check
from apps.market.states import ClientsRule
from apps.miners.models import Miner
from apps.pieces.data.sources import url_check
from apps.users.rules.encryption import text_encrypt
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.address import ID, BadAddress, address_format, address_parse
from poolsite.filecoin.amounts import TOTAL_FILECOIN

FIELDS: Final = (
    *("is_open", "price", "verified_price", "least_size", "most_size", "is_verified_only"),
    *("clients_rule", "clients", "start_wait", "start_within", "waiting_deals", "waiting_bytes"),
    *("client_deals", "publish_wait", "publish_most", "publish_base_fee"),
    *("settle_days", "settle_day_fee"),
    *("takes_http", "takes_put", "takes_offline", "takes_libp2p", "libp2p_port", "indexers"),
    *("serves_data", "unseals_data", "retrieval_day_bytes"),
    *("filter_url", "accepts_unfiltered"),
)
UNITS: Final = {
    **dict.fromkeys(("price", "verified_price"), "attoFIL per GiB and epoch"),
    **dict.fromkeys(("least_size", "most_size", "waiting_bytes", "retrieval_day_bytes"), "bytes"),
    **dict.fromkeys(("start_wait", "start_within"), "epochs"),
    **dict.fromkeys(("waiting_deals", "client_deals", "publish_most"), "deals"),
    "publish_wait": "epochs",
    "publish_base_fee": "attoFIL per gas",
    "settle_days": "days",
    "settle_day_fee": "attoFIL a day",
}
CLIENTS_MAX: Final = 1000
INDEXERS_MAX: Final = 10
INDEXER_CHARS: Final = 180
NUMBER_MAX: Final = 1 << 62
PORT_MIN: Final = 1024
"""Lower ports are the system's."""
PORT_MAX: Final = 65_535
COUNT_MAX: Final = 1_000_000
SETTLE_DAYS_MAX: Final = 3650
MESSAGE_MAX: Final = 500
"""Deals of one message: more do not fit into a block's gas."""


def market_set(miner: Miner, *, values: Mapping[str, Any], by: Principal) -> MinerMarket:
    """Set what a miner asks for and accepts; what is not named stays.  Deals that were accepted stay, too.

    Raises BadValue.
    """
    if "clients" in values:  # no transaction waits for the node that is asked
        _length_check(values["clients"], field="clients", most=CLIENTS_MAX)
        values = {**values, "clients": [client_key_resolve(text) for text in values["clients"]]}
    return _write(miner, values=values, by=by)


@transaction.atomic
def _write(miner: Miner, *, values: Mapping[str, Any], by: Principal) -> MinerMarket:
    Miner.objects.select_for_update(no_key=True).get(pk=miner.pk)
    row = market_of(miner)
    before, target = {name: getattr(row, name) for name in FIELDS}, row.filter_target
    for name, value in values.items():
        if name != "filter_url":
            setattr(row, name, value)
        elif value != row.filter_url:  # as it is shown, it stays
            row.filter_url, row.filter_target = _filter(value)
    _lists_clean(row)
    _check(row)
    if row.takes_libp2p and door_port_is_taken(row):
        raise BadValue(gettext("another miner's door listens on this port"), field="libp2p_port")
    after = {name: getattr(row, name) for name in FIELDS}
    if row.filter_target != target and after["filter_url"] == before["filter_url"]:
        after["filter_url"] = "another"
    changed = [name for name in FIELDS if before[name] != after[name]]
    row.save()
    if changed:
        audit_record(
            principal=by,
            action="market.set",
            target=str(miner),
            before={name: _with_unit(name, before[name]) for name in changed},
            after={name: _with_unit(name, after[name]) for name in changed},
        )
        publish(Change("deal", str(miner.uuid), miner.tenant_id))
    return row


@transaction.atomic
def client_rule_set(miner: Miner, *, client: str, is_blocked: bool, by: Principal) -> MinerMarket:
    """Block or allow a client by name in a miner's rule; other clients stay as they are.  Raises BadValue.

    Deals of the client that were accepted stay, too.
    """
    Miner.objects.select_for_update(no_key=True).get(pk=miner.pk)
    row = market_of(miner)
    address = _client(client)
    others = [name for name in row.clients if name != address]
    is_named = is_blocked != (row.clients_rule == ClientsRule.ONLY)
    values: dict[str, Any] = {"clients": [*others, address] if is_named else others}
    if row.clients_rule == ClientsRule.ANYBODY:  # names without a rule are nobody's wish
        values = {"clients_rule": ClientsRule.EXCEPT, "clients": [address]} if is_blocked else {}
    return _write(miner, values=values, by=by)


def _with_unit(name: str, value: Any) -> Any:
    """Return a setting as the audit log keeps it: numbers with their unit."""
    unit = UNITS.get(name)
    return f"{value} {unit}" if unit else value if isinstance(value, bool | list) else str(value)


def _lists_clean(row: MinerMarket) -> None:
    """Write each address once and in its one form.  Raises BadValue."""
    for name, most in (("clients", CLIENTS_MAX), ("indexers", INDEXERS_MAX)):
        _length_check(getattr(row, name), field=name, most=most)
    row.clients = list(dict.fromkeys(_client(text) for text in row.clients))
    row.indexers = list(dict.fromkeys(_indexer(text) for text in row.indexers))


def _length_check(addresses: Sequence[str], *, field: str, most: int) -> None:
    if len(addresses) > most:
        raise BadValue(gettext("has at most {most} addresses").format(most=most), field=field)


def client_key_resolve(text: str) -> str:
    """Return the address with which a client signs: that of its key, where its actor's number is given.

    Raises BadValue.
    """
    address = address_parse(_client(text))
    if address.protocol == ID:
        address = address_parse(_key_read(address_format(address)))
    if not address.is_key:
        reason = gettext("{text} signs no proposals: enter the client's f1, f3 or f410 address")
        raise BadValue(reason.format(text=text[:100]), field="clients")
    return address_format(address)


def _key_read(number: str) -> str:
    try:
        return chain_client().state_account_key(number)
    except NodeRefused:
        reason = gettext("the chain has no account {text}: enter the client's f1, f3 or f410 address")
    except NodeUnavailable:
        reason = gettext("no node answers which key {text} has: enter the client's f1, f3 or f410 address")
    raise BadValue(reason.format(text=number), field="clients")


def _client(text: str) -> str:
    try:
        return address_format(address_parse(text))
    except BadAddress:
        raise BadValue(gettext("{text} is not an address").format(text=text[:100]), field="clients") from None


def _indexer(text: str) -> str:
    """Return where an indexer is told: a host alone gets the path that its own programs use."""
    try:
        url_check(text)
    except BadValue as refusal:
        raise BadValue(
            gettext("{text}: {reason}").format(text=text[:100], reason=refusal.reason), field="indexers"
        ) from None
    if len(text) > INDEXER_CHARS:
        raise BadValue(gettext("has at most {most} characters").format(most=INDEXER_CHARS), field="indexers")
    return text if urlsplit(text).path.strip("/") else text.rstrip("/") + "/announce"


def _filter(url: str) -> tuple[str, str]:
    """Return a filter's URL as it is shown, and whole, encrypted.  Raises BadValue."""
    return (filter_url_check(url), text_encrypt(url)) if url else ("", "")


def _check(row: MinerMarket) -> None:
    """Refuse values that no deal could meet.  Raises BadValue."""
    for name in ("price", "verified_price", "start_wait", "start_within", "waiting_deals", "waiting_bytes"):
        if not 0 <= getattr(row, name) <= NUMBER_MAX:
            raise BadValue(gettext("must be from 0 to {most}").format(most=NUMBER_MAX), field=name)
    for name, least, most in (
        ("client_deals", 1, COUNT_MAX),
        ("retrieval_day_bytes", 0, NUMBER_MAX),
        ("publish_wait", 0, NUMBER_MAX),
        ("publish_most", 1, MESSAGE_MAX),
        ("publish_base_fee", 0, NUMBER_MAX),
        ("settle_days", 0, SETTLE_DAYS_MAX),
        ("settle_day_fee", 0, TOTAL_FILECOIN),
        ("libp2p_port", PORT_MIN, PORT_MAX),
    ):
        if not least <= getattr(row, name) <= most:
            raise BadValue(
                gettext("must be from {least} to {most}").format(least=least, most=most), field=name
            )
    for name in ("least_size", "most_size"):
        size = getattr(row, name)
        if not PLACE_MIN <= size <= PLACE_MAX or size.bit_count() != 1:
            raise BadValue(
                gettext("must be a power of two from {least} to {most}").format(
                    least=PLACE_MIN, most=PLACE_MAX
                ),
                field=name,
            )
    if row.least_size > row.most_size:
        raise BadValue(gettext("must be no larger than the largest size"), field="least_size")
    if row.clients_rule not in ClientsRule.values:
        raise BadValue(
            gettext("must be one of {values}").format(values=", ".join(ClientsRule.values)),
            field="clients_rule",
        )
