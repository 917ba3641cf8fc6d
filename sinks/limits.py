"""Every bound of the sinks room, in one place.

What: numbers with units in their names. Why: a bound that has no name cannot be tested or raised on purpose. It refuses
to decide what happens at a bound; the module that meets it counts what it drops.
"""

from __future__ import annotations

#: Texts that come back from other services, as kept in records.
DETAIL_CHARS_MAX = 300
RESPONSE_BYTES_MAX = 64 << 10
HEADERS_MAX = 64

#: PagerDuty Events API v2, as documented.
PAGERDUTY_ROUTING_KEY_CHARS = 32
PAGERDUTY_DEDUP_KEY_CHARS_MAX = 255
PAGERDUTY_SUMMARY_CHARS_MAX = 1_024
PAGERDUTY_EVENT_BYTES_MAX = 512 * 1024
PAGERDUTY_PER_MINUTE = 120

#: Ids within messages of other services; longer ones are hashed.
IDENTITY_CHARS_MAX = 64

#: E-mail. RFC 5321 bounds addresses; the texts are ours.
EMAIL_ADDRESS_CHARS_MAX = 254
EMAIL_LOCAL_PART_CHARS_MAX = 64
EMAIL_RECIPIENTS_MAX = 50
EMAIL_SUBJECT_CHARS_MAX = 200
EMAIL_TEXT_CHARS_MAX = 4_000
EMAIL_FIELD_CHARS_MAX = 1_000
EMAIL_BYTES_MAX = 256 << 10
EMAIL_PER_MINUTE = 60

#: Generic webhook.
WEBHOOK_BODY_BYTES_MAX = 1 << 20

#: Slack. Texts are bounded well below what is documented (section text 3,000, field 2,000, a message near 13,200), as it
#: does not say whether it counts before or after escaping.
SLACK_TEXT_CHARS_MAX = 2_000
SLACK_DESCRIPTION_CHARS_MAX = 1_500
SLACK_FIELD_CHARS_MAX = 400
SLACK_LINK_CHARS_MAX = 700
SLACK_PER_MINUTE = 40  # a delivery edits and posts, and each of those may be done 50 times a minute
SLACK_SEARCH_PAGE = 200  # messages
SLACK_SEARCH_PAGES_MAX = 5
SLACK_SEARCHES_MAX = 6  # after so many that failed, half a minute of back-off, what cannot be looked for is sent
SLACK_CLOCK_SLACK_MS = 600_000

#: Back-off, ms. A Retry-After beyond the last is taken as the last; the fallback channel is asked long before.
BACKOFF_BASE_MS = 1_000
BACKOFF_MAX_MS = 60_000
RETRY_AFTER_MS_MAX = 3_600_000

#: Outbox.
WINDOW_MS = 61_000  # sixty seconds, and one for senders whose requests take unequal times
PENDING_MAX = 10_000  # per channel
SETTLED_MAX = 8_192  # ids remembered, so that a repeat is not sent again; a replay is seconds long, not days
TOLD_MAX = 8_192  # (channel, incident) pairs remembered
MEMO_CHARS_MAX = 4_096  # what a destination may ask to be reminded of
CHANGES_MAX = 50_000  # changed records that wait for a drain
SWEEP_MS = 250  # between two looks for what is overdue
LEASE_SLACK_MS = 5_000  # after an attempt's deadline, until it counts as lost
SNAPSHOT_BYTES_MAX = 256 << 20

#: Channels file.
FILE_BYTES_MAX = 1 << 20
PROBLEMS_MAX = 100
CHANNELS_MAX = 100
NAME_CHARS_MAX = 63
YAML_DEPTH_MAX = 20

#: Shipped fakes.
FAKE_BODY_BYTES_MAX = 2 << 20
FAKE_ARRIVALS_MAX = 100_000
