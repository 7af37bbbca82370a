"""Function execution in real processes."""
