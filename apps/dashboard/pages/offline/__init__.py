"""Offline signing: keys that no signer holds, their messages on the way out, and signatures on the way in."""
