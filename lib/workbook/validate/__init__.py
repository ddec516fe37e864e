"""Proof that the copy is the source: content, objects, relations, on every hop."""
