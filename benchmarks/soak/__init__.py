"""``make soak``: uses the engine at random for a while; nothing may be lost, left, or grow."""
