"""Where the catalog is and who asks: flag beats environment beats kubeconfig beats configuration file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from image_catalog.cli.credentials import Credential, StaticToken, TokenFile, credential_of
from image_catalog.cli.errors import SettingsError
from image_catalog.cli.kubeconfig import SelectedContext, read_kubeconfig, read_yaml
from image_catalog.cli.options import GlobalOptions
from image_catalog.cli.parameters import parse_duration

__all__ = ["Settings", "resolve"]

_TIMEOUT = timedelta(seconds=30)
"""Longer than any read takes, and than a registry is waited for when an image is added."""

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its own token and namespace."""

_KEYS = {
    "server": str,
    "token": str,
    "tokenFile": str,
    "namespace": str,
    "kubeconfig": str,
    "context": str,
    "certificateAuthority": str,
    "insecure": bool,
    "requestTimeout": str,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a client needs to know.

    Attributes
    ----------
    server
        URL of the catalog's API, without a slash at its end.
    namespace
        Namespace of the entries.
    credential
        The bearer token; `None` asks without one.
    certificate_authority
        File that the server's certificate is checked against; the system's own when absent.
    insecure
        Whether the server's certificate goes unchecked.
    request_timeout
        How long one request may take.
    verbose
        Whether requests are told on stderr.
    dry_run
        Whether nothing is to be written.
    traceparent
        W3C trace context of the pipeline that this runs in; `None` without a valid one.
    """

    server: str
    namespace: str
    credential: Credential | None
    certificate_authority: Path | None
    insecure: bool
    request_timeout: timedelta
    verbose: bool
    dry_run: bool
    traceparent: str | None = None


def resolve(
    options: GlobalOptions, *, environ: Mapping[str, str] = os.environ, service_account: Path = _SERVICE_ACCOUNT
) -> Settings:
    """Put the settings together.

    Parameters
    ----------
    options
        What the command line says.
    environ
        The environment.
    service_account
        Folder of a pod's own token, for commands that run in one and have no kubeconfig.

    Raises
    ------
    SettingsError
        Raised if there is no server, or a source cannot be used.
    """
    home = Path(environ.get("HOME") or Path.home())
    file = _File(Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "caib" / "config.yaml")
    if options.token == "":
        # Not what the kubeconfig has instead: that may be an administrator's.
        raise SettingsError("the token that --token gives is empty", hint="did the command that it comes from fail?")
    token, server = options.token or environ.get("CAIB_TOKEN"), options.server or environ.get("CAIB_SERVER")
    context = None
    if not (token and server and options.namespace):
        context = _context(options, environ, file, home)
    credential: Credential | None
    if token:
        credential = StaticToken(token)
    else:
        credential = (context and credential_of(context)) or file.credential()
        if credential is None and context is None and (service_account / "token").is_file():
            credential = TokenFile(service_account / "token")
    authority = options.certificate_authority
    if not server and context is not None and context.catalog is not None:
        said = context.catalog.body
        server = str(said.get("server") or "")
        if authority is None and (path := said.get("certificate-authority")):
            authority = context.catalog.folder / str(path)
    server = _checked(server or file.text("server"))
    if not token and credential is not None and not _may_carry_tokens(server):
        raise SettingsError(
            f"a token is not sent to {server}, where everybody on the way can read it",
            hint="write https://, or give the token with --token or CAIB_TOKEN if it is to be sent all the same",
        )
    return Settings(
        server=server,
        namespace=options.namespace
        or (context and context.namespace)
        or file.text("namespace")
        or _own(service_account),
        credential=credential,
        certificate_authority=authority or file.path("certificateAuthority"),
        insecure=file.flag("insecure") if options.insecure is None else options.insecure,
        request_timeout=options.request_timeout or file.duration("requestTimeout") or _TIMEOUT,
        verbose=bool(options.verbose),
        dry_run=bool(options.dry_run),
        traceparent=_traceparent(environ.get("TRACEPARENT", "")),
    )


def _traceparent(said: str) -> str | None:
    """Return the variable that pipelines and tools such as otel-cli set, if it is what it should be."""
    return said if re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", said) else None


def _context(options: GlobalOptions, environ: Mapping[str, str], file: _File, home: Path) -> SelectedContext | None:
    named = options.kubeconfig or (None if environ.get("KUBECONFIG") else file.path("kubeconfig"))
    if named is not None:
        paths, required = [named], True
    else:
        listed = [Path(path) for path in environ.get("KUBECONFIG", "").split(os.pathsep) if path]
        # One file that is named and is not there is a mistake; of several, some may be missing, as for kubectl.
        paths, required = listed or [home / ".kube" / "config"], len(listed) == 1
    kubeconfig = read_kubeconfig(paths, required=required)
    name = options.context or file.text("context")
    if kubeconfig is None:
        if name:
            raise SettingsError(f'there is no kubeconfig with a context "{name}"', hint="name one with --kubeconfig")
        return None
    return kubeconfig.select(name)


def _own(service_account: Path) -> str:
    try:
        return (service_account / "namespace").read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"


def _checked(server: str | None) -> str:
    if not server:
        raise SettingsError(
            "no catalog server is configured",
            hint='give --server URL, set CAIB_SERVER, or write "server: URL" into ~/.config/caib/config.yaml',
        )
    try:
        parts = urlsplit(server)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        usable = usable and not (parts.query or parts.fragment or parts.username)
    except ValueError:
        usable = False
    if not usable:
        # What stands before an @ may be a password.
        said = server.rpartition("@")[2]
        raise SettingsError(f"{said} is no URL of a server", hint="write http://HOST[:PORT] or https://HOST[:PORT]")
    return server.rstrip("/")


def _may_carry_tokens(server: str) -> bool:
    parts = urlsplit(server)
    host = parts.hostname or ""
    return parts.scheme == "https" or host in {"localhost", "::1"} or host.startswith("127.")


class _File:
    """The configuration file, read when it is first needed.

    Parameters
    ----------
    path
        Where it is; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content: Mapping[str, Any] = read_yaml(path, "configuration file") or {}
        for key, value in self._content.items():
            if key not in _KEYS:
                known = ", ".join(_KEYS)
                raise SettingsError(f"configuration file {path} has an unknown key {key}", hint=f"it knows {known}")
            if not isinstance(value, _KEYS[key]):
                kind = "text" if _KEYS[key] is str else "true or false"
                raise SettingsError(f"configuration file {path}: {key} is not {kind}")

    def text(self, key: str) -> str | None:
        return self._content.get(key) or None

    def flag(self, key: str) -> bool:
        return bool(self._content.get(key))

    def path(self, key: str) -> Path | None:
        return self._path.parent / Path(text).expanduser() if (text := self.text(key)) else None

    def duration(self, key: str) -> timedelta | None:
        if not (text := self.text(key)):
            return None
        try:
            return parse_duration(text)
        except ValueError as e:
            raise SettingsError(f"configuration file {self._path}: {key} {e}") from e

    def credential(self) -> Credential | None:
        if token := self.text("token"):
            return StaticToken(token)
        return TokenFile(path) if (path := self.path("tokenFile")) else None
