"""An environment with what a function's container has, and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shlex
import sys
from pathlib import Path

__all__ = ["container_environment", "function_file", "install_runtime"]

_ROOT = Path(__file__).resolve().parents[2]
_CONTAINERFILE = _ROOT / "knative" / "Containerfile"
_REQUIREMENTS = _ROOT / "requirements" / "runtime.txt"
_VENV = _ROOT / "build" / "bench-venv"
_STAMP = _VENV / ".requirements"


async def install_runtime(folder: Path) -> Path:
    """Install as ``knative/Containerfile`` does, bytecode included, and return the Python.

    The dependencies stay in ``build/bench-venv`` until their pins change; the
    package itself is built and installed each time, because that is what is measured.

    Parameters
    ----------
    folder
        Where the wheel goes.

    Raises
    ------
    RuntimeError
        Raised if a command fails; the message has its output.
    """
    python = _VENV / "bin" / "python"
    pins = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()
    if not _STAMP.exists() or _STAMP.read_text() != pins:
        await _run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(_VENV))
        await _install(python, "--require-hashes", "--only-binary", ":all:", "-r", str(_REQUIREMENTS))
        _STAMP.write_text(pins)
    await _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    await _install(python, "--no-deps", "--no-index", "--reinstall", *_wheels(folder))
    return python


def container_environment() -> dict[str, str]:
    """Return the variables that ``knative/Containerfile`` sets for the function's process, but for the search path."""
    stage = _CONTAINERFILE.read_text().rpartition("\nFROM ")[2]
    settings = [word for line in stage.splitlines() if line.startswith("ENV ") for word in shlex.split(line)[1:]]
    variables = dict(setting.split("=", 1) for setting in settings)
    del variables["PATH"]
    return variables


async def function_file(python: Path, name: str) -> Path:
    """Return the file that functions-framework loads for a function in that environment."""
    find = "import image_catalog_functions as f; print(*f.__path__)"
    folder = await _run(str(python), "-c", find)
    return Path(folder.strip(), name, "main.py")


def _wheels(folder: Path) -> list[str]:
    return [str(path) for path in folder.glob("*.whl")]


async def _install(python: Path, *arguments: str) -> None:
    # The installer is the development environment's own: a container does not keep one either.
    uv = Path(sys.executable).with_name("uv")
    await _run(str(uv), "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *arguments)


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=_ROOT,
        env={name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} failed: {output.decode(errors='replace')}")
    return output.decode()
