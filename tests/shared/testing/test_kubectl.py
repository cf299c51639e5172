"""The runner itself, with a script in the place of kubectl: it must work where none is installed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from image_catalog.testing.kubectl import Completed, Kubectl

SCRIPT = """#!/bin/sh
case "$1" in
  tell) echo "$2 $KUBE_EDITOR"; echo "E1121 10:00:00 client log" >&2; echo "said" >&2; exit 3 ;;
  where) pwd; cat "$KUBECONFIG" ;;
  cache) if [ -d "$HOME/.kube" ]; then echo cached; else mkdir "$HOME/.kube"; fi ;;
  watch) trap 'echo interrupted; exit 1' INT; echo first; echo "I1121 GET ?watch=true 200 OK" >&2
         while :; do sleep 0.05; done ;;
  hang) exec sleep 60 ;;
esac
"""


@pytest.fixture
def kubectl(tmp_path: Path) -> Kubectl:
    binary = tmp_path / "kubectl"
    binary.write_text(SCRIPT)
    binary.chmod(0o755)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("the kubeconfig\n")
    return Kubectl(binary=str(binary), kubeconfig=kubeconfig, folder=tmp_path)


async def test_a_command_is_run_as_typed_and_its_own_log_left_out(kubectl: Kubectl) -> None:
    result = await kubectl.run("kubectl tell 'two words'", environment={"KUBE_EDITOR": "sed"})

    assert result == Completed("two words sed\n", "said\n", 3)


async def test_a_command_runs_in_the_folder_with_the_kubeconfig(kubectl: Kubectl, tmp_path: Path) -> None:
    assert (await kubectl.run("kubectl where")).stdout == f"{tmp_path}\nthe kubeconfig\n"


async def test_what_was_cached_can_be_forgotten(kubectl: Kubectl) -> None:
    await kubectl.run("kubectl cache")
    assert (await kubectl.run("kubectl cache")).stdout == "cached\n"

    kubectl.forget_discovery()
    assert (await kubectl.run("kubectl cache")).stdout == ""


async def test_a_watch_is_followed_and_interrupted(kubectl: Kubectl) -> None:
    async with kubectl.start("kubectl watch") as running:
        await running.watching()
        await running.printed(1)
        result = await running.interrupt()

    assert result == Completed("first\ninterrupted\n", "", 1)


async def test_waiting_ends_with_the_command(kubectl: Kubectl) -> None:
    async with kubectl.start("kubectl tell x") as running:
        await running.printed(99)

        assert (await running.interrupt()).exit == 3


async def test_a_command_that_hangs_is_ended(kubectl: Kubectl) -> None:
    with pytest.raises(TimeoutError):
        await kubectl.run("kubectl hang", within=timedelta(milliseconds=100))
