"""Writing what the chain told: nodes and heads."""
