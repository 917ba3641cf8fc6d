"""Sinks: the edges outward, where a notification becomes a request to somebody else's service.

What: a port that every destination implements, an outbox that decides what to send when, and one file that sends. Why:
deciding is pure and tested against time lines; sending is small. It refuses to decide who is told: that is alerts' part.
"""
