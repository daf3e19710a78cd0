"""What decides about a message from what is given: method, purpose, gas, guards, its caller's wishes."""
