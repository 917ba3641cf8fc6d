"""alerts: pure decisions. SLOs and partials in; alerts, incidents and notifications out, as values.

What: selection (series to SLO groups), evaluation (burn rates to alert transitions), notification (alerts to
incidents). Why: whoever doubts a page can replay it, as everything here is a function of its input. The room
refuses clocks, sockets, logging and delivery.
"""
