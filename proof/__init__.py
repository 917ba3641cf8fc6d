"""Proof: faults on purpose, and an oracle that says what they cost."""
