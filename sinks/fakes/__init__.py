"""Fakes: far ends of channels as real servers, for the demo and for tests.

What: a PagerDuty and a Slack that keep state and their documented limits, a webhook receiver, and a mail server. Why
shipped: the demo pages somebody, and nobody has to sign up for that. It refuses to be reachable from other machines: loopback only.
"""
