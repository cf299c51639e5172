"""``/docs``: the OpenAPI document as one page of HTML.

Swagger UI needs a megabyte of script, from this process or from a host that a
disconnected site does not reach; what people look up here is names and answers.
"""

from __future__ import annotations

from html import escape
from typing import Any, Final

__all__ = ["page_of"]

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
code { font: 14px ui-monospace, monospace; background: #f2f2f2; padding: 0 .2em }
section { border-top: 1px solid #ccc; margin-top: 1.5rem } h2 { font-size: 1.1rem } td { padding: .15rem 1rem .15rem 0 }
table { border-collapse: collapse } td { vertical-align: top } b { text-transform: uppercase }
"""


def page_of(document: dict[str, Any]) -> str:
    """Return the page that shows an OpenAPI document.

    Parameters
    ----------
    document
        The document.
    """
    info = document["info"]
    sections = [
        _section(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info.get('summary', ''))} For programs: <a href='openapi.json'>openapi.json</a>.</p>"
        + "".join(sections)
        + "</html>"
    )


def _section(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(_parameter(parameter) for parameter in operation.get("parameters", ()))
    answers = "".join(
        f"<tr><td><code>{escape(status)}</code><td>{escape(answer.get('description', ''))}"
        for status, answer in sorted(operation["responses"].items())
    )
    return (
        f'<section id="{escape(operation["operationId"])}"><h2><b>{escape(method)}</b> <code>{escape(path)}</code></h2>'
        f"<p>{escape(operation.get('summary', ''))}. {escape(operation.get('description', ''))}</p>"
        + (f"<h3>Parameters</h3><table>{rows}</table>" if rows else "")
        + f"<h3>Answers</h3><table>{answers}</table></section>"
    )


def _parameter(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    choices = schema.get("enum")
    said = ", ".join(map(str, choices)) if choices else str(schema.get("type", ""))
    if "minimum" in schema:
        said += f" {schema['minimum']}…{schema['maximum']}"
    if schema.get("default") is not None:
        said += f", default {schema['default']}"
    text = escape(parameter.get("description") or "")
    return f"<tr><td><code>{escape(parameter['name'])}</code><td>{escape(said)}<td>{text}"
