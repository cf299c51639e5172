"""The built-in kinds that the embedded API serves, as data."""

from __future__ import annotations

from image_catalog.local.kubernetes.resources import ALL_VERBS, NAME_COLUMN, Column, Resource, ResourceRegistry

__all__ = ["BUILTIN_RESOURCES", "builtin_registry"]

_AGE = Column("Age", description="CreationTimestamp is a timestamp representing the server time of creation.")
_CREATED_AT = Column(
    "Created At", "date", ".metadata.creationTimestamp", description="CreationTimestamp is the server time of creation."
)
_ROLE_BINDING_COLUMNS = (
    NAME_COLUMN,
    Column("Role", description="The role that is bound."),
    _AGE,
    Column("Users", priority=1, description="Users in the subjects."),
    Column("Groups", priority=1, description="Groups in the subjects."),
    Column("ServiceAccounts", priority=1, description="Service accounts in the subjects."),
)
_EVENT_COLUMNS = (
    Column("Last Seen", description="The time at which the most recent occurrence of this event was recorded."),
    Column("Type", json_path=".type", description="Type of this event (Normal, Warning)."),
    Column("Reason", json_path=".reason", description="A short, machine understandable reason."),
    Column("Object", description="The object that this event is about."),
    Column("Subobject", priority=1, description="The piece of the object that this event is about."),
    Column("Source", priority=1, description="The component reporting this event."),
    Column("Message", description="A human-readable description of the status of this operation."),
    Column("First Seen", priority=1, description="The time at which the event was first recorded."),
    Column("Count", priority=1, description="The number of times this event has occurred."),
    Column(
        "Name",
        json_path=".metadata.name",
        priority=1,
        format="name",
        description="Name must be unique within a namespace. Is required when creating resources.",
    ),
)
_EVENT_FIELDS = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)


def _stored(group: str, kind: str, plural: str, columns: tuple[Column, ...], **more: object) -> Resource:
    facts = {"namespaced": True, "singular": kind.lower(), "list_kind": kind + "List", "version": "v1", **more}
    return Resource(group=group, kind=kind, plural=plural, columns=columns, **facts)  # type: ignore[arg-type]  # the table below is the check


def _review(group: str, kind: str, plural: str, *, namespaced: bool = False) -> Resource:
    return _stored(group, kind, plural, (), namespaced=namespaced, verbs=("create",))


_RBAC = "rbac.authorization.k8s.io"

BUILTIN_RESOURCES: tuple[Resource, ...] = (
    _stored(
        "",
        "Namespace",
        "namespaces",
        (NAME_COLUMN, Column("Status", json_path=".status.phase", description="The status of the namespace"), _AGE),
        namespaced=False,
        short_names=("ns",),
        has_status=True,
        verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
        selectable_fields=("status.phase",),
    ),
    _stored(
        "",
        "Secret",
        "secrets",
        (
            NAME_COLUMN,
            Column("Type", json_path=".type", description="Used to facilitate programmatic handling of secret data."),
            Column("Data", description="Data contains the secret data."),
            _AGE,
        ),
        selectable_fields=("type",),
    ),
    _stored(
        "",
        "ConfigMap",
        "configmaps",
        (NAME_COLUMN, Column("Data", description="Data contains the configuration data."), _AGE),
        short_names=("cm",),
    ),
    _stored("", "Event", "events", _EVENT_COLUMNS, short_names=("ev",), selectable_fields=_EVENT_FIELDS),
    _stored(
        "",
        "ServiceAccount",
        "serviceaccounts",
        (NAME_COLUMN, _AGE),
        short_names=("sa",),
        subresources=(("token", "authentication.k8s.io", "v1", "TokenRequest", ("create",)),),
    ),
    _stored("events.k8s.io", "Event", "events", _EVENT_COLUMNS, short_names=("ev",)),
    _stored(
        "coordination.k8s.io",
        "Lease",
        "leases",
        (NAME_COLUMN, Column("Holder", json_path=".spec.holderIdentity", description="Who holds the lease."), _AGE),
    ),
    _stored(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        (NAME_COLUMN, _CREATED_AT),
        namespaced=False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        has_status=True,
    ),
    _stored(_RBAC, "Role", "roles", (NAME_COLUMN, _CREATED_AT)),
    _stored(_RBAC, "RoleBinding", "rolebindings", _ROLE_BINDING_COLUMNS),
    _stored(_RBAC, "ClusterRole", "clusterroles", (NAME_COLUMN, _CREATED_AT), namespaced=False),
    _stored(_RBAC, "ClusterRoleBinding", "clusterrolebindings", _ROLE_BINDING_COLUMNS, namespaced=False),
    _review("authentication.k8s.io", "TokenReview", "tokenreviews"),
    _review("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews"),
    _review("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews"),
    _review("authorization.k8s.io", "SelfSubjectAccessReview", "selfsubjectaccessreviews"),
    _review("authorization.k8s.io", "SelfSubjectRulesReview", "selfsubjectrulesreviews"),
    _review("authorization.k8s.io", "LocalSubjectAccessReview", "localsubjectaccessreviews", namespaced=True),
)
"""Every built-in kind, core group first.

Cells of columns without a JSON path are computed by kind, see
:mod:`image_catalog.local.kubernetes.wire.tables`.
"""


def builtin_registry() -> ResourceRegistry:
    """Make a registry that serves the built-in kinds."""
    return ResourceRegistry(BUILTIN_RESOURCES)
