"""Selection models: which results get published, and what the effects are once that is allowed for."""
