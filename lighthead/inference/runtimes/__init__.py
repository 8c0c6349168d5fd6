"""What runs a detector: torch, and the runtimes of exported files."""
