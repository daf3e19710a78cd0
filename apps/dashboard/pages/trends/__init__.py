"""Charts of what was, of each thing that has a history."""
