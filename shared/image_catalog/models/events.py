"""The data of every catalog event, and of the requests that come in from outside."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel

from image_catalog.models.catalogimage import AuthSecretRef, CatalogMetadata, DriftPolicy
from image_catalog.models.catalogimagestatus import Phase
from image_catalog.models.durations import DURATION_PATTERN
from image_catalog.models.evidence import TestResult
from image_catalog.models.kubernetes import format_time
from image_catalog.models.reasons import ChangeKind, PhaseReason, RejectionReason, StepStatus, VerificationReason
from image_catalog.models.reference import MAX_REFERENCE_LENGTH
from image_catalog.models.wording import LOOSE_LABEL_PATTERN, LOOSE_NAME_PATTERN, Digest, LabelValue

__all__ = [
    "UNAUTHENTICATED",
    "BuildRef",
    "ChangeKind",
    "EntryRef",
    "EventData",
    "EventModel",
    "ImageDrifted",
    "ImagePublished",
    "ImageRecalled",
    "ImageRemoved",
    "ImageRestored",
    "ImageVerified",
    "Moment",
    "PhaseChanged",
    "PhaseReason",
    "Ping",
    "PromotionSource",
    "PublishRejected",
    "PublishRequest",
    "RejectionReason",
    "RequestedMetadata",
    "Step",
    "StepStatus",
    "TestReport",
    "VerificationReason",
    "VerificationRequest",
]

UNAUTHENTICATED = "unauthenticated"
"""The actor of an event that came in where nobody can be known."""

_MAX_MESSAGE_LENGTH = 4096
"""Characters of a message; a registry's answer quoted in one can be of any length."""


def _shortened(value: Any) -> Any:
    # Cut, not refused: a long explanation must not keep the event that it explains from being sent.
    if isinstance(value, str) and len(value) > _MAX_MESSAGE_LENGTH:
        return value[: _MAX_MESSAGE_LENGTH - 1] + "…"
    return value


_Name = Annotated[str, Field(min_length=1, max_length=253, pattern=LOOSE_NAME_PATTERN)]
_Namespace = Annotated[str, Field(min_length=1, max_length=63, pattern=LOOSE_LABEL_PATTERN)]
_Reference = Annotated[str, Field(min_length=1, max_length=MAX_REFERENCE_LENGTH)]
# The grammar of references is policy's to judge, so that a bad one is refused with its reason and not as a schema.
_Message = Annotated[str, BeforeValidator(_shortened)]
_Count = Annotated[int, Field(ge=0)]
Moment = Annotated[
    AwareDatetime,
    PlainSerializer(format_time, return_type=str, when_used="json"),
    Field(json_schema_extra={"type": "string", "format": "date-time"}),
]


class EventModel(BaseModel):
    """Base of what the catalog says and is asked: camelCase on the wire, and no unknown field.

    A misspelt field in a request would otherwise be a wish that is silently
    not granted.
    """

    # Built on first use: a function meets two or three of these models, and a cold start pays for each.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, defer_build=True
    )

    def to_dict(self) -> dict[str, Any]:
        """Return the data as it stands on the wire, without absent fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Step(EventModel):
    """One step of a publication or verification, as it really went."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    """What was done, ``Registry accessibility`` for example."""
    status: StepStatus
    """How it ended."""
    message: _Message = ""
    """What was found, as a sentence for people."""
    milliseconds: _Count = 0
    """How long it took."""


class BuildRef(EventModel):
    """An ImageBuild by its name."""

    name: _Name
    """Name of the ImageBuild."""
    namespace: _Namespace
    """Namespace of the ImageBuild."""


class EntryRef(EventModel):
    """An entry by its name."""

    name: str
    """Name of the entry."""
    namespace: str
    """Namespace of the entry."""


class PromotionSource(EventModel):
    """The entry that a content is promoted from."""

    name: _Name
    """Name of the entry."""
    namespace: _Namespace
    """Namespace of the entry."""
    uid: Annotated[str, Field(max_length=64)] = ""
    """Its uid."""
    earlier: Annotated[list[EntryRef], Field(max_length=16)] = []
    """Where that entry had it from, and so on, the last stage first."""


class RequestedMetadata(CatalogMetadata):
    """What a requester says about the image; a field that does not exist is refused."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class Ping(BaseModel):
    """A tick of a PingSource; what it carries is configuration of the source and not read."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class PublishRequest(EventModel):
    """Asks for an image, or for the image of a build, to be published."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["registryUrl"]}, {"required": ["imageBuild"]}]}
    )

    name: _Name | None = None
    """Name that the entry shall have; made from the repository or build when absent."""
    namespace: _Namespace | None = None
    """Namespace of the entry; the build's, or the configured default, when absent."""
    registry_url: _Reference | None = None
    """Reference of the image with an explicit host; this or `imageBuild`."""
    image_build: BuildRef | None = None
    """The completed build whose image is meant; this or `registryUrl`."""
    tags: Annotated[list[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=64)] = []
    """Words to find the image by."""
    labels: Annotated[dict[str, str], Field(max_length=64)] = {}
    """Labels that the entry shall carry."""
    metadata: RequestedMetadata | None = None
    """What the requester says about the image; it wins over what the build says."""
    auth_secret_ref: AuthSecretRef | None = None
    """The Secret with the credential for the registry; refused from an unauthenticated actor."""
    digest: Digest | None = None
    """The content that the reference must have."""
    verification_interval: Annotated[str, Field(pattern=DURATION_PATTERN, max_length=64)] | None = None
    """How often the registry shall be asked, ``1h30m`` for example."""
    verify_blobs: bool | None = None
    """Whether checks shall ask for every blob."""
    drift_policy: DriftPolicy | None = None
    """What shall happen when the tag of the pinned entry moves."""
    if_exists: Literal["update", "fail"] = "update"
    """What to do when the image has an entry already."""
    verify: bool = True
    """Whether the registry is asked before the image is published."""
    automatic: bool = False
    """Ask as the completion of `imageBuild` does: what opted out or was removed stays away."""
    promoted_from: PromotionSource | None = None
    """The entry that `digest` is promoted from; believed only from a caller that has proven itself."""
    actor: Annotated[str, Field(max_length=512)] | None = None
    """Who asks; believed only from a caller that has proven itself."""

    @model_validator(mode="after")
    def _names_one_source(self) -> Self:
        if (self.registry_url is None) == (self.image_build is None):
            raise ValueError("give either registryUrl or imageBuild, and not both")
        if self.automatic and self.image_build is None:
            raise ValueError("automatic goes with imageBuild: only builds are published by themselves")
        if self.promoted_from is not None and self.digest is None:
            raise ValueError("promotedFrom goes with digest: one content is promoted, and not a tag")
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the data as it stands on the wire; of the metadata what was said, because a default would win too."""
        whole = super().to_dict()
        if self.metadata is not None:
            whole["metadata"] = self.metadata.model_dump(
                mode="json", by_alias=True, exclude_unset=True, exclude_none=True
            )
        return whole


class VerificationRequest(EventModel):
    """Asks for an entry to be checked, or for a reference without an entry to be explained."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["name", "namespace"]}, {"required": ["reference"]}]}
    )

    name: _Name | None = None
    """Name of the entry; this or `reference`."""
    namespace: _Namespace | None = None
    """Namespace of the entry, or of the Secret when a reference is explained."""
    registry_url: _Reference | None = None
    """Reference of the entry when the request was made; for people who read along."""
    reference: _Reference | None = None
    """A reference to explain; nothing is written."""
    auth_secret_ref: AuthSecretRef | None = None
    """The Secret to explain `reference` with; refused from an unauthenticated actor."""
    reason: VerificationReason = VerificationReason.MANUAL
    """Why it is asked for."""
    deep: bool = False
    """Whether every blob is asked for."""
    actor: Annotated[str, Field(max_length=512)] | None = None
    """Who asks; believed only from a caller that has proven itself."""

    @model_validator(mode="after")
    def _names_one_subject(self) -> Self:
        if (self.name is None) == (self.reference is None):
            raise ValueError("give either name, with namespace, or reference, and not both")
        if self.name is not None and self.namespace is None:
            raise ValueError("namespace is missing: name and namespace together name an entry")
        if self.auth_secret_ref is not None and self.reference is None:
            raise ValueError("authSecretRef goes with reference only; an entry names its own")
        return self


class TestReport(EventModel):
    """Says how an image did on a board."""

    __test__ = False  # The name makes pytest look for tests in it.

    name: _Name
    """Name of the entry."""
    namespace: _Namespace
    """Namespace of the entry."""
    registry_url: _Reference | None = None
    """Reference that was tested; for people who read along."""
    digest: Digest
    """The content that was tested."""
    target: LabelValue
    """The board that it was tested on."""
    result: TestResult
    """How the test ended."""
    report_url: Annotated[str, Field(max_length=2048, pattern=r"^https?://")] | None = None
    """Where the report can be read."""
    at: Moment | None = None
    """When the test ended; the event's time when absent."""
    actor: Annotated[str, Field(max_length=512)] | None = None
    """Who reports; believed only from a caller that has proven itself."""


class EventData(EventModel):
    """What the data of every event that the catalog emits begins with."""

    name: str
    """Name of the entry."""
    namespace: str
    """Namespace of the entry."""
    registry_url: str
    """Reference of the entry."""
    actor: str = UNAUTHENTICATED
    """Who caused it: a user, or a ServiceAccount."""


class PublishRejected(EventData):
    """A publication was refused, for good."""

    name: str | None = None  # type: ignore[assignment]  # refused before an entry had a name
    """Name of the entry that was asked for, where there is one."""
    registry_url: str | None = None  # type: ignore[assignment]  # a build may lack a location; that is the reason then
    """Reference that was asked for, where there is one."""
    reason: RejectionReason
    """Why."""
    message: _Message
    """Why, as a sentence for people, with the remedy where there is one."""
    retryable: bool = False
    """Whether the same request may succeed later."""
    source_image_build: BuildRef | None = None
    """The build that was to be published."""
    existing: EntryRef | None = None
    """The entry that is in the way, where there is one."""
    steps: list[Step] = []
    """What was done up to the refusal."""


class ImagePublished(EventData):
    """An image was published, or published again."""

    change: ChangeKind
    """What it did to the entry."""
    digest: str | None = None
    """Content that the entry now points to."""
    previous_digest: str | None = None
    """Content that it pointed to before, for a new version."""
    source_image_build: BuildRef | None = None
    """The build that made it."""
    steps: list[Step] = []
    """What was done."""


class PhaseChanged(EventData):
    """An entry became Available, Unavailable or Failed."""

    previous_phase: Phase | None = None
    """The phase before; absent for a new entry."""
    reason: PhaseReason
    """Why."""
    message: _Message = ""
    """Why, as a sentence for people."""
    digest: str | None = None
    """Content that the entry points to, where it is known."""


class ImageDrifted(EventData):
    """The tag of a pinned entry moved."""

    pinned_digest: str
    """Content that the entry is pinned to."""
    registry_digest: str
    """Content that the tag has now."""
    pinned_still_there: bool
    """Whether the registry still has the pinned content."""


class ImageVerified(EventData):
    """The answer to a manual request."""

    name: str | None = None  # type: ignore[assignment]  # a reference can be explained without an entry
    """Name of the entry; absent when a reference was explained."""
    phase: Phase
    """Phase of the entry after the check, or the phase that it would have."""
    reason: PhaseReason
    """Why it is in that phase."""
    message: _Message = ""
    """Why, as a sentence for people."""
    resolved_digest: str | None = None
    """Content that the registry has."""
    size_bytes: _Count | None = None
    """Its size in bytes."""
    layer_count: _Count | None = None
    """Its layers."""
    last_verified: Moment | None = None
    """When the registry was last asked and answered."""
    steps: list[Step] = []
    """How each step went."""


class ImageRemoved(EventData):
    """An entry is gone."""

    digest: str | None = None
    """Content that it pointed to."""
    removed_by: str | None = None
    """Who removed it, where that is known."""


class ImageRecalled(EventData):
    """A content of the entry must not be used any more."""

    digest: str
    """The content that is recalled."""
    reason: _Message
    """Why, in the words of who recalled it."""
    origin: EntryRef | None = None
    """The entry at which it was recalled: the event's own, or another one for which that holds."""


class ImageRestored(EventData):
    """A recall was taken back."""

    digest: str
    """The content that may be used again."""
    reason: _Message
    """Why, in the words of who restored it."""
    origin: EntryRef | None = None
    """The entry at which the recall was taken back: the event's own, or another one for which that holds."""
