"""Sectors that were made elsewhere: their rows, their files, and the records of another manager."""
