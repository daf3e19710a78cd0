"""Every state that a row can be in has a word."""

from __future__ import annotations

import re

import pytest

from apps.dashboard.labels import EVENTS, MESSAGES, STAGES, WAITING
from apps.dashboard.pages.miners.deadlines import FORECASTS, STRIP_TONES
from apps.dashboard.templatetags.poolsite import html_key
from apps.messages.states import MessageState
from apps.proving.states import Forecast
from poolsite.wire.pipeline import NEXT_STAGE, PIPELINES, Owner, SectorEvent, Stage, UnsealStage

TONES = {"idle", "run", "ok", "warn", "bad"}


def test_every_stage_has_a_name():
    assert set(STAGES) == {spec.stage for table in PIPELINES.values() for spec in table}
    assert {*Stage, *UnsealStage} <= set(STAGES)
    assert all(STAGES.values())


def test_every_stage_of_the_console_says_what_it_waits_for():
    console = {step.stage for step in NEXT_STAGE.values() if step.owner is Owner.CONSOLE}

    assert console <= set(WAITING)


def test_every_event_of_a_sector_has_text():
    assert {str(event) for event in SectorEvent} <= set(EVENTS)


def test_every_state_of_a_message_has_a_word():
    assert set(MESSAGES) == set(MessageState)


def test_every_forecast_has_a_word_and_a_tone():
    assert set(FORECASTS) == set(STRIP_TONES) == set(Forecast)


@pytest.mark.parametrize("word", [*WAITING.values(), *MESSAGES.values(), *FORECASTS.values()])
def test_words_are_lower_case_and_toned(word):
    assert word.word[0].islower()
    assert word.tone in TONES
    assert word.sign


@pytest.mark.parametrize("text", ["plain-Id_1", "a/b c", "<script>", "ümlaut", "a:b", "", "x" * 256])
def test_an_html_key_is_safe_in_an_id_and_a_selector(text):
    assert re.fullmatch(r"[A-Za-z0-9_-]*", html_key(text))


def test_different_ids_have_different_html_keys():
    assert len({html_key(text) for text in ("a/b", "a:b", "a b", "a_b", "ab", "a_2f_b")}) == 6
