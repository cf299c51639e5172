"""ImageBuild: the build operator's resource, read in both shapes that are in the field.

The catalog only reads it. Every property answers for the early shape and for
today's; where an object carries both, today's wins. The object is another
operator's, and what of it cannot be read counts as absent: nobody here could
mend it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from image_catalog.models.kubernetes import KubernetesModel, ObjectMeta, Time
from image_catalog.models.names import LABEL_BUILD_SCHEDULE
from image_catalog.models.provenance import ArtifactStore

__all__ = ["BuildExports", "BuildManifest", "ImageBuild"]

_S3_REGION = "us-east-1"
"""What the operator's CRD says where a build does not."""


def _none_for_unreadable(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        return None


def _only_an_object(value: Any) -> Any:
    return value if isinstance(value, dict | KubernetesModel) else {}


_Text = Annotated[str | None, WrapValidator(_none_for_unreadable)]
_LenientTime = Annotated[Time | None, WrapValidator(_none_for_unreadable)]


class _Condition(KubernetesModel):
    """A condition as another operator writes it: more than type and status is its own affair."""

    type: str
    status: str
    last_transition_time: _LenientTime = None


def _only_conditions(value: Any) -> list[dict[str, Any]]:
    found = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    return [item for item in found if isinstance(item.get("type"), str) and isinstance(item.get("status"), str)]


class _Status(KubernetesModel):
    """What the catalog reads of a build's status."""

    phase: _Text = None
    completion_time: _LenientTime = None
    conditions: Annotated[list[_Condition], BeforeValidator(_only_conditions)] = []
    resolved_export_format: _Text = None
    artifact_url: Annotated[_Text, Field(alias="artifactURL")] = None
    artifact_file_name: _Text = None


@dataclass(frozen=True, slots=True)
class BuildManifest:
    """Where the automotive-image-builder manifest of a build is to be found.

    Exactly one of `content` and `config_map` is set.
    """

    content: str | None
    config_map: str | None
    file_name: str


@dataclass(frozen=True, slots=True)
class BuildExports:
    """Where a build left its disk images, beside the image that its entry stands for.

    Attributes
    ----------
    store
        The bucket that it exported them to.
    reference
        Reference of the OCI artifact that it pushed beside its container image.
    url, file_name
        The download that the operator served, and the file's name.
    """

    store: ArtifactStore | None = None
    reference: str | None = None
    url: str | None = None
    file_name: str | None = None

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self.store or self.reference or self.url)


class ImageBuild(KubernetesModel):
    """A build of an OS image, of which only what the catalog needs is read."""

    metadata: ObjectMeta
    spec: Annotated[dict[str, Any], BeforeValidator(_only_an_object)] = {}
    status: Annotated[_Status, BeforeValidator(_only_an_object)] = Field(default_factory=_Status)

    def _text(self, *paths: str) -> str | None:
        """Return the first non-empty text among dotted paths of the spec, without the space around it."""
        return next((text.strip() for text in map(self._verbatim, paths) if text is not None), None)

    def _verbatim(self, path: str) -> str | None:
        """Return the text at a dotted path of the spec as it stands there; `None` for none, or nothing but space."""
        value: Any = self.spec
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value if isinstance(value, str) and value.strip() else None

    @property
    def is_completed(self) -> bool:
        """Whether the build is done and succeeded."""
        return self.status.phase == "Completed" or any(
            c.type == "Complete" and c.status == "True" for c in self.status.conditions
        )

    @property
    def completion_time(self) -> datetime | None:
        """When the build completed."""
        if self.status.completion_time is not None:
            return self.status.completion_time
        return next(
            (c.last_transition_time for c in self.status.conditions if c.type == "Complete" and c.status == "True"),
            None,
        )

    @property
    def container_reference(self) -> str | None:
        """Reference of the container image that the build pushed."""
        return self._text("export.container", "containerPush", "publishers.registry.repositoryUrl")

    @property
    def disk_reference(self) -> str | None:
        """Reference of the disk image that the build pushed as an OCI artifact."""
        return self._text("export.disk.oci", "exportOci")

    @property
    def published_reference(self) -> str | None:
        """Reference that an entry stands for: the container image, else the disk artifact."""
        return self.container_reference or self.disk_reference

    @property
    def architecture(self) -> str | None:
        """Processor architecture as the build names it."""
        return self._text("architecture")

    @property
    def distro(self) -> str | None:
        """Distribution that was built."""
        return self._text("aib.distro", "distro")

    @property
    def target(self) -> str | None:
        """Board that it was built for."""
        return self._text("aib.target", "target")

    @property
    def mode(self) -> str | None:
        """How automotive-image-builder built it."""
        return self._text("aib.mode", "mode")

    @property
    def export_format(self) -> str | None:
        """Format of the disk image."""
        return self.status.resolved_export_format or self._text("export.format", "exportFormat")

    @property
    def push_secret(self) -> str | None:
        """Name of the Secret, in the build's namespace, that the image was pushed with."""
        return self._text("pushSecretRef", "secretRef", "publishers.registry.secret", "envSecretRef")

    @property
    def manifest(self) -> BuildManifest | None:
        """Where the build's automotive-image-builder manifest is to be found."""
        content = self._verbatim("aib.manifest")
        if content is not None:
            return BuildManifest(content, None, self._text("aib.manifestFileName") or "manifest.aib.yml")
        config_map = self._text("manifestConfigMap")
        if config_map is not None:
            return BuildManifest(None, config_map, "")
        return None

    @property
    def artifact_store(self) -> ArtifactStore | None:
        """The bucket that the build exported its disk image to."""
        bucket = self._text("export.disk.s3.bucket")
        if bucket is None:
            return None
        return ArtifactStore(
            bucket=bucket,
            prefix=(self._text("export.disk.s3.prefix") or f"builds/{self.metadata.name}").strip("/"),
            endpoint=self._text("export.disk.s3.endpoint"),
            region=self._text("export.disk.s3.region") or _S3_REGION,
            credentials_secret=self._text("export.disk.s3.credentialsSecret"),
            namespace=self.metadata.namespace,
        )

    @property
    def exports(self) -> BuildExports:
        """Where the build left its disk images, beside the image that its entry stands for."""
        return BuildExports(
            store=self.artifact_store,
            reference=self.disk_reference if self.container_reference else None,
            url=self.status.artifact_url,
            file_name=self.status.artifact_file_name,
        )

    @property
    def schedule(self) -> str | None:
        """Name of the schedule that made the build."""
        return self.metadata.labels.get(LABEL_BUILD_SCHEDULE)

    @property
    def subject(self) -> str:
        """The build's ``namespace/name``."""
        return f"{self.metadata.namespace}/{self.metadata.name}"
