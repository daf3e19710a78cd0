"""Grafana's boards and Prometheus' rules: as made from the table, and true of what `/metrics` tells."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client

from apps.blocks.models import Block, Round
from apps.blocks.states import RoundState
from apps.checks.report.boards import expression_of, file_name
from apps.checks.report.metric_table import FIGURES, Board
from apps.core.clock import now
from apps.core.metrics import RETRIEVALS, RETRIEVED_BYTES
from apps.proving.models import WindowPost
from tests import factories
from tests.debian_packages import program_find
from tests.demo_data import busy_pool
from tests.integration.pools import SITE
from tests.promql import labels_used, untold

DEPLOY = SITE / "poolsite" / "deploy"
RULES = DEPLOY / "prometheus" / "poolsite.rules.yml"


def expressions() -> dict[str, str]:
    """Return the expression of each panel and rule by where it stands."""
    found = {}
    for board in Board:
        for panel in json.loads((DEPLOY / "grafana" / file_name(board)).read_text())["panels"]:
            found[f"{board}: {panel['title']}"] = panel["targets"][0]["expr"]
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        found |= {rule["alert"]: rule["expr"] for rule in group["rules"]}
    return found


def busy_answer(client: Client) -> str:
    """Return what `/metrics` tells of a pool that has something of everything."""
    pool = busy_pool()
    window = {"open_epoch": 990, "close_epoch": 1000, "challenge_epoch": 988, "randomness": b"r"}
    WindowPost.objects.create(miner=pool.miner, deadline_index=0, landed_height=993, state="LANDED", **window)
    steps: list[Any] = [["sign", 30_000, 500]]
    common = {"miner": pool.miner, "base_height": 1, "at": now(), "budget_ms": 42_000}
    won = Round.objects.create(epoch=2, state=RoundState.INCLUDED, win_count=1, steps=steps, **common)
    Block.objects.create(round=won, actor_id=2001, height=2, signed=b"signed")
    factories.network()
    RETRIEVALS.labels("f02001").inc(0)
    RETRIEVED_BYTES.labels("f02001").inc(0)
    client.get("/healthz")
    return client.get("/metrics").content.decode()


def told(answer: str) -> dict[str, set[str]]:
    """Return each metric of an answer with the labels of its series."""
    found: dict[str, set[str]] = {}
    for name, where in re.findall(r"^(poolsite_\w+)(?:\{(.*)\})? \S+$", answer, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', where))
    return found


@pytest.mark.django_db
def test_table_boards_and_rules_are_true_of_what_metrics_tells(client):
    series = told(busy_answer(client))

    for figure in FIGURES:
        name = f"{figure.full_name}_count" if figure.kind == "histogram" else figure.full_name
        assert series[name] == set(figure.labels), name
    made = {figure.full_name for figure in FIGURES}
    plain = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in series}
    assert {name for name in plain if f"{name}_total" not in made} == made
    for where, expression in expressions().items():
        assert labels_used(expression), where
        assert untold(expression, series) == [], where


def test_there_are_no_boards_but_those_of_the_table() -> None:
    folder = DEPLOY / "grafana"
    assert {file.name for file in folder.iterdir()} == {file_name(board) for board in Board}


def test_each_figure_is_on_a_board_once():
    drawn = [expression for where, expression in expressions().items() if ": " in where]
    assert sorted(drawn) == sorted(expression_of(figure) for figure in FIGURES)


def test_an_unknown_metric_or_label_is_found():
    series = {"poolsite_wins": {"outcome"}}

    assert untold('max by (job, outcome) (poolsite_wins{outcome="lost"})', series) == []
    assert untold('poolsite_wins{why="lost"} > 0', series) == ["poolsite_wins: why"]
    assert untold("max by (miner) (poolsite_wins)", series) == ["poolsite_wins: miner"]
    assert untold("poolsite_loses > 0", series) == ["poolsite_loses"]


@pytest.mark.slow
def test_promtool_takes_the_rules_and_they_fire(tmp_path_factory: pytest.TempPathFactory) -> None:
    promtool = program_find("promtool", "prometheus", folder=tmp_path_factory.mktemp("prometheus"))
    tests: Path = RULES.with_name("poolsite.rules.test.yml")
    for command, file in (("check", RULES), ("test", tests)):
        words = [*promtool, command, "rules", str(file)]
        ran = subprocess.run(words, check=False, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
