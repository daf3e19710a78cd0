"""Proving: what lands next, a month of margins, deadlines, partitions, sectors."""
