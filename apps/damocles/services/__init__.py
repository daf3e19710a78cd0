"""What damocles-workers ask and submit over their own JSON-RPC."""
