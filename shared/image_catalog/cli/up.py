"""``image-catalog local up``: the stack in the foreground, until it is interrupted."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from image_catalog.config import ApiAuth
from image_catalog.events import EventType, SourceType
from image_catalog.local.console import event_line, plain_console
from image_catalog.local.knative import DeliveryRecord, Outcome
from image_catalog.local.samples import (
    PRIVATE_REFERENCE,
    PRIVATE_REPOSITORY,
    PRIVATE_USER,
    create_builds,
    push_samples,
)
from image_catalog.local.stack import LocalStack, StackOptions

__all__ = ["run_stack"]

_TO_PUBLISH = "quay.io/centos-automotive/autosd:cs9-minimal"
"""A sample that no page publishes: what is typed from here leaves them as they say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Samples:
    """What is there to try things with.

    Attributes
    ----------
    images
        References of the public images.
    builds
        Builds whose images are published.
    password
        Of the private image's registry.
    """

    images: list[str]
    builds: list[str]
    password: str


async def run_stack(options: StackOptions, *, samples: bool = True) -> None:
    """Run the stack until SIGINT or SIGTERM.

    Parameters
    ----------
    options
        What of the stack is swapped or placed.
    samples
        Whether there shall be images and builds from the start. Builds are
        made in an embedded cluster alone, images in an embedded registry.

    Raises
    ------
    PermanentError
        Raised if a part does not start; the message says what to do.
    """
    out, err = plain_console(), plain_console(stderr=True)

    def show(record: DeliveryRecord) -> None:
        # A tick that went well is no news, and there is one every two seconds.
        if record.event_type != SourceType.PING or record.outcome is not Outcome.DELIVERED:
            out.print(event_line(record))

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    err.print("starting the catalog; this takes some seconds …")
    # Nobody can have learned it from anywhere but this terminal.
    password = secrets.token_urlsafe(12)
    options = replace(options, accounts={PRIVATE_USER: password}, private=(PRIVATE_REPOSITORY,))
    stack = LocalStack(options, observer=show, notice=err.print)
    starting = asyncio.create_task(_start(stack, password if samples else None))
    interrupted = asyncio.create_task(stopping.wait())
    await asyncio.wait({starting, interrupted}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return
    filled = await starting
    try:
        out.print(_instructions(stack, filled))
        await interrupted
    finally:
        await stack.__aexit__(None, None, None)
        err.print("stopped")


async def _start(stack: LocalStack, password: str | None) -> _Samples | None:
    async with AsyncExitStack() as started:
        await started.enter_async_context(stack)
        samples = None
        if password is not None and stack.registry is not None:
            images = await push_samples(stack.registry_url, password=password)
            builds = await create_builds(stack.api) if stack.kubernetes is not None else []
            samples = _Samples(images=images, builds=builds, password=password)
        started.pop_all()
    return samples


def _instructions(stack: LocalStack, samples: _Samples | None) -> str:
    variables = {
        "KUBECONFIG": stack.kubeconfig,
        "CAIB_SERVER": stack.catalog_url,
        "REGISTRY": stack.registry_url,
        "BROKER": stack.knative.broker_url,
    }
    if samples is not None:
        variables["REGISTRY_PASSWORD"] = samples.password
    lines = [
        "The catalog runs. In another terminal:",
        "",
        f"  export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH",
        *(f"  export {name}={shlex.quote(str(value))}" for name, value in variables.items()),
        "",
        "  caib catalog list",
        "  kubectl get catalogimages -A -w",
        *_curl(stack),
        "",
        "Figures for Prometheus, a process each (docs/metrics.md explains them):",
        *(f"  {url}  {name}" for name, url in sorted(stack.figure_urls.items())),
        *(_described(samples) if samples is not None else ()),
    ]
    lines += ["", f"Logs are in {stack.options.folder / 'logs'}. Ctrl-C ends everything.", ""]
    return "\n".join(lines)


def _curl(stack: LocalStack) -> list[str]:
    """Return how a script asks the API; a token is the one that the kubeconfig shows to the cluster."""
    asked = '"$CAIB_SERVER/api/v1alpha1/catalog/images?limit=5"'
    if stack.options.auth is not ApiAuth.KUBERNETES:
        return [f"  curl -s {asked}"]
    embedded = "sed -n 's/^ *token: //p' \"$KUBECONFIG\""
    real = "kubectl config view --raw --minify -o jsonpath='{.users[0].user.token}'"
    return [
        "",
        "Scripts show the token that is in the kubeconfig:",
        f"  export CAIB_TOKEN=$({embedded if stack.kubernetes is not None else real})",
        f'  curl -s -H "Authorization: Bearer $CAIB_TOKEN" {asked}',
    ]


def _described(samples: _Samples) -> list[str]:
    told = ["", f"Published already, as completed builds are: {', '.join(samples.builds)}"]
    return [
        *(told if samples.builds else ()),
        "",
        "Images to try, in the registry that answers for quay.io:",
        *(f"  {reference}" for reference in samples.images),
        f"and in one that asks {PRIVATE_USER} for $REGISTRY_PASSWORD:",
        f"  {PRIVATE_REFERENCE}",
        "",
        "Publish one as any system would, with a CloudEvent (with the same id again it would be the same event):",
        "  curl -i $BROKER -H 'ce-specversion: 1.0' -H \"ce-id: $(date +%s)-$RANDOM\" -H 'ce-source: /me' \\",
        f"    -H 'ce-type: {EventType.PUBLISH_REQUESTED}' \\",
        f"""    -H 'content-type: application/json' -d '{{"registryUrl": "{_TO_PUBLISH}"}}'""",
    ]
