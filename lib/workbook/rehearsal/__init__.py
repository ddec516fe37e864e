"""The rehearsal of a cutover on the stand-ins: writers that never stop, and what the switches were like for them."""
