"""`translate` and `blocktranslate` that cost nothing while the console has one language.

Django looks each text up whenever it renders it, which takes a third of the time of a long table
(decision 22). With USE_I18N off it would find the text itself, so it is written into the compiled template.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from django import template
from django.conf import settings
from django.template import Context
from django.template.base import Node, NodeList, TextNode, VariableNode
from django.templatetags import i18n
from django.utils.translation import trim_whitespace

if TYPE_CHECKING:
    from django.template.base import Parser, Token
    from django.utils.safestring import SafeString

register = template.Library()
PLACE: Final = re.compile(r"%\((\w+)\)s")


class Text(Node):
    """A text with values in it."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodelist = NodeList(nodes)

    def render(self, context: Context) -> SafeString:
        """Render the text and its values."""
        return self.nodelist.render(context)


@register.tag
def translate(parser: Parser, token: Token) -> Node:
    """Compile a text."""
    node = i18n.do_translate(parser, token)
    if settings.USE_I18N or node.asvar or node.filter_expression.var.literal is None:
        return node
    return TextNode(node.render(Context()))


@register.tag
def blocktranslate(parser: Parser, token: Token) -> Node:
    """Compile a text with values; one with a plural, or for a variable, stays Django's."""
    node = i18n.do_block_translate(parser, token)
    if settings.USE_I18N or node.asvar or node.countervar:
        return node
    text, _ = node.render_token_list(node.singular)
    if node.trimmed:
        text = trim_whitespace(text)
    values = node.extra_context
    return Text(
        [
            VariableNode(values.get(part) or parser.compile_filter(part))
            if at % 2
            else TextNode(part.replace("%%", "%"))
            for at, part in enumerate(PLACE.split(text))
        ]
    )
