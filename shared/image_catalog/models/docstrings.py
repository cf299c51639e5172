"""The docstrings of models and of their fields, for the schemas that are generated from them.

Pydantic collects the docstrings of fields itself when it is asked to, but then
at import, by reading source, and every cold start of a function would pay.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from functools import cache
from itertools import pairwise

from pydantic import BaseModel

__all__ = ["field_docs", "markdown_text", "plain_text"]


def plain_text(docstring: str | None) -> str:
    """Return a docstring as one paragraph, without reStructuredText's marks."""
    return " ".join(inspect.cleandoc(docstring or "").replace("`", "").split())


def markdown_text(docstring: str | None) -> str:
    """Return a docstring as one paragraph of Markdown."""
    return " ".join(inspect.cleandoc(docstring or "").replace("``", "`").split())


@cache
def field_docs(model: type[BaseModel], written: Callable[[str], str] = plain_text) -> dict[str, str]:
    """Return the text under each field, inherited ones too, by the field's name on the wire."""
    docs: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if issubclass(owner, BaseModel) and owner is not BaseModel:
            for name, text in _own_docs(owner).items():
                docs[model.model_fields[name].alias or name] = written(text)
    return docs


def _own_docs(model: type[BaseModel]) -> dict[str, str]:
    definition = _classes(model.__module__).get(model.__qualname__)
    docs = {}
    for field, text in pairwise(definition.body if definition else []):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                docs[name] = docstring
            case _:
                pass
    return docs


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    """Read a module once: `inspect.getsource` of a class would parse all of it for each of its classes."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
