"""The drawn state tables are the real ones."""

from __future__ import annotations

from tests.state_diagrams import tables


def test_every_model_with_states_is_drawn() -> None:
    from django.apps import apps

    drawn = [table for _, table in tables().values()]
    for model in apps.get_models():
        table = getattr(model, "TRANSITIONS", None)
        assert table is None or table in drawn or model.__module__.startswith("tests."), model
