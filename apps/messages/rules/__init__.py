"""What a message does, told by its method."""
