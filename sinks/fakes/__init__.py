"""Fakes: far ends of channels as real HTTP servers, for the demo and for tests.

What: a PagerDuty that keeps incidents and its documented limits, and a webhook receiver. Why shipped: the demo pages
somebody, and nobody has to sign up for that. It refuses to be reachable from other machines: loopback only.
"""
