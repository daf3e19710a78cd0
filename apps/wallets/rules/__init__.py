"""What a limited token may have signed."""
