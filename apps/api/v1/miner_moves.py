"""A miner's move into the pool and out of it, over REST: its steps, and the height of the change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.chain.node.client import chain_client
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.selectors.miners import miner_get
from apps.moves.rules.steps import Direction, Move, MoveWindow, Step, StepState
from apps.moves.selectors.moves import move_of
from apps.moves.services.acts import HEIGHT, NUMBERS, move_step_do
from apps.moves.services.heights import move_cancel
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.miners.models import Miner

DIRECTIONS = [str(direction) for direction in Direction]
STEP_STATES = [str(state) for state in StepState]


class MinerMoveStepOutput(serializers.Serializer[Any]):
    """One step."""

    key = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=STEP_STATES)
    figure = serializers.CharField(help_text="what the state is based on")
    first = serializers.ListField(child=serializers.CharField(), help_text="steps that block it")
    risk = serializers.CharField(help_text="what is lost if it is done at the wrong time, or not at all")
    command = serializers.CharField(help_text="command to run on a machine; empty if none")
    page = serializers.CharField(help_text="page of the console where it is done; empty if none")


class MinerMoveWindowOutput(serializers.Serializer[Any]):
    """A window with sectors."""

    deadline = serializers.IntegerField()
    open = serializers.IntegerField()
    close = serializers.IntegerField()
    sectors = serializers.IntegerField()
    is_ours = serializers.BooleanField(help_text="whether the pool proves it")
    is_proven = serializers.BooleanField(allow_null=True, help_text="null if it is not open")


class MinerMoveOutput(serializers.Serializer[Any]):
    """The current state of a move."""

    miner = serializers.CharField()
    way = serializers.ChoiceField(choices=DIRECTIONS)
    height = serializers.IntegerField(help_text="height of the head")
    works_from = serializers.IntegerField(
        allow_null=True, help_text="the pool proves windows that open at this height or later; null: all"
    )
    works_until = serializers.IntegerField(
        allow_null=True, help_text="another program does from this height on; 0: until a height is set"
    )
    is_pending = serializers.BooleanField(
        help_text="a height is set but not reached yet, so it can be cancelled"
    )
    steps = MinerMoveStepOutput(many=True)
    windows = MinerMoveWindowOutput(many=True)


class MinerMoveInput(InputSerializer):
    """The direction, and exactly one of the next three fields."""

    way = serializers.ChoiceField(choices=DIRECTIONS)
    height = serializers.IntegerField(
        required=False,
        help_text="height from which windows that open, and blocks, are the new program's",
    )
    last_number = serializers.IntegerField(
        required=False,
        help_text="way in: highest sector number that the other program has allocated or reserved",
    )
    give_numbers = serializers.BooleanField(
        required=False, help_text="way out: true hands sector numbers back and ends pledges here"
    )
    force = serializers.BooleanField(
        required=False,
        default=False,
        help_text="continue although earlier steps are unfinished; the audit log names them",
    )


def step_body(step: Step) -> dict[str, Any]:
    """Return one step as JSON."""
    plain = ("key", "title", "figure", "risk", "command")
    return {
        **{name: getattr(step, name) for name in plain},
        "state": str(step.state),
        "first": list(step.first),
        "page": "" if step.link is None else step.link.address,
    }


def window_body(window: MoveWindow) -> dict[str, Any]:
    """Return one window as JSON."""
    plain = ("deadline", "open", "close", "sectors", "is_ours", "is_proven")
    return {name: getattr(window, name) for name in plain}


def move_body(move: Move) -> dict[str, Any]:
    """Return a move as JSON."""
    plain = ("miner", "height", "works_from", "works_until", "is_pending")
    return {
        **{name: getattr(move, name) for name in plain},
        "way": str(move.direction),
        "steps": [step_body(step) for step in move.steps],
        "windows": [window_body(window) for window in move.windows],
    }


def move_do(miner: Miner, *, direction: Direction, by: Principal, force: bool = False, **body: Any) -> Miner:
    """Do one act of a move.  Raises DomainError naming the field."""
    allowed = ("height", "last_number") if direction == Direction.IN else ("height", "give_numbers")
    set_fields = [name for name in body if body[name] is not None and body[name] is not False]
    if len(set_fields) != 1 or set_fields[0] not in allowed:
        raise BadValue(gettext("must be one of {names}").format(names=", ".join(allowed)), field=allowed[0])
    return move_step_do(
        miner,
        direction=direction,
        step=HEIGHT if set_fields == ["height"] else NUMBERS,
        number=int(body[set_fields[0]]),
        by=by,
        allocated=numbers_allocated(chain_client(), miner.address) if direction == Direction.OUT else (),
        is_forced=force,
    )


class MinerMoveView(PoolView):
    """`/miners/{address}/move`: the way into the pool from another program, and back."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign", "DELETE": "sign"}
    filters = ("way",)
    asks_network = True
    confirmed_methods = ("POST", "DELETE")

    @extend_schema(responses=MinerMoveOutput, parameters=[OpenApiParameter("way", str, enum=DIRECTIONS)])
    def get(self, request: Request, address: str) -> Response:
        """Show the steps with their states; without `way`, those of the current direction."""
        direction = request.query_params.get("way", "")
        if direction and direction not in DIRECTIONS:
            raise BadValue(gettext("must be in or out"), field="way")
        miner = miner_get(self.principal, address)
        return Response(
            move_body(move_of(miner, self.principal, direction=Direction(direction) if direction else None))
        )

    @extend_schema(request=MinerMoveInput, responses=MinerMoveOutput)
    def post(self, request: Request, address: str) -> Response:
        """Set the height at which the miner moves, or take over or hand back its sector numbers."""
        body = MinerMoveInput(data=request.data)
        body.is_valid(raise_exception=True)
        direction = Direction(body.validated_data.pop("way"))
        miner = miner_get(self.principal, address)
        done = move_do(miner, direction=direction, by=self.principal, **body.validated_data)
        return Response(move_body(move_of(done, self.principal, direction=direction)))

    @extend_schema(responses={200: MinerMoveOutput})
    def delete(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Cancel the last height, unless the chain has reached it."""
        done = move_cancel(miner_get(self.principal, address), by=self.principal)
        return Response(move_body(move_of(done, self.principal)))


urlpatterns = [path("miners/<str:address>/move", MinerMoveView.as_view(), name="v1-miner-move")]
