"""Limits of the local room: every bound on time, size and tries that these processes keep, by name.

What: constants with their units. Why: a start that hangs must end with an answer, and the answer must say which
bound it met. It refuses to hold anything that a user sets; those are environment variables named where they are read.
"""

from __future__ import annotations

#: The broker's Java heap. 512 MiB holds the demo's load with 360 MB resident, as measured.
BROKER_HEAP_MIB = 512
#: The registry's Java heap.
REGISTRY_HEAP_MIB = 384
#: The identity provider's Java heap.
KEYCLOAK_HEAP_MIB = 512
#: Less free space than this and a broker is not started: Kafka halts for good when its disk is full.
DISK_FREE_MIN_BYTES = 1 << 30
#: The largest record that the broker takes. Column batches of rollups and state chunks need more than Kafka's 1 MB.
MESSAGE_MAX_BYTES = 8 << 20
#: How long the broker may take from its start to a first answered metadata request.
BROKER_START_MAX_S = 90.0
#: How long the registry may take to its first answered request.
REGISTRY_START_MAX_S = 120.0
#: How long the identity provider may take; it builds itself at its first start.
KEYCLOAK_START_MAX_S = 300.0
#: How long formatting the storage may take.
FORMAT_MAX_S = 60.0
#: How long one start waits for another start in the same directory.
START_LOCK_MAX_S = 180.0
#: How long the jars may take to come down at the first start; the registry's archive is 160 MB.
RESOLVE_MAX_S = 900.0
#: How long one download request may stay silent.
DOWNLOAD_SILENCE_MAX_S = 60
#: Smaller downloads than this are not worth a line of progress.
ANNOUNCED_MIN_BYTES = 1_000_000
#: How long a process may take to end after it was asked to, before it is killed.
STOP_MAX_S = 15.0
#: How long a started process may take to show its own command line.
RECOGNISE_MAX_S = 2.0
#: How long a killed process may take to vanish.
KILL_MAX_S = 5.0
#: How long one metadata request may take.
METADATA_MAX_S = 2.0
#: Pause between two looks at something that is still starting.
POLL_S = 0.1
#: Pause between two looks of the guard at its parent.
GUARD_POLL_S = 0.5
#: How long a Docker daemon may take to answer before it counts as absent.
DOCKER_ANSWER_MAX_S = 2
#: Free ports are chosen before the broker binds them, so another program may be quicker: tries before giving up.
PORT_TRIES_MAX = 3
#: Lines of a dead process's log that an error shows.
LOG_TAIL_LINES_MAX = 15
#: Bytes read from the end of a log to find those lines.
LOG_TAIL_BYTES_MAX = 16_384
#: Two clocks may disagree this much on when a process was created and still mean the same process.
CREATED_TOLERANCE_S = 2.0
