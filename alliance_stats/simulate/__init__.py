"""Sessions from known parameters."""
