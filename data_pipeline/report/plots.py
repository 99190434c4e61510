"""The plots of the page, as SVG that takes its colours from the page: readable in light and dark, without a script."""

import io
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

COLOURS = {"#010203": "currentColor", "#010204": "var(--kept)", "#010205": "var(--dropped)", "#010206": "var(--line)"}
"""What matplotlib draws with -> what the page makes of it."""
INK, KEPT, DROPPED, LINE = COLOURS
SETTINGS: Any = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
}
WIDTH, HEIGHT = 5.2, 2.5
"""Inches of a plot; the page scales it."""


def plots(facts: dict[str, Any]) -> dict[str, Markup]:
    """SVG by name. Labels are English and numbers: text of the corpus has no place in a plot, whose fonts may lack it."""
    drawn: dict[str, Callable[[Axes], None]] = {"flow": lambda axes: _flow(axes, facts["flow"])}
    histograms = facts["histograms"]
    for name, unit in (("document_characters", "document"), ("sentence_characters", "sentence")):
        if moments := histograms["all"].get(name):
            drawn[name] = lambda axes, moments=moments, unit=unit: _lengths(  # type: ignore[misc]
                axes, moments, histograms["length_edges"], unit
            )
    if moments := histograms["all"].get("hangul_share"):
        drawn["hangul_share"] = lambda axes: _shares(axes, moments, histograms)
    drawn["token_use"] = lambda axes: _token_use(axes, facts["vocabulary"])
    for of in facts["records"]:
        if lengths := of["made"].get("segment_lengths"):
            drawn[f"positions_{of['length']}"] = lambda axes, lengths=lengths: _positions(axes, lengths)  # type: ignore[misc]
    return {name: _svg(name, draw) for name, draw in drawn.items()}


def _svg(name: str, draw: Callable[[Axes], None]) -> Markup:
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # fonts are the browser's
    with matplotlib.rc_context(SETTINGS | {"svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        draw(figure.add_subplot())
        content = io.StringIO()
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = content.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', rf'\1 role="img" aria-label="{name.replace("_", " ")}"', svg, count=1)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)  # several plots stand in one page
    for drawn, of_page in COLOURS.items():
        svg = svg.replace(drawn, of_page)
    return Markup(svg)


def _flow(axes: Axes, flow: Sequence[dict[str, Any]]) -> None:
    """Megabytes of text after each stage, above what the stage before held."""
    megabytes = [stage["text_bytes"] / 1e6 for stage in flow]
    names = [stage["after"] for stage in flow]
    before = axes.barh(names, [megabytes[0], *megabytes[:-1]], color=DROPPED)
    axes.barh(names, megabytes, color=KEPT)
    axes.bar_label(before, [f" {each:,.2f} MB" for each in megabytes], padding=2)
    axes.set_xlim(0, max(megabytes) * 1.4 or 1)
    axes.invert_yaxis()
    axes.set_xlabel("MB of text (UTF-8)")


def _lengths(axes: Axes, moments: dict[str, list[int]], edges: Sequence[int], unit: str) -> None:
    came = moments["in"]
    used = [index for index, number in enumerate(came) if number]
    first, last = used[0], used[-1] + 1
    ends = [*edges, edges[-1] * 2][first : last + 1]
    _two_steps(axes, came[first:last], moments["kept"][first:last], ends)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"characters a {unit}")
    axes.set_ylabel(f"{unit}s")


def _shares(axes: Axes, moments: dict[str, list[int]], histograms: dict[str, Any]) -> None:
    came = moments["in"]
    _two_steps(axes, came, moments["kept"], [*histograms["share_edges"], 1.0])
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.axvline(histograms["min_hangul_share"], color=INK, linestyle="--", linewidth=1)
    axes.set_xlabel("Hangul among the letters of a sentence")
    axes.set_ylabel("sentences (log)")


def _two_steps(axes: Axes, came: Sequence[int], kept: Sequence[int], edges: Sequence[float]) -> None:
    axes.stairs(came, edges, fill=True, color=DROPPED, label="dropped")
    axes.stairs(kept, edges, fill=True, color=KEPT, label="kept")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.legend(frameon=False, loc="upper left")


def _token_use(axes: Axes, vocabulary: dict[str, Any]) -> None:
    numbers = [vocabulary["never_used"], *vocabulary["used_by_power_of_ten"]]
    names = ["never", *(f"{10**power:,}+" for power in range(len(numbers) - 1))]
    bars = axes.bar(names, numbers, color=[DROPPED, *[KEPT] * (len(numbers) - 1)])
    axes.bar_label(bars, [f"{number:,}" for number in numbers], padding=2)
    axes.margins(y=0.15)
    axes.set_xlabel("times used in the records")
    axes.set_ylabel("rows of the vocabulary")


def _positions(axes: Axes, lengths: Sequence[int]) -> None:
    """The share of segments that reach each position: positions that few reach are hardly trained."""
    segments = max(1, sum(lengths))
    reach, left = [], segments
    for number in lengths[:-1]:
        left -= number
        reach.append(100 * left / segments)
    axes.stairs(reach, range(len(reach) + 1), fill=True, color=KEPT)
    axes.set_ylim(0, 105)
    axes.set_xlabel("position")
    axes.set_ylabel("% of segments reach it")
