"""Why a message waits, what limits it, and what can be done: read from rows, rules and services."""
