import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.testing import assert_allclose

from alliance_stats.errors import ColumnError, DataError
from alliance_stats.report.figures.bubble import bubble
from alliance_stats.report.figures.canvas import figure_of, png_bytes, svg_bytes
from alliance_stats.report.figures.corrections import corrections
from alliance_stats.report.figures.cumulative import cumulative
from alliance_stats.report.figures.forest import forest
from alliance_stats.report.figures.funnel import funnel
from alliance_stats.report.figures.gosh import gosh
from alliance_stats.report.figures.orchard import orchard
from alliance_stats.report.figures.p_curve import p_curve
from alliance_stats.report.figures.radial import radial
from alliance_stats.report.figures.selection_weights import selection_weights

MEAN = pd.DataFrame([{"estimate": 0.27, "ci_low": 0.2, "ci_high": 0.34, "pi_low": 0.0, "pi_high": 0.55}])


def rows(k):
    at = np.arange(k)
    estimate = 0.27 + 0.2 * np.sin(at)
    half = 0.1 + 0.2 * (at % 7) / 7
    columns = {"label": [f"Study {i}" for i in at], "estimate": estimate, "ci_low": estimate - half}
    columns |= {"ci_high": estimate + half, "weight": 1 / half**2, "std_error": half / 1.96}
    return pd.DataFrame(columns | {"group": np.where(at % 2, "patient", "therapist"), "n": 20 + at})


def steps():
    weights = {"p_low": [0.0, 0.025], "p_high": [0.025, 1.0], "weight": [1.0, 0.3]}
    return pd.DataFrame(weights | {"ci_low": [np.nan, 0.1], "ci_high": [np.nan, 0.6]})


def line():
    x = np.linspace(0, 10, 5)
    return pd.DataFrame({"x": x, "estimate": x, "ci_low": x - 1, "ci_high": x + 1, "pi_low": x - 2, "pi_high": x + 2})


P = np.linspace(0.01, 0.99, 30)
DRAW = {
    "forest": lambda **more: forest(rows(8), MEAN, **more),
    "funnel": lambda **more: funnel(rows(30), MEAN, **more),
    "radial": lambda **more: radial(
        pd.DataFrame({"label": "a", "precision": [2.0, 3.0, 5.0], "standardised": [1.0, 4.1, 0.2]}), MEAN, **more
    ),
    "orchard": lambda **more: orchard(
        rows(20), pd.concat([MEAN, MEAN], ignore_index=True).assign(group=["patient", "therapist"]), **more
    ),
    "bubble": lambda **more: bubble(rows(12).assign(x=range(12)), line(), **more),
    "cumulative": lambda **more: cumulative(rows(9).assign(k=range(9)), **more),
    "gosh": lambda **more: gosh(pd.DataFrame({"estimate": np.sin(np.arange(500)), "i2": np.arange(500) / 5}), **more),
    "weights": lambda **more: selection_weights(
        pd.DataFrame({"p": P, "weight": 1 - P / 2}), pd.DataFrame({"p": [0.01, 0.3]}), steps=steps(), **more
    ),
    "p_curve": lambda **more: p_curve(
        pd.DataFrame({"p_high": np.arange(1, 6) / 100, "observed": [60, 20, 10, 5, 5], "no_effect": 20, "third": 20}),
        20,
        **more,
    ),
    "corrections": lambda **more: corrections(rows(5), **more),
}


def texts(drawn):
    found = figure_of(drawn).findobj(lambda artist: hasattr(artist, "get_text"))
    return [text.get_text() for text in found if text.get_text()]


@pytest.mark.parametrize("name", DRAW)
def test_every_figure_carries_data_and_words_and_draws_on_given_axes(name):
    drawn = DRAW[name]()
    assert all(isinstance(frame, pd.DataFrame) for frame in drawn.data.values())
    assert len(drawn.caption) > 40
    assert len(drawn.alt_text) > 40
    assert "nan" not in (drawn.caption + drawn.alt_text).lower()
    assert drawn._repr_png_().startswith(b"\x89PNG")
    axes = Figure().subplots(1, 2)
    assert DRAW[name](ax=axes[0]) is axes[0]
    mine = DRAW[name](caption="Mine.", alt_text="Mine too.")
    assert (mine.caption, mine.alt_text) == ("Mine.", "Mine too.")


@pytest.mark.parametrize("name", ["forest", "orchard", "cumulative", "corrections"])
def test_names_from_the_data_are_safe_to_print(name, hostile):
    named = rows(4).assign(label=hostile, group=hostile, k=1)
    means = MEAN.assign(group=hostile)
    drawn = {
        "forest": lambda: forest(named, MEAN, groups=means, columns={"label": hostile}),
        "orchard": lambda: orchard(named, means),
        "cumulative": lambda: cumulative(named),
        "corrections": lambda: corrections(named),
    }[name]()
    assert "<script" not in svg_bytes(drawn).decode()


@pytest.mark.parametrize("k", [5, 60, 400])
def test_a_forest_of_5_to_400_effects_names_each_and_lines_do_not_touch(k):
    drawn = forest(rows(k), MEAN)
    figure = figure_of(drawn)
    figure.canvas.draw()
    names = [text for text in drawn.texts if text.get_text().startswith("Study ")]
    assert len(names) == k
    boxes = [text.get_window_extent() for text in names]
    gaps = [upper.y0 - lower.y1 for upper, lower in itertools.pairwise(boxes)]
    assert min(gaps) > -0.5  # pixels
    assert min(text.get_fontsize() for text in names) >= 5.5
    assert all(box.x0 >= -1 for box in boxes)


def test_a_forest_in_small_axes_leaves_the_names_out():
    axes = Figure(figsize=(4, 3)).subplots()
    forest(rows(200), MEAN, ax=axes)
    assert not [text for text in axes.texts if text.get_text().startswith("Study 1")]
    assert "Effects (200)" in axes.get_ylabel()


def test_a_forest_prints_the_users_columns_and_a_mean_below_each_group():
    groups = pd.concat([MEAN, MEAN], ignore_index=True).assign(group=["therapist", "patient"])
    drawn = forest(rows(8), MEAN, groups=groups, columns={"n": "N"}, correlations=True, unit="r")
    words = texts(drawn)
    assert {"N", "27", "therapist", "patient", "r [95% CI]"} <= set(words)
    assert words.count(".27 [.20, .34]") == 3
    assert list(drawn.data) == ["effects", "pooled", "groups"]
    order = {text.get_text(): text.xy[1] for text in drawn.texts}
    assert order["therapist"] < order["Study 0"] < order["Study 6"] < order["patient"] < order["Study 1"]


def test_squares_of_a_forest_have_areas_by_weight():
    drawn = forest(rows(6), MEAN)
    squares = next(one for one in drawn.collections if one.get_offsets().shape[0] == 6 and len(one.get_sizes()) == 6)
    weight = rows(6)["weight"].to_numpy()
    assert_allclose(squares.get_sizes() / squares.get_sizes().max(), weight / weight.max())


def test_the_funnel_turns_the_standard_error_round_and_its_contours_are_quantiles():
    drawn = funnel(rows(30), MEAN)
    bottom, top = drawn.get_ylim()
    assert bottom > top == 0
    contours = drawn.data["contours"]
    assert_allclose(contours["high"] / contours["std_error"], [1.6448536, 1.9599640, 2.5758293], rtol=1e-7)
    assert {"p > .10", ".05 < p < .10", ".01 < p < .05", "p < .01"} <= set(texts(drawn))


def test_the_funnel_shows_what_was_filled_in_as_open_circles():
    drawn = funnel(rows(10).assign(filled=[False] * 8 + [True] * 2), MEAN)
    assert "Filled in" in texts(drawn)
    assert "2 effects filled in" in drawn.caption
    assert "Filled in" not in texts(funnel(rows(10), MEAN))


@pytest.mark.parametrize("levels", [(), (0.5, 0.6, 0.7, 0.8), (1.2,)])
def test_contours_that_cannot_be_drawn_are_refused(levels):
    with pytest.raises(DataError, match="1 to 3 levels"):
        funnel(rows(5), MEAN, levels=levels)


def test_marked_subsets_have_a_key():
    subsets = pd.DataFrame({"estimate": [0.1, 0.2, 0.3], "i2": [0.0, 20.0, 90.0], "marked": [True, False, False]})
    drawn = gosh(subsets, without="Smith (2010)")
    assert {"with Smith (2010)", "without Smith (2010)"} <= set(texts(drawn))


def test_a_correction_that_failed_keeps_its_line():
    frame = rows(3)
    frame.loc[1, ["estimate", "ci_low", "ci_high"]] = np.nan
    frame.loc[2, "ci_low"] = -np.inf
    drawn = corrections(frame)
    assert "—" in texts(drawn)
    assert np.isfinite(drawn.get_xlim()).all()


def test_missing_columns_are_named():
    with pytest.raises(ColumnError, match="std_error"):
        funnel(rows(5).drop(columns="std_error"), MEAN)
    with pytest.raises(ColumnError, match="rater"):
        forest(rows(5), MEAN, columns=["rater"])


def test_a_large_funnel_stays_a_small_file():
    assert len(svg_bytes(funnel(rows(5000), MEAN))) < 400_000
    assert png_bytes(funnel(rows(50), MEAN)) == png_bytes(funnel(rows(50), MEAN))


def named(drawn):
    """Names of effects in a forest plot, top down, with their lines."""
    found = [(text.xy[1], text.get_text()) for text in drawn.texts if text.get_text().startswith("Study ")]
    return [name for _, name in sorted(found)]


def shaded(drawn):
    """Bands across a forest plot, by their first and last line."""
    bands = [patch for patch in drawn.patches if isinstance(patch, Rectangle)]
    return [(band.get_y(), band.get_y() + band.get_height()) for band in bands]


def test_a_study_with_several_effects_is_named_once_and_every_other_study_shaded():
    effects = rows(6).assign(label=["Study a", "Study a", "Study b", "Study c", "Study c", "Study c"])
    drawn = forest(effects, MEAN)
    assert named(drawn) == ["Study a", "Study b", "Study c"]
    assert shaded(drawn) == [(-0.5, 1.5), (2.5, 5.5)]  # lines 0 and 1, lines 3 to 5
    assert shaded(forest(rows(6), MEAN)) == []


def test_a_long_name_keeps_its_year():
    effects = rows(2).assign(label=["Somebody-Lindqvist, Other & Third-Author (2017)", "Short (1999)"])
    words = texts(forest(effects, MEAN))
    long = next(word for word in words if word.startswith("Somebody-Lind"))
    assert long.endswith("…or (2017)")
    assert len(long) <= 34
    assert "Short (1999)" in words


def test_the_mean_of_a_forest_without_names_is_large_enough_to_be_seen():
    drawn = forest(rows(600), MEAN)
    diamond = drawn.patches[-1].get_xy()
    inches = figure_of(drawn).get_size_inches()[1] * drawn.get_position().height
    low, high = drawn.get_ylim()
    assert np.ptp(diamond[:, 1]) * inches / abs(high - low) > 0.08
    assert np.ptp(diamond[:, 1]) + diamond[:, 1].min() < max(low, high)  # inside the axes


def test_a_cumulative_plot_counts_from_1_and_marks_intervals_that_go_on():
    many = pd.DataFrame({"label": "a", "k": range(1, 101), "estimate": 0.3, "ci_low": 0.2, "ci_high": 0.4})
    assert cumulative(many).get_ylim() == (100.6, 0.4)
    few = many.head(5).assign(ci_low=[-9, 0.1, 0.2, 0.2, 0.2], ci_high=[9, 0.5, 0.4, 0.4, 0.4])
    drawn = cumulative(few)
    edges = [tuple(one.get_offsets()[0]) for one in drawn.collections if one.get_zorder() == 4]
    assert edges == [(drawn.get_xlim()[0], 0.0), (drawn.get_xlim()[1], 0.0)]
    assert "Arrows: the interval goes on." in drawn.caption
    assert "Arrows" not in cumulative(few.iloc[2:]).caption


def test_one_wild_correction_does_not_hide_the_others():
    frame = rows(4).assign(estimate=[0.3, 0.28, 0.31, -1.9], ci_low=[0.2, 0.2, 0.2, -7], ci_high=[0.4, 0.4, 0.4, 0.4])
    drawn = corrections(frame)
    low, high = drawn.get_xlim()
    assert low > -1
    assert high > 0.4
    assert "−1.90 [−7.00, 0.40]" in texts(drawn)  # the numbers stay
