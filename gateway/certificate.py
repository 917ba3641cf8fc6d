"""Certificates: TLS for the gateway, and a device's identity out of its own certificate.

What: an SSL context from files, and subject to identity: the common name is the source, the organisation the tenant. Why:
a vehicle has a key in its hardware and no person to type a password. It refuses a subject without exactly one common
name, and, where every client must show a certificate, the handshake of one who does not.
"""

from __future__ import annotations

import pathlib
import ssl
from collections.abc import Mapping
from typing import Final

from gateway.identity import Identity
from gateway.refusal import Refusal
from schemas.limits import SOURCE_CHARS

DEFAULT_TENANT: Final = "default"


def context(
    certificate: pathlib.Path, key: pathlib.Path, client_ca: pathlib.Path | None, *, required: bool
) -> ssl.SSLContext:
    """TLS 1.2 or newer. `required`: nobody gets in without a certificate of `client_ca`. Raises OSError, ssl.SSLError."""
    found = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    found.minimum_version = ssl.TLSVersion.TLSv1_2
    found.load_cert_chain(certificate, key)
    if client_ca is not None:
        found.load_verify_locations(client_ca)
        found.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return found


def identity_of(certificate: Mapping[str, object]) -> Identity:
    """`certificate` as `getpeercert` answers for one that was verified. Raises Refusal."""
    fields: dict[str, list[str]] = {}
    subject = certificate.get("subject", ())
    for part in subject if isinstance(subject, tuple) else ():
        for name, value in part:
            fields.setdefault(name, []).append(value)
    names = fields.get("commonName", [])
    if len(names) != 1 or not 0 < len(names[0]) <= SOURCE_CHARS:
        raise Refusal(403, "certificate", "the certificate's subject needs exactly one common name: the source")
    tenant = fields.get("organizationName", [DEFAULT_TENANT])[0]
    return Identity(f"certificate:{names[0]}", tenant, source=names[0])
