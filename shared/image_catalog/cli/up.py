"""``image-catalog local up``: the stack in the foreground, until it is interrupted."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from image_catalog.config import ApiAuth
from image_catalog.events import SourceType
from image_catalog.local.console import event_line, plain_console
from image_catalog.local.knative import DeliveryRecord, Outcome
from image_catalog.local.samples import push_samples
from image_catalog.local.stack import LocalStack, StackOptions

__all__ = ["run_stack"]


async def run_stack(options: StackOptions) -> None:
    """Run the stack until SIGINT or SIGTERM.

    Parameters
    ----------
    options
        What of the stack is swapped or placed.

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
    starting = asyncio.create_task(_start(LocalStack(options, observer=show, notice=err.print)))
    interrupted = asyncio.create_task(stopping.wait())
    await asyncio.wait({starting, interrupted}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return
    stack = await starting
    try:
        samples = await push_samples(stack.registry_url) if stack.registry is not None else []
        out.print(_instructions(stack, samples))
        await interrupted
    finally:
        await stack.__aexit__(None, None, None)
        err.print("stopped")


async def _start(stack: LocalStack) -> LocalStack:
    return await stack.__aenter__()


def _instructions(stack: LocalStack, samples: list[str]) -> str:
    lines = [
        "The catalog runs. In another terminal:",
        "",
        f"  export KUBECONFIG={stack.kubeconfig}",
        f"  export CAIB_SERVER={stack.catalog_url}",
        f"  export REGISTRY={stack.registry_url}",
        f"  export BROKER={stack.knative.broker_url}",
        "",
        "  kubectl get catalogimages -A -w",
        f"  {_command('caib')} catalog list",
        *_curl(stack.options.auth),
    ]
    if samples:
        lines += [
            "",
            "Images to try, in the registry that answers for quay.io:",
            *(f"  {reference}" for reference in samples),
            "",
            "Publish one as any system would, with a CloudEvent:",
            "  curl -i $BROKER -H 'ce-specversion: 1.0' -H 'ce-id: 1' -H 'ce-source: /me' \\",
            "    -H 'ce-type: com.redhat.automotive.catalog.publish.requested' \\",
            f"""    -H 'content-type: application/json' -d '{{"registryUrl": "{samples[0]}"}}'""",
        ]
    lines += ["", f"Logs are in {stack.options.folder / 'logs'}. Ctrl-C ends everything.", ""]
    return "\n".join(lines)


def _curl(auth: ApiAuth) -> list[str]:
    """Return how a script asks the API; a token is the one that the kubeconfig shows to the cluster."""
    token = "-H \"Authorization: Bearer $(kubectl config view --raw -o jsonpath='{.users[0].user.token}')\""
    header = [f"    {token} \\"] if auth is ApiAuth.KUBERNETES else []
    return ["  curl -s \\", *header, '    "$CAIB_SERVER/api/v1alpha1/catalog/images?limit=5"']


def _command(name: str) -> str:
    """Return how a command beside this one is called from the folder that the stack was started in."""
    path = Path(sys.executable).with_name(name)
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
