"""A world at a moment, kept so that later tests begin there: its rows, its chain, its hosts' files."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from apps.chain.models import Node as NodeRow
from poolsite.wire.origins import IdFound
from tests.fast_flush import KEPT
from tests.integration.sealing.world import CHAIN, Node, World
from workers.console.client import Console


@dataclass(frozen=True, slots=True)
class Kept:
    """What a world had; its folder must be the later world's too, as files name each other by their paths."""

    folder: Path
    """The copy of all files."""
    rows: dict[str, bytes]
    """Every filled table, as COPY writes it."""
    chain_time: float
    ids: dict[str, IdFound]
    console: Console
    """The hosts' line, whose token is among the rows."""


def world_keep(world: World, folder: Path) -> Kept:
    """Stop the world's chain and copy all that the world has."""
    world.node.close()
    shutil.copytree(world.folder, folder)
    rows: dict[str, bytes] = {}
    with connection.cursor() as cursor:
        for table in tables():
            copy = io.BytesIO()
            cursor.copy_expert(f"copy (select * from {table}) to stdout", copy)  # also of one in parts
            if copy.tell():
                rows[table] = copy.getvalue()
    return Kept(folder, rows, world.node.clock.now(), dict(world.ids), world.console)


def world_resume(world: World, kept: Kept) -> None:
    """Put everything back, and start the chain and the hosts on it."""
    world.node.close()
    shutil.rmtree(world.folder)
    shutil.copytree(kept.folder, world.folder)
    with connection.cursor() as cursor:
        # no foreign key and no guard of the audit log holds until its end
        cursor.execute("set local session_replication_role = replica")
        for table in tables():
            cursor.execute(f"delete from {table}")
        for table, rows in kept.rows.items():
            cursor.copy_expert(f"copy {table} from stdin", io.BytesIO(rows))
        cursor.execute("set local session_replication_role = origin")
    world.ids.clear()
    world.ids.update(kept.ids)
    world.node = Node(world.folder / CHAIN, chain_time=kept.chain_time)
    NodeRow.objects.update(url=world.node.url)
    world.console = kept.console
    world.agent = world.sealer()
    world.prover = world.prover_make()


def tables() -> list[str]:
    """List the tables that tests write to, quoted."""
    names = set(connection.introspection.django_table_names(only_existing=True)) - KEPT
    return [connection.ops.quote_name(name) for name in sorted(names)]
