"""The picture of a publication: which layer does what, from the build that completes to the event that is emitted.

A column for each layer, a row for each step; whoever moves code moves its name here, and a test looks it up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

__all__ = ["EDGE", "STEPS", "Step", "draw_publication"]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a publication.

    Attributes
    ----------
    said
        What is done.
    name
        The dotted name that does it.
    layer
        Where that stands: ``policy`` or ``door``.
    outside
        Who is spoken to, where somebody is.
    through
        The door that policy has it done by.
    inward
        Whether it comes in, from outside.
    """

    said: str
    name: str
    layer: str
    outside: tuple[str, str] | None = None
    through: str | None = None
    inward: bool = False


STEPS: Final = (
    Step(
        "Read, match, hand over",
        "image_catalog.events.serving.ServedFunction",
        "door",
        ("ImageBuild completes", "source → broker → Trigger"),
        inward=True,
    ),
    Step("What the build asks for", "image_catalog.catalog.wishes.wish_of_build", "policy"),
    Step("Has the image an entry?", "image_catalog.cluster.Claims", "door", ("Kubernetes API", "Lease")),
    Step(
        "Ask for the image",
        "image_catalog.catalog.checker.Checker",
        "policy",
        ("Registry", "token, manifest, config"),
        through="image_catalog.registry.RegistryClient",
    ),
    Step("The entry's spec, pinned", "image_catalog.catalog.publishing.new_image", "policy"),
    Step("Write the spec", "image_catalog.cluster.CatalogImages", "door", ("Kubernetes API", "CatalogImage")),
    Step("Judge what was found", "image_catalog.catalog.verdict.judge", "policy"),
    Step("Phase, conditions, what is owed", "image_catalog.catalog.lifecycle.settle", "policy"),
    Step("Write the status", "image_catalog.cluster.CatalogImages", "door", ("Kubernetes API", "CatalogImage status")),
    Step("The events that it owes", "image_catalog.catalog.announcing.announce", "policy"),
    Step(
        "Send, then answer 204",
        "image_catalog.events.EventSink",
        "door",
        ("Broker", "→ audit, subscribers"),
    ),
)
"""What happens, from top to bottom."""

EDGE: Final = ("main", "handler", "intake", "publisher")
"""The modules of ``image_catalog_functions.publish`` that have it done."""

_WIDTH: Final = 960
_TOP: Final = 64
_ROW: Final = 62
_BOX: Final = 46
_LAYERS: Final = {"outside": (16, 196), "door": (268, 246), "edge": (560, 92), "policy": (698, 246)}
"""Where each column begins, and how wide it is."""
_TITLES: Final = {"outside": "outside", "door": "doors", "edge": "the function", "policy": "policy"}

_STYLE: Final = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.name { font: 11px ui-monospace, SFMono-Regular, Menlo, monospace; fill: #59636e }
.title { font-weight: 600; fill: #59636e }
.paper { fill: #ffffff; stroke: #d1d9e0 }
.box { fill: #f6f8fa; stroke: #8c959f }
.outside { fill: #ffffff; stroke: #8c959f; stroke-dasharray: 4 3 }
.policy { fill: #ddf4ff; stroke: #0969da }
.edge { fill: #fff8c5; stroke: #9a6700 }
.way { stroke: #59636e; stroke-width: 1.5; fill: none; marker-end: url(#head) }
.head { fill: #59636e }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.name, .title { fill: #9ea7b0 }
.paper { fill: #0d1117; stroke: #3d444d }
.box { fill: #1c2128; stroke: #768390 }
.outside { fill: #0d1117; stroke: #768390 }
.policy { fill: #0c2d6b; stroke: #58a6ff }
.edge { fill: #3b2300; stroke: #d29922 }
.way { stroke: #9ea7b0 }
.head { fill: #9ea7b0 }
}
"""


def draw_publication() -> str:
    """Return the picture as an SVG document, on a ground of its own: readable on a light page and on a dark one."""
    height = _TOP + _ROW * len(STEPS) + 8
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
            ' aria-label="A publication, step by step, through the layers">'
        ),
        f"<style>{_STYLE}</style>",
        (
            '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
            '<path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>'
        ),
        f'<rect class="paper" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>',
        *(_text(_middle(layer), 34, title, "title") for layer, title in _TITLES.items()),
        *(line for number, step in enumerate(STEPS) for line in _ways(number, step)),
        *_edge(),
        *(line for number, step in enumerate(STEPS) for line in _boxes(number, step)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _boxes(number: int, step: Step) -> Iterator[str]:
    y = _TOP + _ROW * number
    kind = "policy" if step.layer == "policy" else "box"
    yield from _box(step.layer, y, kind, f"{number + 1}. {step.said}", _short(step.name))
    if step.through is not None:
        yield from _box("door", y, "box", "", _short(step.through))
    if step.outside is not None:
        yield from _box("outside", y, "outside", *step.outside)


def _box(layer: str, y: int, kind: str, said: str, name: str) -> Iterator[str]:
    x, width = _LAYERS[layer]
    yield f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{_BOX}" rx="6"/>'
    if said:
        yield _text(_middle(layer), y + 20, said)
    yield _text(_middle(layer), y + (37 if said else 28), name, "name")


def _edge() -> Iterator[str]:
    x, width = _LAYERS["edge"]
    height = _ROW * (len(STEPS) - 1) + _BOX
    yield f'<rect class="edge" x="{x}" y="{_TOP}" width="{width}" height="{height}" rx="6"/>'
    names = ("publish", *(f".{module}" for module in EDGE))
    for line, name in enumerate(names):
        yield _text(_middle("edge"), _TOP + 28 + 18 * line, name, "name" if line else "")


def _ways(number: int, step: Step) -> Iterator[str]:
    """Return the arrows of a row: who calls whom."""
    y = _TOP + _ROW * number + _BOX // 2
    left, right = _side("edge")
    if step.layer == "policy":
        yield _way(right, y, _side("policy")[0], y)
        if step.through is not None:
            yield _way(left, y, _side("door")[1], y)
    elif step.inward:
        yield _way(_side("door")[1], y, left, y)
    else:
        yield _way(left, y, _side("door")[1], y)
    if step.outside is not None:
        ends = (
            (_side("outside")[1], y, _side("door")[0], y)
            if step.inward
            else (_side("door")[0], y, _side("outside")[1], y)
        )
        yield _way(*ends)


def _way(x1: int, y1: int, x2: int, y2: int) -> str:
    return f'<path class="way" d="M{x1} {y1} L{x2} {y2}"/>'


def _side(layer: str) -> tuple[int, int]:
    x, width = _LAYERS[layer]
    return x, x + width


def _middle(layer: str) -> int:
    x, width = _LAYERS[layer]
    return x + width // 2


def _text(x: int, y: int, text: str, kind: str = "") -> str:
    marked = f' class="{kind}"' if kind else ""
    return f'<text{marked} x="{x}" y="{y}" text-anchor="middle">{escape(text)}</text>'


def _short(name: str) -> str:
    return name.removeprefix("image_catalog.")
