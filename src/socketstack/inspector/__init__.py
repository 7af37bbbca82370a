"""What the engine does, as it happens."""
