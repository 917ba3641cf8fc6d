"""Addresses: which ones a secret or a key may travel to and from.

What: this machine's own, and URLs that are safe. Why: a token endpoint or a set of keys over plain HTTP is whatever
somebody on the way wants it to be. It refuses to look a name up.
"""

from __future__ import annotations

import ipaddress
import urllib.parse


def loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def guarded_url(url: str) -> bool:
    """https, or http to this machine's own address."""
    parts = urllib.parse.urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and loopback(parts.hostname or ""))
    )
