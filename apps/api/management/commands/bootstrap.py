"""`manage.py bootstrap`: tenant, operator and tokens of a fresh pool; with --miner, its miner."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.api.management.caller import COMMAND
from apps.chain.node.client import ChainClient, chain_client
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.errors import DomainError, NotReachable
from apps.messages.services.recovery.detect import restore_check
from apps.miners.selectors.miners import miners_visible
from apps.miners.services.create import create_miner_push
from apps.miners.services.creation_plan import creation_deposit_read
from apps.miners.states import MinerState
from apps.users.rules.principals import SYSTEM
from apps.users.selectors.tenants import tenant_by_name
from apps.users.services.bootstrap import pool_prepare, pool_secrets_replace
from apps.users.services.operator_file import DamagedFile
from apps.users.services.site_key import OtherKey
from apps.users.states import POOL
from apps.wallets.selectors import wallets_visible
from apps.wallets.services.label import wallet_label_set
from poolsite.filecoin.sector import SIZE_2KIB, RegisteredSealProof
from poolsite.private_files import private_write

if TYPE_CHECKING:
    from apps.miners.models import Miner

MINER_MESSAGE: Final = "bootstrap-miner"
"""Id of the message that makes the pool's miner: a kill makes no second one."""

POLL_S: Final = 1.0
"""Pause before the chain, the signer and the message are asked again."""


class Command(BaseCommand):
    """Safe to run again and again; exits with 0 once what it is for holds."""

    help = "Create the operator, the tenant 'pool' and the tokens of the pool's programs."

    def add_arguments(self, parser: CommandParser) -> None:
        """Offer the pool's miner as a step of its own: it needs a running chain and signer."""
        parser.add_argument("--miner", action="store_true", help="create the pool's miner")
        parser.add_argument(
            "--within", type=float, default=0.0, metavar="S", help="keep trying for this many seconds"
        )

        parser.add_argument("--take-over", action="store_true", help=argparse.SUPPRESS)  # `make takeover`
        parser.add_argument("--address-file", type=Path, help="write the miner's address there")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run one step."""
        if options["miner"]:
            self.miner(within_s=options["within"], address_file=options["address_file"])
        else:
            take_over = partial(pool_secrets_replace, by=COMMAND)
            self.prepare(take_over if options["take_over"] else pool_prepare)

    def miner(self, *, within_s: float, address_file: Path | None) -> None:
        """Push CreateMiner under a fixed message id.  Exits with 1 if the miner does not exist in time.

        The supervisor starts this step again until it holds; waiting here spares it starts of Django.
        """
        path = Path(os.environ.get("POOLSITE_SIGNER_FILE") or settings.VAR / "signer" / "addresses.json")
        until = time.monotonic() + within_s
        while True:
            try:
                addresses = addresses_read(path)
                miner = pool_miner_prepare(addresses=addresses, client=chain_client())
            except DomainError as error:
                reason = f"the pool's miner cannot be created yet: {error.reason}"
            else:
                if miner.state == MinerState.ACTIVE:
                    break
                if miner.state == MinerState.FAILED:
                    raise CommandError(f"the pool's miner could not be created: {miner.error}")
                reason = "the pool's miner does not exist yet: its message has not landed"
            if time.monotonic() >= until:
                raise CommandError(reason)
            time.sleep(POLL_S)
        wallets_name(addresses)
        if address_file is not None:
            private_write(address_file, f"{miner.address}\n")
        self.stdout.write(f"The pool's miner is {miner.address}")

    def prepare(self, make: Callable[..., dict[str, str]]) -> None:
        """Tenant, operator, tokens, files."""
        url = os.environ.get("POOLSITE_URL") or f"http://localhost:{os.environ.get('PORT') or '8000'}"
        path = settings.VAR / "operator.json"
        try:
            entry = make(var=settings.VAR, url=url)
        except OtherKey:
            raise CommandError(
                "the database's secrets are encrypted with another SECRET_KEY than this pool's: bring back "
                f"{settings.VAR}/keys, or set SECRET_KEY; if that key is lost, stop every pool of this "
                "database and run `make takeover` (docs/operations/backups.md)",
                returncode=os.EX_CONFIG,
            ) from None
        except DamagedFile as error:
            raise CommandError(
                f"{path} is damaged ({error}): restore it, or remove it to have a new token created; if "
                "the operator's password was only there, run `make takeover` then"
            ) from None
        except OSError as error:
            raise CommandError(f"{error.filename or path} cannot be written: {error.strerror}") from None
        restore_check(now=clock.now())  # else a restored backup is noticed at a signature only
        self.stdout.write(f"Open {entry['url']}")
        if "password" in entry:
            self.stdout.write(
                f"Sign in as {entry['username']} with the password {entry['password']} "
                "(valid until you change it)"
            )


def addresses_read(path: Path) -> dict[str, str]:
    """Read the addresses that `signer init` wrote.  Raises NotReachable while there are none."""
    try:
        value = json.loads(path.read_text())
        return {"owner": str(value["owner"]), "worker": str(value["worker"]), **value}
    except (OSError, ValueError, KeyError, TypeError):
        raise NotReachable(f"{path} does not contain the signer's addresses yet") from None


def wallets_name(addresses: dict[str, str]) -> None:
    """Call the signer's first keys on the pages what they are called there; names that people gave stay."""
    for name, address in addresses.items():
        for wallet in wallets_visible(SYSTEM).filter(address=str(address), label=""):
            wallet_label_set(principal=SYSTEM, wallet=wallet, label=name)


def pool_miner_prepare(*, addresses: dict[str, str], client: ChainClient) -> Miner:
    """Make the pool's miner, or find it.  Raises what stands in the way: no node, no signer, no funds."""
    known = miners_visible(SYSTEM).filter(create_message_id=MINER_MESSAGE)
    made = known.filter(state=MinerState.ACTIVE).first()
    if made is not None:  # its tenant is not compared: the miner may have been transferred since
        return made
    return create_miner_push(
        tenant=tenant_by_name(POOL),
        name="pool",
        owner=addresses["owner"],
        worker=addresses["worker"],
        seal_proof=pool_seal_proof(),
        deposit=creation_deposit_read(client),
        message_id=MINER_MESSAGE,
    )


def pool_seal_proof() -> RegisteredSealProof:
    """Return the network's smallest kind of sector; the embedded chain has 2 KiB."""
    proofs = network_current().seal_proofs
    small = [proof for proof in proofs if proof.sector_size == SIZE_2KIB]
    return small[0] if small else proofs[0]
