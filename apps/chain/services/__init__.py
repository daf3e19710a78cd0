"""Writing what nodes report: nodes and heads."""
