"""Reading what is measured now, and the series of what was."""
