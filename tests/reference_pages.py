"""Draws the pages that are made from code: `make docs`; a test compares each with what it is made from."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import os
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import django
from django.utils.translation import override

from apps.checks.report.boards import board_json, file_name, metrics_markdown
from apps.checks.report.metric_table import Board
from poolsite.command.acts import Act
from poolsite.console_folder import SHARED
from poolsite.settings.variables import VARIABLES
from poolsite.wire.pipeline import PIPELINES, Owner
from poolsite.wire.pipeline.specs import StageSpec

SETTINGS_HEAD: Final = """# Settings

All settings are environment variables. An empty one counts as one that is not set. Settings *of the pool* are
handed to each console machine that joins it; a machine's own environment wins. This page is made from
`poolsite/settings/variables.py` by `make docs`. The numbers of sealing have [a page of their
own](sealing/settings.md), and so has [a sealing host](sealing/hosts.md#settings-of-a-host).

A file with them, as systemd reads it: `poolsite/deploy/systemd/console.env.example`
([deployment](deployment.md)).
"""
STAGES_HEAD: Final = """# Stages and states of a sector

Made by `make docs` from `poolsite/wire/pipeline`. In words: [the way of a sector](lifecycle.md).

The state says what has been done. The stage says what comes next. Stages of a *worker* run on a sealing host
and end with its report; stages of the *console* end on a head.

- *slots*: how many run at a time on a host that sets nothing else.
- *memory*: what one slot holds while it runs. Hosts refuse slots that need more than the machine has.
- *at stake*: what the sector loses if it is too late in this stage.
"""
NUMBERS_HEAD: Final = """# Numbers of sealing

Made by `make docs` from `apps/sectors/rules/policy.py`. The variable `SEALING` changes them for the pool:
`SEALING='{"pack_wait_s": 600}'`. Those with a range can be set for one miner, on its page *Batches* or at
`PATCH /api/v1/miners/{f0…}/batches` (null: as the pool has it). Epochs last 30 s on mainnet.

In `SEALING`, `base_fee_max` is the ceiling of all kinds of batches that have none of their own there.
"""
CHECKS_HEAD: Final = """# All checks

Made by `make docs` from `apps/checks/table`. Page *Checks*, `GET /api/v1/checks` and `/metrics` have them by
these names. The operator may set [another severity, or mute
one](operations/checks.md#make-a-check-quieter-or-more-urgent). When the most costly fail, with their numbers:
[what warns before it is too late](operations/checks.md).
"""


def settings_page() -> str:
    """Return the page of the variables that the console reads."""
    parts = [SETTINGS_HEAD]
    for group, variables in VARIABLES.items():
        rows = [
            f"| `{name}` | {default} | {'pool' if name in SHARED else 'machine'} | {meaning} |"
            for name, (default, meaning) in variables.items()
        ]
        head = ["| variable | default | of the | meaning |", "|---|---|---|---|"]
        parts.append("\n".join([f"## {group}\n", *head, *rows, ""]))
    return "\n".join(parts)


def stages_page() -> str:
    """Return the page of all pipelines."""
    parts = [STAGES_HEAD]
    for name, specs in PIPELINES.items():
        head = [
            "| state | next stage | by | ends with | leads to | slots | memory | at stake |",
            "|---" * 8 + "|",
        ]
        rows = [
            f"| {spec.state} | {spec.stage} | {spec.owner} | {spec.event} | {spec.next} "
            f"| {spec.slots or ''} | {memory_text(spec)} | {clock_text(spec)} |"
            for spec in specs
            if spec.next
        ]
        parts.append("\n".join([f"## {name}\n", *head, *rows, ""]))
    return "\n".join(parts)


def memory_text(spec: StageSpec) -> str:
    """Return what one slot of a stage holds, in words."""
    memory, words = spec.memory, []
    if memory.per_sector_byte:
        words.append(f"{memory.per_sector_byte} × the sector")
    if memory.large_bytes:
        words.append(
            f"{memory.small_bytes >> 30} GiB; from 32 GiB on {memory.large_bytes // 10**9} GB"
            + (", with Groth16" if memory.is_of_groth16 else "")
        )
    return "; ".join(words)


def clock_text(spec: StageSpec) -> str:
    """Return what a delay in a stage costs."""
    return "" if spec.owner is Owner.NOBODY or spec.clock == "none" else str(spec.clock)


def numbers_page() -> str:
    """Return the page of the numbers of sealing."""
    from apps.sectors.rules.policy import BASE_FEES, FLAGS, LIMITS, SealingPolicy

    body = ast.parse(textwrap.dedent(inspect.getsource(SealingPolicy))).body[0]
    assert isinstance(body, ast.ClassDef)
    meanings: dict[str, str] = {}
    for field, following in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(following, ast.Expr):
            meanings[ast.unparse(field.target)] = inspect.cleandoc(ast.literal_eval(following.value))
    rows = []
    for one in dataclasses.fields(SealingPolicy):
        least, most = LIMITS.get(one.name, ("", ""))
        spread = f"{least:,} to {most:,}" if one.name in LIMITS else ""
        if one.name in FLAGS:
            spread = "true or false"
        elif one.name in BASE_FEES.values():
            spread = "attoFIL, up to 1 FIL"
        meaning = " ".join(meanings[one.name].split())
        rows.append(f"| `{one.name}` | {default_text(one.default)} | {spread} | {meaning} |")
    head = ["| number | default | for a miner | meaning |", "|---|---|---|---|"]
    return "\n".join([NUMBERS_HEAD, *head, *rows, ""])


def checks_page() -> str:
    """Return the page of all checks."""
    from apps.checks.table.checks import CHECKS

    head = ["| check | severity | passes while | finds |", "|---|---|---|---|"]
    with override("en"):
        rows = [
            f"| `{one.name}` | {one.severity} | {one.title} | {sentence_of(one.find)} |"
            for one in sorted(CHECKS, key=lambda one: (one.severity, one.name))
        ]
    return "\n".join([CHECKS_HEAD, *head, *rows, ""])


def sentence_of(find: Callable[..., object]) -> str:
    """Return what a check finds, by its docstring."""
    text = " ".join(inspect.cleandoc(find.__doc__ or "").removeprefix("Yield ").split())
    return f"{text[0].upper()}{text[1:]}"


def default_text(value: object) -> str:
    """Return a default as the variable SEALING takes it, with its thousands parted."""
    if value is None:
        return ""
    return f"{value:,}" if type(value) is int else str(value).lower()


def access_page() -> str:
    """Return the page of who may call what."""
    from apps.api.access_table import table_markdown

    return table_markdown()


def commands_page() -> str:
    """Return the page of the commands of `poolsite`."""
    from drf_spectacular.generators import SchemaGenerator

    from poolsite.command.acts import acts_markdown, acts_of

    return acts_markdown(acts_of(SchemaGenerator().get_schema(request=None, public=True)))


VERBS: Final = Path("docs/verbs.md")
CELL: Final = re.compile(r"(?<!\\)\|")
CODE: Final = re.compile(r"`([^`]+)`")


def verbs_page() -> str:
    """Return the page of the peers' verbs, each with the commands of the requests that its row names."""
    from poolsite.command.acts import acts_read

    acts = acts_read()
    lines = []
    for line in VERBS.read_text().splitlines():
        cells = CELL.split(line)
        if len(cells) == 6 and (found := list(commands_of(cells[3], acts))):
            kept = [text for text in cells[4].split(", ") if "manage.py" in text or "lotus-shed" in text]
            cells[4] = f" {', '.join([*dict.fromkeys(found), *map(str.strip, kept)])} "
        lines.append("|".join(cells))
    return "\n".join(lines) + "\n"


def commands_of(cell: str, acts: Sequence[Act]) -> Iterator[str]:
    """Yield the commands of the requests in a cell of REST: `GET`, `POST miners/M/batches`."""
    methods: list[str] = []
    for code in CODE.findall(cell):
        method, _, path = code.partition(" ")
        methods.append(method)
        if not path:
            continue
        parts = path.partition("?")[0].split("/")
        for act in acts:
            own = act.path.split("/")
            if act.method in methods and len(own) == len(parts) and all(map(part_fits, parts, own)):
                words = [act.noun, act.verb, *(one for one, of in zip(parts, own, strict=True) if "{" in of)]
                yield f"`{' '.join(words)}`"
        methods = []


def part_fits(named: str, own: str) -> bool:
    """Return whether a part of a path is that of a request, or stands for its value in capitals."""
    return named == own or (own.startswith("{") and named.isupper())


def state_page() -> str:
    """Return the page of the state diagrams."""
    from tests.state_diagrams import page

    return page()


def flow_page() -> str:
    """Return the page of the flows."""
    from tests.flow_diagrams import page

    return page()


PAGES: Final[dict[str, Callable[[], str]]] = {
    "docs/settings.md": settings_page,
    "docs/checks.md": checks_page,
    "docs/sealing/stages.md": stages_page,
    "docs/sealing/settings.md": numbers_page,
    "docs/states.md": state_page,
    "docs/flows.md": flow_page,
    "docs/access.md": access_page,
    "docs/commands.md": commands_page,
    "docs/verbs.md": verbs_page,
    "docs/metrics.md": metrics_markdown,
    **{f"poolsite/deploy/grafana/{file_name(board)}": partial(board_json, board) for board in Board},
}
"""Each page that is made from code, and each of Grafana's boards."""


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.test")
    django.setup()
    for path, page in PAGES.items():
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(page())
