"""Source to destination: segments, types, cleaning rules and what is lost."""
