"""The bulk load: every row from one consistent picture of the source, exact to the byte, resumable."""
