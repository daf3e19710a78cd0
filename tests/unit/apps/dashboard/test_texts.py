"""Texts that are compiled into a template say what Django's own tags say."""

from __future__ import annotations

import pytest
from django.template import Context, Engine

DJANGO = "django.templatetags.i18n"
OURS = "apps.dashboard.templatetags.texts"
CONTEXT = {"name": "<alice>", "row": {"count": 1200, "none": None}, "two": 2}


@pytest.mark.parametrize(
    "source",
    [
        '{% translate "Save" %}',
        '{% translate "at most 60 %" %}',
        '{% translate "Save" as text %}-{{ text }}-',
        "{% translate name %}",
        "{% blocktranslate trimmed %}\n  One line\n  and 60 % of another\n{% endblocktranslate %}",
        "{% blocktranslate %} kept  {{ name }} as it is {% endblocktranslate %}",
        "{% blocktranslate trimmed with n=row.count %}\n <b>{{ n }}</b> {{ name }}\n{% endblocktranslate %}",
        "{% blocktranslate with n=row.none|default:'–' %}{{ n }}{{ missing }}{% endblocktranslate %}",
        "{% blocktranslate trimmed asvar text %}a {{ name }}{% endblocktranslate %}-{{ text }}-",
        "{% blocktranslate count n=two %}{{ n }} row{% plural %}{{ n }} rows{% endblocktranslate %}",
    ],
)
def test_compiled_texts_read_as_djangos(source: str) -> None:
    said = [
        Engine(builtins=tags).from_string(source).render(Context(CONTEXT))
        for tags in ([DJANGO], [DJANGO, OURS])
    ]

    assert said[0] == said[1]
