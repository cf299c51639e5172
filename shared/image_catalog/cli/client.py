"""The catalog's API, as commands ask it: one method for each call."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

from image_catalog import __version__
from image_catalog.cli.answer import Answer
from image_catalog.cli.connection import Connection, RawAnswer
from image_catalog.cli.errors import ApiError, DryRun
from image_catalog.cli.output import notice
from image_catalog.cli.refusals import read_document, refusal
from image_catalog.cli.settings import Settings

__all__ = ["Answer", "CatalogClient"]

_BASE = "/api/v1alpha1/catalog"
_Parameters = Mapping[str, str] | Mapping[str, str | list[str]]
"""Of a query; one with several values is given as often."""


class CatalogClient:
    """The catalog's API over one connection; entries are those of the settings' namespace.

    Use it in a ``with`` block. Every method raises `ApiError` for a refusal, `ServerUnreachableError` and
    `RequestTimedOutError` when there is no answer. With ``dry_run`` in the settings whatever writes raises `DryRun`
    in place of asking.

    Parameters
    ----------
    settings
        Where the server is and who asks.
    """

    def __init__(self, *, settings: Settings) -> None:
        self.namespace = settings.namespace
        self._settings = settings
        self._connection = Connection(
            settings.server, certificate_authority=settings.certificate_authority, insecure=settings.insecure
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def list_images(self, parameters: Mapping[str, str], *, etag: str | None = None) -> Answer:
        """Return one page of entries; status 304 and no document if it is still the one with that ETag.

        Parameters
        ----------
        parameters
            The API's query parameters.
        etag
            Of the answer that is known.
        """
        return self._get("/images", parameters, etag=etag)

    def pages(self, parameters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield one page of entries after the other, following ``metadata.continue``.

        Parameters
        ----------
        parameters
            The API's query parameters.
        """
        return self._pages("/images", parameters)

    def get_image(self, name: str) -> Answer:
        """Return an entry."""
        return self._get(_image(name), self._here)

    def create_image(
        self,
        body: Mapping[str, Any],
        *,
        verify: bool = True,
        timeout: timedelta | None = None,
    ) -> Answer:
        """Add an image that no build of the cluster made.

        Parameters
        ----------
        body
            ``name``, ``spec`` and, if wanted, ``labels``.
        verify
            Whether the registry is asked first.
        timeout
            In place of the settings' own.
        """
        parameters = self._here | ({} if verify else {"verify": "false"})
        return self._send("POST", "/images", parameters, body, timeout)

    def replace_image(self, name: str, body: Mapping[str, Any]) -> Answer:
        """Replace what an entry stands for: ``spec``, and the ``resourceVersion`` that was edited."""
        return self._send("PUT", _image(name), self._here, body, None)

    def delete_image(self, name: str) -> Answer:
        """Remove an entry."""
        return self._send("DELETE", _image(name), self._here, None, None)

    def verify_image(self, name: str, *, deep: bool = False, timeout: timedelta | None = None) -> Answer:
        """Have the registry asked now.

        Parameters
        ----------
        name
            The entry.
        deep
            Whether every blob is asked for.
        timeout
            In place of the settings' own.
        """
        parameters = self._here | ({"deep": "true"} if deep else {})
        return self._send("POST", f"{_image(name)}/verify", parameters, None, timeout)

    def recall_image(self, name: str, body: Mapping[str, Any], *, restore: bool = False) -> Answer:
        """Recall a content of an entry, or take that back.

        Parameters
        ----------
        name
            The entry.
        body
            ``digest`` and ``reason``.
        restore
            Whether it may be used again.
        """
        return self._send("POST", f"{_image(name)}/{'restore' if restore else 'recall'}", self._here, body, None)

    def promote_image(self, name: str, body: Mapping[str, Any], *, timeout: timedelta | None = None) -> Answer:
        """Promote an image to another namespace.

        Parameters
        ----------
        name
            The entry.
        body
            ``namespace`` and, if wanted, ``name``, ``tags`` and ``authSecretRef``.
        timeout
            In place of the settings' own.
        """
        return self._send("POST", f"{_image(name)}/promote", self._here, body, timeout)

    def explain(self, body: Mapping[str, Any], *, timeout: timedelta | None = None) -> Answer:
        """Have a reference tried step by step, writing nothing.

        Parameters
        ----------
        body
            ``registryUrl`` and, if wanted, ``authSecretRef``.
        timeout
            In place of the settings' own.
        """
        return self._send("POST", "/verify", self._here, body, timeout)

    def publish(self, body: Mapping[str, Any], *, timeout: timedelta | None = None) -> Answer:
        """Publish a build.

        Parameters
        ----------
        body
            ``imageBuildName``, ``imageBuildNamespace`` and what overrides the build's own words.
        timeout
            In place of the settings' own.
        """
        return self._send("POST", "/publish", {}, body, timeout)

    def send_event(self, event_type: str, data: Mapping[str, Any], *, event_id: str | None = None) -> Answer:
        """Send a CloudEvent; under an id of its own, or one under which it is taken once."""
        attributes = {"specversion": "1.0", "id": event_id or str(uuid.uuid4()), "source": "/caib", "type": event_type}
        event = attributes | {"data": dict(data)}
        return self._send("POST", "/events", {}, event, None, media_type="application/cloudevents+json")

    def builds(self, parameters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield one page of builds that can be published after the other.

        Parameters
        ----------
        parameters
            The API's query parameters.
        """
        return self._pages("/builds", parameters)

    def history(self, name: str, parameters: Mapping[str, str]) -> Answer:
        """Return a page of what an entry points to and pointed to before, or of what happened to it.

        Parameters
        ----------
        name
            Name of the entry.
        parameters
            The API's query parameters.
        """
        return self._get(f"{_image(name)}/history", {**self._here, **parameters})

    def audit(self, parameters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Return who did what, page by page.

        Parameters
        ----------
        parameters
            The API's query parameters.
        """
        return self._pages("/audit", parameters)

    def artifacts(self, name: str, *, artifact: str | None = None, download: bool = False) -> Answer:
        """Return the files that belong to an image, with URLs that open them for some minutes.

        Parameters
        ----------
        name
            The entry.
        artifact
            Only the file of this name.
        download
            Whether they are going to be downloaded, which the audit keeps.
        """
        parameters = self._here | ({"artifact": artifact} if artifact is not None else {})
        return self._get(f"{_image(name)}/artifacts", parameters | ({"download": "true"} if download else {}))

    def resolve(self, parameters: _Parameters) -> Answer:
        """Return the one image for a board, and why none of the others.

        Parameters
        ----------
        parameters
            The API's query parameters.
        """
        return self._get("/resolve", parameters)

    def events(
        self, parameters: Mapping[str, str], *, after: str | None, patience: Callable[[], float]
    ) -> Iterator[bytes]:
        """Ask for events as they come, and return the lines of the stream.

        Parameters
        ----------
        parameters
            The API's query parameters.
        after
            Id of the last event that is known; `None` for what the parameters say.
        patience
            Says how many seconds the server may be silent.
        """
        target = f"{_BASE}/events?{urlencode(parameters)}"
        headers = {"Accept": "text/event-stream", "User-Agent": f"caib/{__version__}"}
        if after is not None:
            headers["Last-Event-ID"] = after
        for refused in (False, True):
            answer, lines = self._connection.stream(
                target,
                headers=self._signed(headers, refused=refused),
                timeout=self._settings.request_timeout,
                patience=patience,
            )
            if self._settings.verbose:
                notice(f"GET {self._settings.server}{target} {answer.status}")
            credential = self._settings.credential
            if answer.status != HTTPStatus.UNAUTHORIZED or credential is None or not credential.renewable:
                break
        if answer.status != HTTPStatus.OK or not (answer.headers.get("content-type") or "").startswith(
            "text/event-str"
        ):
            document = read_document(answer, server=self._settings.server)
            raise self._refusal(answer, document, parameters)
        return lines

    @property
    def _here(self) -> dict[str, str]:
        return {"namespace": self.namespace}

    def _pages(self, path: str, parameters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            page = self._get(path, {**parameters, "continue": token} if token else parameters).document
            yield page
            if not (token := (page.get("metadata") or {}).get("continue") or ""):
                return

    def _get(self, path: str, parameters: _Parameters, *, etag: str | None = None) -> Answer:
        return self._call("GET", path, parameters, headers={"If-None-Match": etag} if etag else {})

    def _send(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        body: object | None,
        timeout: timedelta | None,
        *,
        media_type: str = "application/json",
    ) -> Answer:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if content is None else {"Content-Type": media_type}
        return self._call(method, path, parameters, headers=headers, content=content, timeout=timeout)

    def _call(
        self,
        method: str,
        path: str,
        parameters: _Parameters,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        timeout: timedelta | None = None,
    ) -> Answer:
        target = f"{_BASE}{path}?{urlencode(parameters, doseq=True)}" if parameters else f"{_BASE}{path}"
        if self._settings.dry_run and method != "GET":
            raise DryRun(method, target, None if content is None else json.loads(content))
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"caib/{__version__}",
            **({"traceparent": self._settings.traceparent} if self._settings.traceparent else {}),
            **headers,
        }
        timeout = timeout or self._settings.request_timeout
        credential = self._settings.credential
        answer = self._try(method, target, headers, content, timeout, refused=False)
        if answer.status == HTTPStatus.UNAUTHORIZED and credential is not None and credential.renewable:
            answer = self._try(method, target, headers, content, timeout, refused=True)
        if answer.status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            return Answer(status=answer.status, document={}, etag=answer.headers.get("etag"))
        document = read_document(answer, server=self._settings.server)
        if not HTTPStatus(200) <= answer.status < HTTPStatus(300):
            raise self._refusal(answer, document, parameters)
        return Answer(status=answer.status, document=document, etag=answer.headers.get("etag"))

    def _try(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        content: bytes | None,
        timeout: timedelta,
        *,
        refused: bool,
    ) -> RawAnswer:
        headers = self._signed(headers, refused=refused)
        started = time.monotonic()
        answer = self._connection.request(method, target, headers=headers, body=content, timeout=timeout)
        if self._settings.verbose:
            milliseconds = (time.monotonic() - started) * 1000
            notice(f"{method} {self._settings.server}{target} {answer.status} {milliseconds:.0f} ms")
        return answer

    def _refusal(self, answer: RawAnswer, document: Mapping[str, Any], parameters: _Parameters) -> ApiError:
        known, everywhere = self._settings.credential is not None, "allNamespaces" in parameters
        return refusal(answer, document, server=self._settings.server, known=known, everywhere=everywhere)

    def _signed(self, headers: Mapping[str, str], *, refused: bool) -> Mapping[str, str]:
        if (credential := self._settings.credential) is None:
            return headers
        return {**headers, "Authorization": f"Bearer {credential.token(refused=refused)}"}


def _image(name: str) -> str:
    return f"/images/{quote(name, safe='')}"
