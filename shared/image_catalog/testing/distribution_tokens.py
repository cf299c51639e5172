"""A token server for the real distribution server: signed tokens, as its specification has them.

https://distribution.github.io/distribution/spec/auth/jwt/
"""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from image_catalog.testing.planted import MADE
from image_catalog.testing.registry_auth import Accounts

__all__ = ["DistributionTokens"]

ISSUER = "tests"
SERVICE = "distribution.test"
_LIFETIME = timedelta(minutes=5)
_HALF = 32
"""Bytes of each half of a signature on the curve P-256."""


class DistributionTokens:
    """Gives tokens to whom it knows, signed with a key that it has made; an ASGI application.

    Everybody gets a token, as from most token servers; what it lets do depends
    on who asks. `deny` makes it say no by itself.

    Attributes
    ----------
    accounts
        Who is known.
    readers
        Users by repository that may pull it.
    deny
        Whether those who may not pull are told so here, with 403.
    asked
        Method and user of every request.
    """

    def __init__(self) -> None:
        self.accounts = Accounts()
        self.readers: dict[str, set[str]] = {}
        self.deny = False
        self.asked: list[tuple[str, str]] = []
        self._refresh: dict[str, str] = {}
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def configuration(self, url: str, folder: Path) -> dict[str, Any]:
        """Return what a distribution server has to be told to trust this one.

        Parameters
        ----------
        url
            Where this one is served.
        folder
            Gets the certificate that tokens are checked with.
        """
        folder.mkdir(parents=True, exist_ok=True)
        bundle = folder / "tokens.pem"
        bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        return {
            "token": {
                "realm": f"{url}/token",
                "service": SERVICE,
                "issuer": ISSUER,
                "rootcertbundle": str(bundle),
            }
        }

    def refresh_token(self, user: str) -> str:
        """Make a refresh token of a user, as a docker config keeps it under ``identitytoken``."""
        token = MADE.made("refresh token", secrets.token_urlsafe(24))
        self._refresh[token] = user
        return token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a token."""
        request = Request(scope, receive)
        answer = await self._answer(request)
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "POST":
            form = {name: values[-1] for name, values in parse_qs((await request.body()).decode()).items()}
            user = self._refresh.get(form.get("refresh_token", ""))
            service, scopes = form.get("service"), form.get("scope", "").split()
        else:
            header = request.headers.get("authorization", "")
            user = self.accounts.user_of(header) if header else ""
            service, scopes = request.query_params.get("service"), request.query_params.getlist("scope")
        self.asked.append((request.method, user or ""))
        if user is None or service != SERVICE:
            return _refused(401, "UNAUTHORIZED", "incorrect username or password")
        access = []
        for asked in scopes:
            kind, name, actions = asked.split(":", 2)
            granted = ["pull"] if user in self.readers.get(name, {user}) and actions == "pull" else []
            if not granted and self.deny:
                return _refused(403, "DENIED", "requested access to the resource is denied")
            access.append({"type": kind, "name": name, "actions": granted})
        token = self._sign(user, access)
        return JSONResponse({"token": token, "access_token": token, "expires_in": int(_LIFETIME.total_seconds())})

    def _sign(self, user: str, access: list[dict[str, Any]]) -> str:
        certificate = self._certificate.public_bytes(serialization.Encoding.DER)
        now = datetime.now(UTC)
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(certificate).decode()]}
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "exp": int((now + _LIFETIME).timestamp()),
            "nbf": int((now - timedelta(seconds=10)).timestamp()),
            "iat": int(now.timestamp()),
            "jti": secrets.token_hex(8),
            "access": access,
        }
        signed = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(claims).encode())}"
        halves = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return MADE.made("registry token", f"{signed}.{_encode(b''.join(half.to_bytes(_HALF) for half in halves))}")


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _refused(status: int, code: str, message: str) -> Response:
    return JSONResponse({"errors": [{"code": code, "message": message}]}, status)
