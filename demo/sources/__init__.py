"""Sources of the demo: vehicles and web services replayed from recordings, and the desktop that it runs on.

What: each source records, through the client library, what happened in a slice of event time. Why: the same code
publishes a past hour and the running second. They refuse to read a clock: the slice is given.
"""
