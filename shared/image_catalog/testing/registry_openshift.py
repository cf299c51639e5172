"""OpenShift's internal registry: whoever has a token of the cluster is known, and sees what the cluster lets him see.

https://docs.openshift.com/container-platform/latest/registry/accessing-the-registry.html
"""

from __future__ import annotations

from image_catalog.local.kubernetes.access.auth import API_AUDIENCE, TokenRejectedError
from image_catalog.local.kubernetes.app import Cluster
from image_catalog.local.registry import read_basic
from image_catalog.testing.planted import MADE
from image_catalog.testing.registry_auth import Accounts
from image_catalog.testing.registry_tokens import BearerAuth

__all__ = ["OpenShiftAuth"]


class OpenShiftAuth(BearerAuth):
    """Tokens for tokens: the password is a token of the cluster, the user name counts for nothing.

    The challenge has neither service nor scope, and the realm is a path of the
    registry itself. Rules name users as the cluster does:
    ``system:serviceaccount:image-catalog:verify``.

    Parameters
    ----------
    cluster
        Says whose token it is.

    Attributes
    ----------
    shown
        Every token that was shown to it, in order.
    """

    token_path = "/openshift/token"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(service=None, scope_in_challenge=False)
        self.shown: list[str] = []
        self.accounts = _Reviewed(cluster, self.shown)


class _Reviewed(Accounts):
    """Accounts that the cluster knows."""

    def __init__(self, cluster: Cluster, shown: list[str]) -> None:
        super().__init__()
        self._cluster = cluster
        self._shown = shown

    def user_of(self, header: str) -> str | None:
        credential = read_basic(header)
        if credential is None:
            return None
        self._shown.append(MADE.made("ServiceAccount token", credential[1]))
        try:
            return self._cluster.authenticator.review(credential[1], [API_AUDIENCE])[0].name
        except TokenRejectedError:
            return None
