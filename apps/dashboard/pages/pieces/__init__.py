"""Pieces: the list, the upload, and what can be done with one."""
