"""``/docs``: the blocks of a page as HTML that needs no script and asks no other host for anything.

Swagger UI needs a megabyte of script, from this process or from a host that a
disconnected site does not reach; what people look up here is names and answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from image_catalog.pages.blocks import (
    Block,
    Code,
    Contents,
    Heading,
    Paragraph,
    Table,
    anchor_of,
)

__all__ = ["render"]

_STYLE: Final = """
:root { color-scheme: light dark; --text: #1f2328; --soft: #59636e; --line: #d1d9e0; --back: #fff; --code: #f3f5f7;
  --link: #0757b0 }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ed; --soft: #9ba5b0; --line: #3a424b; --back: #14181c;
  --code: #22282e; --link: #79b8ff } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; color: var(--text); background: var(--back) }
main { max-width: 62rem; margin: 0 auto; padding: 1rem 1.5rem 4rem }
a { color: var(--link); text-decoration: none } a:hover { text-decoration: underline }
h2 { margin-top: 3rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line) }
h3 { margin-top: 2.2rem; font-size: 1.1rem } h2, h3 { scroll-margin-top: 1rem }
h1 a, h2 a, h3 a { color: inherit }
code { font: .875em ui-monospace, monospace; background: var(--code); padding: .1em .3em; border-radius: 4px }
pre { background: var(--code); padding: .8rem 1rem; border-radius: 6px; overflow-x: auto }
pre code { padding: 0 }
.wide { overflow-x: auto; margin: 1rem 0 }
table { border-collapse: collapse; width: 100% }
th { text-align: left; color: var(--soft); font-weight: 600 }
th, td { vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line) }
td:first-child { white-space: nowrap }
nav ul { list-style: none; padding-left: 0 } nav ul ul { padding-left: 1.2rem }
nav span { color: var(--soft) }
@media (min-width: 96rem) {
  main { margin-left: 30rem }
  nav { position: fixed; top: 0; bottom: 0; left: 0; width: 28rem; overflow-y: auto; padding: 1rem 1.5rem;
    border-right: 1px solid var(--line); font-size: .875rem }
  nav span { display: none }
}
"""


def render(blocks: Iterable[Block], *, title: str) -> str:
    """Return a page's blocks as an HTML document.

    Parameters
    ----------
    blocks
        The page.
    title
        What stands on the window.
    """
    body = "\n".join(_written(block) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _written(block: Block) -> str:
    match block:
        case Heading(level, text):
            anchor = anchor_of(text)
            return f'<h{level} id="{anchor}"><a href="#{anchor}">{escape(text)}</a></h{level}>'
        case Paragraph(text):
            return f"<p>{_inline(text)}</p>"
        case Code(_, text):
            return f"<pre><code>{escape(text)}</code></pre>"
        case Table(head, rows):
            lines = (_row(head, "th"), *(_row(row, "td") for row in rows))
            return f'<div class="wide"><table>{"".join(lines)}</table></div>'
        case Contents():
            return f'<nav aria-label="Contents"><ul>{"".join(_entries(block))}</ul></nav>'


def _row(cells: tuple[str, ...], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{_inline(cell)}</{tag}>' for cell in cells)}</tr>"


def _entries(contents: Contents) -> Iterator[str]:
    for heading, below in contents.groups:
        lines = "".join(f"<li>{_link(text)} <span>{_inline(beside)}</span></li>" for text, beside in below if beside)
        short = " · ".join(_link(text) for text, beside in below if not beside)
        yield f"<li>{_link(heading)}<ul>{lines}{f'<li>{short}</li>' if short else ''}</ul></li>"


def _link(heading: str) -> str:
    return f'<a href="#{anchor_of(heading)}">{escape(heading)}</a>'


def _inline(text: str) -> str:
    """Return a text with its backticks and links as HTML."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\[([^\]]+)\]\(([#/][\w.-]+)\)", r'<a href="\2">\1</a>', marked).replace("\n", "<br>")
