"""What a server answers sends no request, and so no credentials, to another server: two real
ones on loopback.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from churn.draft.named_inputs import DraftError, fetch, find_inputs
from churn.sources import SourceRefused
from helpers.reading import PLAIN, read_api, read_file, refuse_api, refuse_file
from helpers.servers import Answer, Request, json_answer, serving

ONE_PAGE = json_answer({"items": [{"id": "1"}]})
CREDENTIALS: dict[str, dict[str, Any]] = {
    "a header of any name": {"headers": {"X-Api-Key": "key-123456"}},
    "a parameter": {"query": {"key": "key-123456"}},
    "a bearer token": {"auth": {"bearer": "key-123456"}},
    "a password": {"auth": {"user": "crm", "password": "key-123456"}},
}
PLACE = "127.0.0.7"  # where the test may have the ports of http and https for itself


def to_other_name(address: str) -> str:
    """Return an address of loopback under its other name."""
    return address.replace("127.0.0.1", "localhost")


def redirect(target: str, status: int = 302) -> Callable[[Request], Answer]:
    """Send each request on, with its parameters."""

    def answer(request: Request) -> Answer:
        query = "&".join(f"{name}={value}" for name, value in request.query.items())
        return Answer(status=status, headers={"Location": f"{target}?{query}"})

    return answer


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("named", [str, to_other_name], ids=["other port", "other name"])
def test_an_api_that_sends_elsewhere_is_refused(status: int, named: Callable[[str], str]) -> None:
    """The other server is named, and is asked for nothing."""
    with serving(lambda request: ONE_PAGE) as other:
        target = named(other.address)
        message, asked = refuse_api(redirect(target, status), headers={"X-Api-Key": "key-123456"})
    assert target in message
    assert (asked, other.requests) == (1, [])


@pytest.mark.parametrize("credentials", CREDENTIALS.values(), ids=CREDENTIALS.keys())
@pytest.mark.parametrize("way", ["redirect", "link in the body", "Link header", "later page"])
def test_credentials_stay(credentials: dict[str, Any], way: str) -> None:
    """Whatever they are, and however the server leads away."""
    with serving(lambda request: ONE_PAGE) as other:
        there = f"{other.address}/steal"
        ways: dict[str, tuple[Callable[[Request], Answer], str | None]] = {
            "redirect": (redirect(there), None),
            "link in the body": (
                lambda request: json_answer({"items": [{"id": 1}], "next": there}),
                "next",
            ),
            "Link header": (
                lambda request: json_answer({"items": [{"id": 1}]}, Link=f'<{there}>; rel="next"'),
                None,
            ),
            "later page": (
                lambda request: (
                    redirect(there)(request)
                    if request.path == "/second"
                    else json_answer({"items": [{"id": 1}], "next": "/second"})
                ),
                "next",
            ),
        }
        answer, link = ways[way]
        message, _ = refuse_api(answer, paging={"kind": "next_link", "link": link}, **credentials)
    assert other.address in message
    assert "key-123456" not in message
    assert other.requests == []


def test_a_file_with_credentials_stays_and_another_may_be_elsewhere(tmp_path: Path) -> None:
    """A download without credentials follows its redirect, as from a release's page."""
    with serving(lambda request: Answer(PLAIN)) as other, serving(redirect(other.address)) as own:
        address = f"{own.address}/a.csv"
        options = {"headers": {"X-Api-Key": "key-123456"}}
        assert other.address in refuse_file(tmp_path, address, storage_options=options)
        assert other.address in refuse_file(
            tmp_path, address.replace("http://", "http://crm:key-123456@")
        )
        assert other.requests == []
        assert read_file(tmp_path, address).rows == 2


def test_a_draft_stays_too(tmp_path: Path) -> None:
    """`churn init` with an address that has a password or a key in it."""
    with serving(lambda request: Answer(PLAIN)) as other, serving(redirect(other.address)) as own:
        (secret,), _ = find_inputs([f"{own.address}/a.csv?api_key=key-123456"], tmp_path)
        with pytest.raises(DraftError, match="leads to another server"):
            fetch(secret, tmp_path)
        assert other.requests == []
        (plain,), _ = find_inputs([f"{own.address}/a.csv"], tmp_path)
        assert fetch(plain, tmp_path).read_bytes() == PLAIN


def test_a_redirect_may_add_encryption_and_not_take_it_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From http to https of the same host; back it would be read on the way."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("no_proxy", PLACE)
    token = {"auth": {"bearer": "key-123456"}}
    try:
        with (
            serving(redirect(f"https://{PLACE}/new"), (PLACE, 80)),
            serving(lambda request: ONE_PAGE, (PLACE, 443), certificate) as encrypted,
        ):
            assert read_api(f"http://{PLACE}/customers", **token).rows == 1
            assert encrypted.requests[0].headers["Authorization"] == "Bearer key-123456"
        with (
            serving(lambda request: ONE_PAGE, (PLACE, 80)) as open_to_all,
            serving(redirect(f"http://{PLACE}/new"), (PLACE, 443), certificate),
            pytest.raises(SourceRefused, match=f"http://{PLACE}"),
        ):
            read_api(f"https://{PLACE}/customers", **token)
        assert open_to_all.requests == []
    except OSError as error:
        pytest.skip(f"{PLACE} cannot be used here: {error}")


def make_certificate(folder: Path) -> Path:
    """Write a certificate of its own authority for `PLACE`, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    today, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - day)
        .not_valid_after(today + day)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(PLACE))]), False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    as_text = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    file.write_bytes(
        key.private_bytes(*as_text, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
