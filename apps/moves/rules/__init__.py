"""The steps of a move, and in which order they come."""
