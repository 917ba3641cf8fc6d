"""Peers: the same work done by other engines, so that ratios come from one run on one machine."""
