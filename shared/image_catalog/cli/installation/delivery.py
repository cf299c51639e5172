"""Checks the way of an event: sources, Broker, Triggers, Services and what binds them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from image_catalog.cli.installation.findings import Finding, State
from image_catalog.cli.installation.kinds import kind_of, subject_of
from image_catalog.cli.installation.surroundings import NAMESPACE, Reach, Surroundings

__all__ = ["check_delivery"]

_CHECK: Final = "delivery"
_KINDS: Final = ("Broker", "Service", "Trigger", "ApiServerSource", "PingSource", "SinkBinding")
_INSTALL: Final = "kubectl apply -k your overlay; without Knative Serving and Eventing nothing of it can be there"


async def check_delivery(around: Surroundings) -> list[Finding]:
    """Look whether everything of Knative's that this version installs is there and ready, and the Broker answers."""
    wanted = sorted(around.of_kind(*_KINDS), key=lambda m: (_KINDS.index(m["kind"]), m["metadata"]["name"]))
    found = await asyncio.gather(*(around.api.get(kind_of(m), m["metadata"]["name"], NAMESPACE) for m in wanted))
    findings = [_readiness(ours, theirs) for ours, theirs in zip(wanted, found, strict=True)]
    for theirs in found:
        if theirs is not None and theirs["kind"] == "Broker" and (url := _address(theirs)):
            findings.insert(1, await _reach(around, theirs, url))
    return findings


def _readiness(ours: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> Finding:
    subject, state, message, remedy = subject_of(ours), State.OK, "ready", ""
    ready = _condition(theirs or {}, "Ready")
    if theirs is None:
        state, message, remedy = State.WRONG, "not installed", _INSTALL
    elif ready.get("status") != "True":
        why = ": ".join(filter(None, (ready.get("reason"), ready.get("message"))))
        state, message = State.WRONG, f"not ready: {why or 'no controller of Knative has looked at it yet'}"
        remedy = f"kubectl -n {NAMESPACE} describe {subject}"
        if theirs["kind"] == "ApiServerSource" and _watches(theirs, "ImageBuild"):
            remedy = f"{remedy}; without the build operator it never is, and only builds are missed"
    return Finding(check=_CHECK, subject=subject, state=state, message=message, remedy=remedy)


async def _reach(around: Surroundings, broker: Mapping[str, Any], url: str) -> Finding:
    subject = f"{subject_of(broker)} at {url}"
    match await around.probe(url):
        case Reach.ANSWERED:
            return Finding(check=_CHECK, subject=subject, state=State.OK, message="answers")
        case Reach.NO_SUCH_NAME:
            return Finding(
                check=_CHECK,
                subject=subject,
                state=State.UNKNOWN,
                message="its name is known inside the cluster alone",
                remedy="run the check in a Pod to know",
            )
        case Reach.SILENT:
            return Finding(
                check=_CHECK,
                subject=subject,
                state=State.WRONG,
                message="does not answer",
                remedy="look at the Broker's ingress in knative-eventing, and at network policies on the way",
            )


def _address(broker: Mapping[str, Any]) -> str:
    return str(((broker.get("status") or {}).get("address") or {}).get("url") or "")


def _condition(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == name), {})


def _watches(source: Mapping[str, Any], kind: str) -> bool:
    return any(resource["kind"] == kind for resource in source["spec"]["resources"])
