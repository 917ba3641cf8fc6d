"""A device is who its certificate says, over real TLS."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import ssl

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway import server
from gateway.certificate import identity_of
from gateway.intake import Intake
from gateway.refusal import Refusal
from gateway.telemetry import PATH
from tests.gateway.making import batch, send, settings
from tests.gateway.test_intake import Kept

NOW = dt.datetime.now(dt.UTC)


class Authority:
    """Signs certificates into a folder."""

    def __init__(self, folder, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.path = folder / f"{name}.pem"
        constraint = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._builder(self.name, self.key).add_extension(constraint, critical=True)
        self.path.write_bytes(certificate.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject, key, ends=NOW + dt.timedelta(hours=1)):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - dt.timedelta(hours=1))
            .not_valid_after(ends)
        )

    def issue(self, common: str, organisation: str = "", **validity):
        """(certificate, key) as files. `ends`: another end than in an hour."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
        if organisation:
            parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = self._builder(x509.Name(parts), key, **validity).add_extension(names, critical=False)
        paths = self.folder / f"{common}.crt", self.folder / f"{common}.key"
        paths[0].write_bytes(certificate.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "fleet-ca")


@contextlib.asynccontextmanager
async def guarded(authority, monkeypatch):
    """(url, records, client's context) of a gateway that asks for certificates; Kafka is replaced."""
    kept = Kept()
    monkeypatch.setattr(server, "Intake", lambda *_: Intake(kept))
    certificate, key = authority.issue("gateway")
    own = settings(tls_cert=certificate, tls_key=key, tls_client_ca=authority.path)
    async with server.running(own, "127.0.0.1:1") as gateway:
        yield gateway.url + PATH, kept, ssl.create_default_context(cafile=str(authority.path))


async def test_a_device_sends_for_itself_and_for_nobody_else(authority, monkeypatch):
    async with guarded(authority, monkeypatch) as (url, kept, tls):
        assert url.startswith("https://")
        tls.load_cert_chain(*authority.issue("car-7", "fleet"))
        assert (await send(url, batch("car-7"), tls=tls)).json()["stored"] == 1
        spoofed = await send(url, batch("car-8"), tls=tls)
        assert spoofed.json()["verdicts"][0]["reason"] == "source"
    assert [(key, headers) for key, _, headers in kept.records] == [(b"car-7", [("tenant", b"fleet")])]


async def test_without_a_certificate_or_with_a_strangers_there_is_no_handshake(authority, monkeypatch, tmp_path):
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "other-ca")
    async with guarded(authority, monkeypatch) as (url, kept, tls):
        with pytest.raises((OSError, aiohttp.ClientError)):
            await send(url, batch("car-7"), tls=tls)
        tls.load_cert_chain(*stranger.issue("car-7"))
        with pytest.raises((OSError, aiohttp.ClientError)):
            await send(url, batch("car-7"), tls=tls)
    assert not kept.records


@pytest.mark.parametrize(
    "subject",
    [
        (),
        ((("organizationName", "fleet"),),),
        ((("commonName", "car-7"),), (("commonName", "car-8"),)),
        ((("commonName", ""),),),
        ((("commonName", "x" * 129),),),
    ],
)
def test_a_subject_without_one_name_is_nobody(subject):
    with pytest.raises(Refusal) as caught:
        identity_of({"subject": subject})
    assert caught.value.status == 403


def test_the_organisation_is_the_tenant():
    assert identity_of({"subject": ((("commonName", "car-7"),),)}).tenant == "default"
