"""Names that the catalog's resources are known by in a cluster."""

__all__ = [
    "ANNOTATION_ALLOW_NAMESPACES",
    "ANNOTATION_CATALOG_NAME",
    "ANNOTATION_CHANGED_BY",
    "ANNOTATION_DIGEST_PINNED_BY",
    "ANNOTATION_METADATA_OVERRIDE",
    "ANNOTATION_PUBLICATION",
    "ANNOTATION_PUBLISH",
    "ANNOTATION_REGISTRY_HOST",
    "ANNOTATION_REMOVED_BY",
    "API_VERSION",
    "FINALIZER",
    "GROUP",
    "LABEL_ARCHITECTURE",
    "LABEL_ARCHITECTURE_PREFIX",
    "LABEL_BOOTC_CAPABLE",
    "LABEL_BUILD_SCHEDULE",
    "LABEL_DISTRO",
    "LABEL_REFERENCE_HASH",
    "LABEL_REGISTRY_TYPE",
    "LABEL_SCHEDULE",
    "LABEL_SOURCE_TYPE",
    "LABEL_TARGET",
    "LABEL_TARGET_PREFIX",
    "PING_REVERIFY",
    "PING_SWEEP",
    "PINNED_BY_PUBLISH",
    "VERSION",
]

GROUP = "automotive.sdv.cloud.redhat.com"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

FINALIZER = f"catalogimage.{GROUP}/finalizer"

LABEL_ARCHITECTURE = f"{GROUP}/architecture"
"""The first architecture; every one has a label of its own under `LABEL_ARCHITECTURE_PREFIX`."""
LABEL_ARCHITECTURE_PREFIX = f"architecture.{GROUP}/"
LABEL_DISTRO = f"{GROUP}/distro"
LABEL_TARGET = f"{GROUP}/target"
"""The first target; every target has a label of its own under `LABEL_TARGET_PREFIX`."""
LABEL_TARGET_PREFIX = f"target.{GROUP}/"
LABEL_BOOTC_CAPABLE = f"{GROUP}/bootc-capable"
LABEL_REGISTRY_TYPE = f"{GROUP}/registry-type"
LABEL_SOURCE_TYPE = f"{GROUP}/source-type"
LABEL_SCHEDULE = f"{GROUP}/schedule"
LABEL_REFERENCE_HASH = f"{GROUP}/reference-hash"
"""First 40 hex digits of the identity: a label value has 63 characters at most."""

LABEL_BUILD_SCHEDULE = f"{GROUP}/scheduledimagebuild-name"
"""Set by the build operator on an ImageBuild that a schedule made."""

ANNOTATION_PUBLISH = f"{GROUP}/publish"
"""On an ImageBuild: ``"false"`` keeps it out of the catalog, ``"true"`` asks for it."""
ANNOTATION_CATALOG_NAME = f"{GROUP}/catalog-name"
"""On an ImageBuild: the name that its entry shall have."""
ANNOTATION_DIGEST_PINNED_BY = f"{GROUP}/digest-pinned-by"
"""On an entry: ``publish`` where the pin is ours to move; absent where a person typed it."""
PINNED_BY_PUBLISH = "publish"
"""Value of that annotation."""
ANNOTATION_PUBLICATION = f"{GROUP}/publication"
"""On an entry: the last publication that was applied, so that another writer can finish its version."""
ANNOTATION_METADATA_OVERRIDE = f"{GROUP}/metadata-override"
"""On an entry: ``"true"`` lets what a person typed win over what the registry says."""
ANNOTATION_CHANGED_BY = f"{GROUP}/changed-by"
"""On an entry: when it was last edited through the API, and by whom: ``2026-01-02T03:04:05.678Z alice``."""
ANNOTATION_REMOVED_BY = f"{GROUP}/removed-by"
"""On an entry that is being removed through the API: the same of its removal."""
ANNOTATION_REGISTRY_HOST = f"{GROUP}/registry-host"
"""On a Secret that names no host itself: ``host[:port][/path]`` that it is for."""
ANNOTATION_ALLOW_NAMESPACES = f"{GROUP}/allow-namespaces"
"""On a Secret: namespaces, comma separated, whose entries may use it; ``*`` for all."""

PING_REVERIFY = "/apis/v1/namespaces/image-catalog/pingsources/reverify"
"""``source`` of the ticks that ask for what is due."""
PING_SWEEP = "/apis/v1/namespaces/image-catalog/pingsources/sweep"
"""``source`` of the rarer ticks that look for what fell through."""
