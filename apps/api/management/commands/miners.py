"""`manage.py miners`: a miner's target and its settings, as its pages and REST set them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import CommandError
from django.utils.translation import gettext

from apps.api.address_bodies import reach_body
from apps.api.management.caller import COMMAND
from apps.api.management.words import checked, facts, refusals_as_command_errors, values_of
from apps.api.v1.block_output import luck_body
from apps.api.v1.miner_batches import BatchSettingsInput, settings_body
from apps.api.v1.miner_moves import DIRECTIONS, MinerMoveInput, move_body, move_do
from apps.api.v1.miner_senders import MinerSendersInput, senders_body
from apps.api.v1.miner_targets import TargetInput, target_body
from apps.blocks.selectors.luck import lucks_shared
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.core.management.any_order import AnyOrderCommand
from apps.miners.selectors.addresses import addresses_read
from apps.miners.selectors.miners import miner_get
from apps.miners.services.addresses import senders_set
from apps.moves.rules.steps import Direction, StepState
from apps.moves.selectors.moves import direction_of, move_of
from apps.moves.services.heights import move_cancel
from apps.sectors.selectors.targets import target_get
from apps.sectors.services.batches.requests import batches_request, waiting_sectors_group
from apps.sectors.services.batches.settings import batch_settings_set
from apps.sectors.services.sealing.targets import target_remove, target_set

if TYPE_CHECKING:
    from apps.miners.models import Miner


PARTS: Final = ("target", "batches", "senders", "waiting", "reach", "move", "luck")


def move_lines(body: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each fact, step and window of a move, with the commands of what is not done."""
    yield from facts({name: value for name, value in body.items() if name not in ("steps", "windows")})
    for step in body["steps"]:
        first = gettext(" (first: {steps})").format(steps=", ".join(step["first"])) if step["first"] else ""
        yield f"[{step['state']}] {step['title']}: {step['figure']}{first}"
        if step["state"] != StepState.DONE:
            yield f"    ! {step['risk']}"
            yield from (f"    $ {line}" for line in step["command"].splitlines())
    yield from facts({"windows": body["windows"]})


class Command(AnyOrderCommand):
    """Show what is set; set what is named."""

    help = (
        "target f01000 [in_work=20 until=2027-01-01T00:00Z] or target f01000 end; "
        "batches f01000 [pack_wait_s=600 commit_base_fee_max=null]; "
        "senders f01000 [post=f01005,f01006 commit=]: which addresses send what, in order; "
        "reach f01000: whether clients can reach the node that takes its deals; "
        "luck f01000: wins against expected wins of 1, 7 and 30 days; "
        "waiting f01000 [send]: show what is waiting for a batch, or send it with the next head; "
        "move f01000 [in|out] [height=H|last_number=N|give_numbers=true|cancel] [force=true]: show the steps "
        "of a move, or do one"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("what", choices=[*PARTS])
        parser.add_argument("miner", help="address of the miner, such as f01000")
        parser.add_argument(
            "values",
            nargs="*",
            help="name=value, with the names of the REST API (null: the pool's value); or `end`, `send`",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Set it, then write a line for each value."""
        with refusals_as_command_errors():
            miner, arguments = miner_get(COMMAND, options["miner"]), options["values"]
            body = getattr(self, f"_{options['what']}")(miner, arguments)
        for line in move_lines(body) if options["what"] == "move" else facts(body):
            self.stdout.write(line)

    def _target(self, miner: Miner, arguments: list[str]) -> dict[str, Any]:
        if arguments == ["end"]:
            target_remove(miner, by=COMMAND)
            return {"target": "none"}
        if arguments:
            target_set(miner, values=checked(TargetInput, values_of(arguments)), by=COMMAND, now=clock.now())
        return target_body(target_get(miner))

    def _waiting(self, miner: Miner, arguments: list[str]) -> dict[str, Any]:
        head = head_current()
        if arguments == ["send"] and head is not None:
            return batches_request(miner, head=head, by=COMMAND)
        if arguments:
            raise CommandError("use `send`, once a head is known, or nothing")
        return waiting_sectors_group(miner)

    def _senders(self, miner: Miner, arguments: list[str]) -> dict[str, Any]:
        if arguments:
            senders = {
                name: (text or "").replace(",", " ").split() for name, text in values_of(arguments).items()
            }
            senders_set(miner, named=checked(MinerSendersInput, senders), by=COMMAND)
        return senders_body(miner_get(COMMAND, str(miner.uuid)))

    def _luck(self, miner: Miner, arguments: list[str]) -> dict[str, Any]:
        if arguments:
            raise CommandError("luck takes no values")
        return {"luck": luck_body(lucks_shared([miner], now=clock.now())[miner.pk])}

    def _reach(self, miner: Miner, arguments: list[str]) -> dict[str, Any]:
        if arguments:
            raise CommandError("reach takes no values")
        return reach_body(addresses_read(miner, client=chain_client()))

    def _move(self, miner: Miner, arguments: list[str]) -> dict[str, Any]:
        directions = [word for word in arguments if word in DIRECTIONS]
        direction = Direction(directions[0]) if directions else direction_of(miner)
        acts = [word for word in arguments if word not in DIRECTIONS]
        if acts == ["cancel"]:
            miner = move_cancel(miner, by=COMMAND)
        elif acts:
            body = checked(MinerMoveInput, {**values_of(acts), "way": str(direction)})
            body.pop("way")
            miner = move_do(miner, direction=direction, by=COMMAND, **body)
        return move_body(move_of(miner, COMMAND, direction=direction))

    def _batches(self, miner: Miner, arguments: list[str]) -> dict[str, Any]:
        if arguments == ["end"]:
            raise CommandError("`end` does not apply to settings: use name=null")
        if arguments:
            batch_settings_set(miner, values=checked(BatchSettingsInput, values_of(arguments)), by=COMMAND)
        return settings_body(miner_get(COMMAND, str(miner.uuid)))
