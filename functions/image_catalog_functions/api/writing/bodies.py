"""What the writing calls take: camelCase, and no unknown field, however deep."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from image_catalog.models import AuthSecretRef, CatalogImageSpec, CatalogMetadata, HardwareTarget
from image_catalog.models.reference import MAX_REFERENCE_LENGTH
from image_catalog_functions.api.http.names import LABEL_PATTERN, MAX_LABEL, MAX_NAME, NAME_PATTERN
from image_catalog_functions.api.http.parameters import QueryFlag
from image_catalog_functions.api.reading.queries import NamespaceQuery

__all__ = [
    "AddQuery",
    "BuildToPublish",
    "Edit",
    "EditableMetadata",
    "EditableSpec",
    "NewImage",
    "ReferenceToExplain",
    "SecretName",
    "ToPromote",
    "VerifyQuery",
]

_Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME, pattern=NAME_PATTERN)]
_Namespace = Annotated[str, StringConstraints(min_length=1, max_length=MAX_LABEL, pattern=LABEL_PATTERN)]
_Tags = Annotated[list[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=64)]
_Labels = Annotated[dict[str, str], Field(max_length=64)]
# The grammar is not the schema's to judge, so that a bad reference is refused with a reason of its own.
_Reference = Annotated[str, StringConstraints(min_length=1, max_length=MAX_REFERENCE_LENGTH)]

_STRICT = ConfigDict(extra="forbid", defer_build=True)


class _Body(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, defer_build=True
    )


class SecretName(AuthSecretRef):
    """The Secret with the credential for a registry."""

    model_config = _STRICT
    name: _Name
    namespace: _Namespace | None = None


class EditableTarget(HardwareTarget):
    """A board that the image is for."""

    model_config = _STRICT


class EditableMetadata(CatalogMetadata):
    """What a person says about the image."""

    model_config = _STRICT
    targets: Annotated[list[EditableTarget], Field(default_factory=list, max_length=64)]  # type: ignore[assignment]  # stricter


class EditableSpec(CatalogImageSpec):
    """What an entry shall stand for."""

    model_config = _STRICT
    registry_url: _Reference
    auth_secret_ref: SecretName | None = None
    metadata: EditableMetadata | None = None


class NewImage(_Body):
    """An external image that shall have an entry."""

    name: _Name
    """Name of the entry."""
    spec: EditableSpec
    """What it stands for."""
    labels: _Labels = {}
    """Labels of the caller's own."""


class Edit(_Body):
    """What an entry shall be from now on."""

    spec: EditableSpec
    """What it stands for; a field that is left out has its default again."""
    labels: _Labels | None = None
    """The caller's own labels, all of them; absent leaves them as they are."""
    resource_version: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """The version that was edited; an entry that has moved on is a conflict. Absent: the last writer wins."""


class BuildToPublish(_Body):
    """A completed build whose image shall have an entry."""

    image_build_name: _Name
    """Name of the ImageBuild."""
    image_build_namespace: _Namespace | None = None
    """Its namespace; the configured one when absent."""
    catalog_image_name: _Name | None = None
    """Name of the entry; the build's when absent."""
    catalog_image_namespace: _Namespace | None = None
    """Namespace of the entry; the build's when absent."""
    tags: _Tags = []
    """Words to find the image by."""
    metadata: EditableMetadata | None = None
    """What the caller says about the image; it wins over what the build says."""
    auth_secret_ref: SecretName | None = None
    """The Secret to ask the registry with; the one that the build pushed with when absent."""


class ToPromote(_Body):
    """Where an image shall have an entry, too."""

    namespace: _Namespace
    """Namespace of the entry; another one than the image's own."""
    name: _Name | None = None
    """Name of the entry, where it has none there yet; the same when absent."""
    tags: _Tags = []
    """Words to find the image by there; those that it has here are not taken along."""
    auth_secret_ref: SecretName | None = None
    """The Secret to ask the registry with; the one that the image has here when absent."""


class ReferenceToExplain(_Body):
    """A reference that needs no entry."""

    registry_url: _Reference
    """The reference."""
    auth_secret_ref: SecretName | None = None
    """The Secret to ask with."""
    deep: bool = False
    """Whether every blob is asked for."""


class AddQuery(NamespaceQuery):
    """How an image is added."""

    verify: QueryFlag = Field(default=True, description="Whether the registry is asked before the entry is made.")


class VerifyQuery(NamespaceQuery):
    """How an entry is checked."""

    deep: QueryFlag = Field(default=False, description="Whether every blob is asked for.")
