"""The embedded Kubernetes API: the subset that the functions and kubectl use, driven by CRDs.

`Cluster` is the state, `create_app` the ASGI application over it, and
`EmbeddedKubernetes` serves that over HTTPS. A request goes through ``access/``
(who asks, and may they), ``wire/`` (its body, and the answer's form) and
``objects/`` (what becomes of it, judged by ``schemas/``) into ``storage/``;
``discovery/`` tells clients what there is. What is left out stands in
:mod:`image_catalog.local.kubernetes.left_out`. It exists for laptops and
tests; production is a real API server, and the same contract tests run
against both.
"""

from image_catalog.local.kubernetes.access.auth import User
from image_catalog.local.kubernetes.access.rbac import Attributes
from image_catalog.local.kubernetes.api import RequestHook
from image_catalog.local.kubernetes.app import Cluster, create_app
from image_catalog.local.kubernetes.server import EmbeddedKubernetes, kubeconfig

__all__ = ["Attributes", "Cluster", "EmbeddedKubernetes", "RequestHook", "User", "create_app", "kubeconfig"]
