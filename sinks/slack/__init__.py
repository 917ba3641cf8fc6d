"""Slack: one message an incident, kept up to date, with a thread of what changed.

What: the bot (Web API: posts, edits, threads, looks for what it may have posted before) and the incoming webhook (posts
only). Why two: a webhook's address is all that some teams get. It refuses to mention anybody whom the channels file does
not name, whatever the text says.
"""
