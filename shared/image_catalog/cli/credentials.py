"""Bearer tokens: where a kubeconfig's user has his from.

Users: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/#AuthInfo; credential plugins:
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from image_catalog.cli.errors import SettingsError
from image_catalog.cli.kubeconfig import Entry, SelectedContext

__all__ = ["TOKEN_SOURCES", "Credential", "ExecPlugin", "StaticToken", "TokenFile", "credential_of"]

_PLUGIN_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
TOKEN_SOURCES = '--token "$(kubectl create token SERVICEACCOUNT)", or CAIB_TOKEN'
"""How a token is given; of whom is for the user to say: not every namespace's ``default`` may read the catalog."""

_REMEDY = f"give a token: {TOKEN_SOURCES}"


class Credential(Protocol):
    """What knows a bearer token."""

    renewable: bool
    """Whether `token` may answer another one when it is asked again."""

    def token(self, *, refused: bool = False) -> str:
        """Return the token; another one if there is one when the last was refused."""
        ...  # pragma: no cover - a protocol has no body


class StaticToken:
    """A token that is known from the start.

    Parameters
    ----------
    token
        The token.
    """

    renewable = False

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self, *, refused: bool = False) -> str:  # noqa: ARG002 - there is no other one
        """Return the token."""
        return self._token


class TokenFile:
    """A token in a file that somebody else renews.

    Parameters
    ----------
    path
        The file.
    """

    renewable = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def token(self, *, refused: bool = False) -> str:  # noqa: ARG002 - the file is read each time
        """Return the file's token.

        Raises
        ------
        SettingsError
            Raised if there is none.
        """
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as e:
            raise SettingsError(f"token file {self._path} cannot be read: {getattr(e, 'strerror', None) or e}") from e
        if not token:
            raise SettingsError(f"token file {self._path} is empty")
        return token


class ExecPlugin:
    """A program that answers a token, as clouds bring theirs.

    Parameters
    ----------
    settings
        The user's ``exec``.
    folder
        Folder of the kubeconfig: a relative command starts from there.
    cluster
        The context's cluster, which a plugin may ask to be told.
    """

    renewable = True

    def __init__(self, *, settings: Mapping[str, Any], folder: Path, cluster: Mapping[str, Any]) -> None:
        self._version = str(settings.get("apiVersion", ""))
        self._command = str(settings.get("command") or "")
        if self._version not in _PLUGIN_VERSIONS or not self._command:
            raise SettingsError(
                "the kubeconfig's credential plugin needs a command and an apiVersion "
                f"{' or '.join(_PLUGIN_VERSIONS)}, not {self._version or 'none'}",
                hint=_REMEDY,
            )
        if os.sep in self._command:
            self._command = str(folder / self._command)
        self._settings = settings
        self._cluster = cluster
        self._known = ""
        self._expires: datetime | None = None

    def token(self, *, refused: bool = False) -> str:
        """Return the token, asking the plugin only when the last one is over or refused.

        Raises
        ------
        SettingsError
            Raised if the plugin is missing, fails or answers no token.
        """
        over = self._expires is not None and self._expires <= datetime.now(UTC)
        if not self._known or over or refused:
            status = self._ask()
            if not (token := status.get("token")):
                raise SettingsError(f"{self._command} answers a certificate and no token", hint=_REMEDY)
            self._known = str(token)
            self._expires = self._time(status.get("expirationTimestamp"))
        return self._known

    def _ask(self) -> Mapping[str, Any]:
        import subprocess  # noqa: PLC0415 - most users have their token in the kubeconfig

        arguments = [str(argument) for argument in self._settings.get("args") or ()]
        variables = {str(pair["name"]): str(pair.get("value", "")) for pair in self._settings.get("env") or ()}
        interactive = self._settings.get("interactiveMode") != "Never" and sys.stdin is not None and sys.stdin.isatty()
        spec: dict[str, Any] = {"interactive": interactive}
        if self._settings.get("provideClusterInfo"):
            spec["cluster"] = {key: value for key, value in self._cluster.items() if key != "extensions"}
        asked = {"apiVersion": self._version, "kind": "ExecCredential", "spec": spec}
        try:
            ran = subprocess.run(  # noqa: S603 - the user's own kubeconfig names the program, as for kubectl
                [self._command, *arguments],
                env={**os.environ, **variables, "KUBERNETES_EXEC_INFO": json.dumps(asked)},
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                check=False,
            )
        except OSError as e:
            hint = str(self._settings.get("installHint") or _REMEDY)
            raise SettingsError(f"credential plugin {self._command} cannot be run: {e.strerror}", hint=hint) from e
        if ran.returncode:
            raise SettingsError(f"credential plugin {self._command} ended with {ran.returncode}", hint=_REMEDY)
        try:
            return dict(json.loads(ran.stdout)["status"])
        except (ValueError, KeyError, TypeError) as e:
            raise SettingsError(f"credential plugin {self._command} answers no ExecCredential", hint=_REMEDY) from e

    def _time(self, value: object) -> datetime | None:
        try:
            return datetime.fromisoformat(str(value)) if value else None
        except ValueError as e:
            raise SettingsError(f"credential plugin {self._command}: expirationTimestamp {value} is no time") from e


def credential_of(context: SelectedContext) -> Credential | None:
    """Return the credential of a context's user, or `None` for a user without one.

    Parameters
    ----------
    context
        The context that counts.

    Raises
    ------
    SettingsError
        Raised if the user proves himself in a way that a bearer token cannot stand for.
    """
    user: Entry = context.user
    body = user.body
    if impersonated := body.get("as"):
        raise SettingsError(f'context "{context.name}" acts as "{impersonated}", which caib cannot', hint=_REMEDY)
    if path := body.get("tokenFile"):
        return TokenFile(user.folder / str(path))
    if token := body.get("token"):
        return StaticToken(str(token))
    if settings := body.get("exec"):
        return ExecPlugin(settings=settings, folder=user.folder, cluster=context.cluster.body)
    for key, what in (
        ("client-certificate", "a client certificate"),
        ("client-certificate-data", "a client certificate"),
        ("auth-provider", "an auth-provider, which kubectl gave up too"),
        ("username", "a password"),
    ):
        if body.get(key):
            raise SettingsError(f'the user of context "{context.name}" has {what} and no token', hint=_REMEDY)
    return None
