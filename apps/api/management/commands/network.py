"""`manage.py network`: say which network the pool is bound to or would be, or unbind it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.api.management.caller import COMMAND
from apps.chain.errors import NetworkUnknown, NodeRefused, NodeUnavailable
from apps.chain.node.addresses import node_address
from apps.chain.node.client import ChainClient
from apps.chain.node.link import link_to
from apps.chain.selectors.network import network_bound
from apps.chain.services.networks import network_read
from apps.chain.services.probes import PROBE_TIMEOUT_S
from apps.core.errors import DomainError
from apps.miners.services.network_unbind import network_unbind
from poolsite.filecoin.policy import network_is_public

if TYPE_CHECKING:
    from apps.chain.models import Network


class Command(BaseCommand):
    """Shows, checks and undoes the pool's binding to a network."""

    help = (
        "Show which network the pool is, or would be, bound to; --unbind it while it has no miner or message."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--unbind", action="store_true", help="unbind the pool from its network")
        parser.add_argument("--refuse-public", action="store_true", help="fail unless it is a devnet")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            if options["unbind"]:
                self.stdout.write(f"the pool is no longer bound to {network_unbind(principal=COMMAND)}")
                return
            bound = network_bound() or _configured_network()
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None
        if options["refuse_public"] and (bound is None or network_is_public(bound.name)):
            name = "no node reports its network" if bound is None else f"the network is {bound.name}"
            raise CommandError(
                f"POOLSITE_PARAMETER_SEED creates parameters with which anybody can forge proofs, and "
                f"{name}: unset it"
            )
        self.stdout.write("no node answers" if bound is None else f"{bound.name}, genesis {bound.genesis}")


def _configured_network() -> Network | None:
    """Return what the first node would bind the pool to, None if none answers.  Raises NetworkUnknown."""
    refusal: NetworkUnknown | None = None
    for text in settings.CHAIN_URLS:
        address = node_address(text)
        try:
            return network_read(
                ChainClient([link_to(address.http_url, address.token)], limit_s=PROBE_TIMEOUT_S)
            )
        except NetworkUnknown as error:
            refusal = error
        except (NodeUnavailable, NodeRefused):
            continue
    if refusal is not None:
        raise refusal
    return None
