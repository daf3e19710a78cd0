"""Writing messages: push, select, publish, track, change."""
