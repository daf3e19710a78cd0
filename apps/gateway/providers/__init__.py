"""The end of the hub that holds connections: a web process, its signers and its miners' provers."""
