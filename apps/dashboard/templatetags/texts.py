"""`translate` and `blocktranslate` that look a text up once for each language (decision 22).

Django looks each text up whenever it renders it, which takes a third of the time of a long table.
"""

from __future__ import annotations

import re
from typing import Final

from django import template
from django.template import Context
from django.template.base import FilterExpression, Node, NodeList, Parser, TextNode, Token, VariableNode
from django.templatetags import i18n
from django.utils.translation import get_language, gettext, pgettext

register = template.Library()
PLACE: Final = re.compile(r"%\((\w+)\)s")


class Text(Node):
    """A text as it is in each language, from the first time that a page in that language shows it."""

    def __init__(self, node: i18n.TranslateNode) -> None:
        self.node = node
        self.texts: dict[str | None, str] = {}

    def render(self, context: Context) -> str:  # noqa: ARG002  # a text without values
        """Return the text in the page's language."""
        language = get_language()
        if (text := self.texts.get(language)) is None:
            text = self.texts[language] = self.node.render(Context())
        return text


class TextWithValues(Node):
    """A text with values in it, as it is in each language."""

    def __init__(self, text: str, context: str, values: dict[str, FilterExpression]) -> None:
        self.text, self.context = text, context
        self.values = values
        self.parts: dict[str | None, NodeList] = {}

    def render(self, context: Context) -> str:
        """Return the text and its values in the page's language."""
        language = get_language()
        if (parts := self.parts.get(language)) is None:
            text = pgettext(self.context, self.text) if self.context else gettext(self.text)
            parts = self.parts[language] = NodeList(
                VariableNode(self.values[part]) if at % 2 else TextNode(part.replace("%%", "%"))
                for at, part in enumerate(PLACE.split(text))
            )
        return parts.render(context)


@register.tag
def translate(parser: Parser, token: Token) -> Node:
    """Compile a text."""
    node = i18n.do_translate(parser, token)
    return node if node.asvar or node.filter_expression.var.literal is None else Text(node)


@register.tag
def blocktranslate(parser: Parser, token: Token) -> Node:
    """Compile a text with values; one with a plural, or for a variable, stays Django's."""
    node = i18n.do_block_translate(parser, token)
    if node.asvar or node.countervar:
        return node
    text, names = node.render_token_list(node.singular)
    context = node.message_context.resolve(Context()) if node.message_context else ""
    values = {name: node.extra_context.get(name) or parser.compile_filter(name) for name in names}
    return TextWithValues(text, context, values)
