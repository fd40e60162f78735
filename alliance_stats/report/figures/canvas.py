"""What every figure stands on: axes without pyplot, house style, captions, and files."""

from __future__ import annotations

import contextlib
import functools
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import ParamSpec, TypeAlias, TypeVar

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from alliance_stats.report.markup import clean

#: Okabe and Ito (2008): told apart by colour-blind readers; in grey, black > blue > vermilion > orange.
BLACK, BLUE, VERMILION, ORANGE, GREY = "#1a1a1a", "#0072B2", "#D55E00", "#E69F00", "#7a7a7a"
#: A text column of a page, in inches (16 cm).
PAGE_WIDTH = 6.3
SIMULATED = "Simulated data"

_STYLE = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.edgecolor": "#444444",
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "axes.unicode_minus": True,
}
_SAVE = {"svg.fonttype": "none", "svg.hashsalt": "alliance_stats", "path.simplify": True}
_DPI = 200
#: Pictures that are kept while :func:`rendered_once` lasts.
_known: ContextVar[dict[tuple[int, str, int], tuple[Figure, bytes]] | None] = ContextVar("_known", default=None)

P = ParamSpec("P")
R = TypeVar("R")


class ResultAxes(Axes):
    """Axes that Jupyter shows as a picture, and that know what they draw.

    Attributes
    ----------
    data : mapping of str to DataFrame
        The frames that were drawn.
    caption, alt_text : str
        The words under the figure, and the words for those who cannot see it.
    """

    data: Mapping[str, pd.DataFrame]
    caption: str = ""
    alt_text: str = ""

    def _repr_png_(self) -> bytes:
        return png_bytes(self)


class Panels(tuple[Axes, ...]):
    """Axes of one figure, as a tuple that Jupyter shows as a picture.

    Attributes
    ----------
    data, caption, alt_text
        As in :class:`ResultAxes`.
    """

    data: Mapping[str, pd.DataFrame]
    caption: str = ""
    alt_text: str = ""

    @property
    def figure(self) -> Figure:
        """The figure that the panels stand in."""
        return figure_of(self[0])

    def _repr_png_(self) -> bytes:
        return png_bytes(self)


#: What a figure function returns, or a figure of the user's own.
Drawn: TypeAlias = "Axes | Panels | Figure"


def house_style(draw: Callable[P, R]) -> Callable[P, R]:
    """Run a figure function with the house's type sizes and lines, leaving the user's settings alone."""

    @functools.wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> R:
        with rc_context(_STYLE):  # type: ignore[arg-type]
            return draw(*args, **kwargs)

    return styled


def new_axes(width: float = PAGE_WIDTH, height: float = 3.8) -> ResultAxes:
    """Make axes on a figure of their own (inches), without pyplot."""
    axes = _new_figure(width, height).add_subplot(axes_class=ResultAxes)
    assert isinstance(axes, ResultAxes)
    return axes


def new_panels(n: int = 2, width: float = PAGE_WIDTH, height: float = 3.4) -> Panels:
    """Make ``n`` axes side by side on a figure of their own (inches), without pyplot."""
    figure = _new_figure(width, height)
    return Panels([figure.add_subplot(1, n, place + 1, axes_class=ResultAxes) for place in range(n)])


def new_stack(n: int, width: float = PAGE_WIDTH, height: float = 5.0) -> Panels:
    """Make ``n`` axes under each other with one horizontal axis, on a figure of their own (inches), without pyplot."""
    figure = _new_figure(width, height)
    first = figure.add_subplot(n, 1, 1, axes_class=ResultAxes)
    others = [figure.add_subplot(n, 1, place + 1, axes_class=ResultAxes, sharex=first) for place in range(1, n)]
    return Panels([first, *others])


def new_axes_under(width: float = PAGE_WIDTH, height: float = 3.8, share: float = 0.25) -> tuple[ResultAxes, Axes]:
    """Make axes with a lower panel over them that shares the horizontal axis; return the main one first."""
    figure = _new_figure(width, height)
    grid = figure.add_gridspec(2, 1, height_ratios=(share, 1 - share))
    main = figure.add_subplot(grid[1], axes_class=ResultAxes)
    assert isinstance(main, ResultAxes)
    return main, figure.add_subplot(grid[0], sharex=main)


def annotate(
    ax: Axes | Panels,
    data: Mapping[str, pd.DataFrame],
    caption: str,
    alt_text: str,
    *,
    simulated: bool = False,
) -> None:
    """Attach data, caption and alt text; stamp simulated data.

    Parameters
    ----------
    ax : Axes or Panels
        What was drawn on; with panels each of the Axes gets the same.
    data : mapping of str to DataFrame
        The frames that were drawn, by role.
    caption, alt_text : str
        Words under the figure, and words for those who cannot see it.
    simulated : bool
        Print "Simulated data" on the figure, and begin both texts with it.
    """
    if simulated:
        stamp(ax[-1] if isinstance(ax, Panels) else ax)
        caption, alt_text = f"{SIMULATED}. {caption}", f"{SIMULATED}. {alt_text}"
    for drawn in (ax, *ax) if isinstance(ax, Panels) else (ax,):
        vars(drawn).update(data=dict(data), caption=caption, alt_text=alt_text)


def stamp(ax: Axes) -> None:
    """Print "Simulated data": over a figure of ours, or inside the corner of axes that were handed in."""
    words = {"fontsize": 8.5, "fontweight": "bold", "color": VERMILION, "ha": "right"}
    figure = figure_of(ax)
    if isinstance(ax, ResultAxes) and not figure.get_suptitle():
        figure.suptitle(SIMULATED, x=0.99, **words)
        return
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
    ax.text(0.99, 0.98, SIMULATED, transform=ax.transAxes, va="top", bbox=box, zorder=10, **words)  # type: ignore[arg-type]


def label(text: object, longest: int = 60) -> str:
    """Make text from the data safe to print: one line, no mathematics between dollar signs, not too long."""
    line = clean(text).strip()
    line = line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
    return re.sub(r"\$", r"\\$", line)


def name_label(text: object, longest: int = 34, end: int = 9) -> str:
    """Make a study's name safe to print, as :func:`label`; of a long one the end stays too, which holds the year."""
    line = clean(text).strip()
    if len(line) > longest:
        line = f"{line[: longest - end - 1].rstrip()}…{line[-end:].lstrip()}"
    return label(line, longest)


def figure_of(drawn: Drawn) -> Figure:
    """Return the whole figure that Axes or Panels stand in."""
    if isinstance(drawn, Figure):
        return drawn
    root = (drawn[0] if isinstance(drawn, Panels) else drawn).get_figure(root=True)
    assert isinstance(root, Figure)
    return root


def png_bytes(drawn: Drawn, dpi: int = _DPI) -> bytes:
    """Render as PNG; the same figure gives the same bytes."""
    return _once(drawn, "png", {"Software": None}, dpi)


def svg_bytes(drawn: Drawn) -> bytes:
    """Render as SVG with text as text; the same figure gives the same bytes."""
    return _once(drawn, "svg", {"Date": None}, _DPI)


@contextlib.contextmanager
def rendered_once() -> Iterator[None]:
    """Render a figure once for each kind of file while this lasts: a report shows and saves the same picture."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def save(drawn: Drawn, path_without_suffix: str | Path) -> tuple[Path, Path]:
    """Write a figure as PNG (200 dpi) and SVG (text as text).

    Parameters
    ----------
    drawn : Axes, Panels or Figure
        What to write; always the whole figure.
    path_without_suffix : path
        Where; ``.png`` and ``.svg`` are added. What is there is replaced.

    Returns
    -------
    png, svg : Path
        The two files.
    """
    base = Path(path_without_suffix)
    files = base.with_name(f"{base.name}.png"), base.with_name(f"{base.name}.svg")
    files[0].write_bytes(png_bytes(drawn))
    files[1].write_bytes(svg_bytes(drawn))
    return files


def _new_figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _once(drawn: Drawn, kind: str, metadata: dict[str, None], dpi: int) -> bytes:
    known = _known.get()
    if known is None:
        return _render(drawn, kind, metadata, dpi)
    figure = figure_of(drawn)
    key = (id(figure), kind, dpi)
    if key not in known:  # the figure is kept, so that no other one gets its id
        known[key] = figure, _render(drawn, kind, metadata, dpi)
    return known[key][1]


def _render(drawn: Drawn, kind: str, metadata: dict[str, None], dpi: int) -> bytes:
    buffer = io.BytesIO()
    with rc_context(_SAVE):  # type: ignore[arg-type]
        figure_of(drawn).savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()
