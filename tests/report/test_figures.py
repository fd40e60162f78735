import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from alliance_stats.errors import ColumnError, DataError
from alliance_stats.report.figures.attendance import attendance
from alliance_stats.report.figures.canvas import Panels, figure_of, label, png_bytes, save, svg_bytes
from alliance_stats.report.figures.caterpillar import caterpillar
from alliance_stats.report.figures.event_aligned import event_aligned
from alliance_stats.report.figures.influence import influence
from alliance_stats.report.figures.marks import thin
from alliance_stats.report.figures.missingness import missingness
from alliance_stats.report.figures.replicates import replicates
from alliance_stats.report.figures.trajectories import trajectories, unbroken_runs
from alliance_stats.report.figures.within_between import within_between

BY_SESSION = pd.DataFrame({"session": [1, 2, 4], "n": [10, 8, 2]})
MISSING = pd.DataFrame({"score": ["x"] * 3, "session": [1, 2, 4], "missing": [0.1, 0.25, 0.5]})


def _texts(drawn):
    figure = figure_of(drawn)
    found = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return [text for text in found if text]


@pytest.fixture
def draw(patients, curve, means, change_curve, effects, sessions, between_and_within, distances, refits):
    """Each figure as a function of the arguments that all of them take."""
    return {
        "trajectories": lambda **more: trajectories(patients, curve, score="Alliance", **more),
        "within_between": lambda **more: within_between(
            *between_and_within, predictor="Alliance", outcome="Symptoms", **more
        ),
        "event_aligned": lambda **more: event_aligned(means, change_curve, score="Alliance", **more),
        "caterpillar": lambda **more: caterpillar(effects, unit="Effect (points)", **more),
        "attendance": lambda **more: attendance(sessions, **more),
        "influence": lambda **more: influence(distances, threshold=0.3, **more),
        "replicates": lambda **more: replicates(*refits, **more),
        "missingness": lambda **more: missingness(BY_SESSION, MISSING, **more),
    }


FIGURES = [
    "trajectories",
    "within_between",
    "event_aligned",
    "caterpillar",
    "attendance",
    "influence",
    "replicates",
    "missingness",
]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_carries_data_caption_and_alt_text_and_shows_itself(draw, name):
    drawn = draw[name]()
    assert all(isinstance(frame, pd.DataFrame) for frame in drawn.data.values())
    assert len(drawn.caption) > 40
    assert len(drawn.alt_text) > 40
    assert "Simulated" not in drawn.caption
    assert drawn._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", FIGURES)
def test_simulated_data_are_stamped_on_picture_caption_and_alt_text(draw, name):
    drawn = draw[name](simulated=True)
    assert "Simulated data" in _texts(drawn)
    assert drawn.caption.startswith("Simulated data. ")
    assert drawn.alt_text.startswith("Simulated data. ")
    assert "Simulated data" not in _texts(draw[name]())


@pytest.mark.parametrize("name", FIGURES)
def test_given_axes_are_used_and_stamped(draw, name):
    axes = Figure().subplots(1, 2)
    given = {"axes": axes} if name in ("within_between", "replicates") else {"ax": axes[0]}
    drawn = draw[name](simulated=True, **given)
    assert (drawn[0] if isinstance(drawn, Panels) else drawn) is axes[0]
    assert "Simulated data" in _texts(axes[0])


@pytest.mark.parametrize("name", FIGURES)
def test_own_words_replace_caption_and_alt_text(draw, name):
    drawn = draw[name](caption="Mine.", alt_text="Mine too.")
    assert (drawn.caption, drawn.alt_text) == ("Mine.", "Mine too.")


def test_courses_break_where_a_session_is_missing(patients):
    runs = [run.tolist() for run in unbroken_runs(patients)]
    assert runs == [[[1, 3], [2, 3.5], [3, 4]], [[1, 1], [2, 2]], [[4, 4]], [[2, 2.5]]]  # A; B without 3; B; C


def test_courses_break_where_a_value_is_missing():
    frame = pd.DataFrame({"patient_id": "A", "session": [1, 2, 3, 4, 5], "value": [1.0, 2.0, np.nan, 4.0, 5.0]})
    assert [run[:, 0].tolist() for run in unbroken_runs(frame)] == [[1, 2], [4, 5]]


def test_courses_rated_at_every_second_session_do_not_break():
    frame = pd.DataFrame({"patient_id": "A", "session": [1, 3, 5, 9], "value": 1.0})
    assert [run[:, 0].tolist() for run in unbroken_runs(frame)] == [[1, 3, 5], [9]]


def test_trajectories_say_how_many_patients_and_draw_their_runs(patients, curve):
    ax = trajectories(patients, curve, score="Alliance")
    lines = next(artist for artist in ax.collections if isinstance(artist, LineCollection))
    assert len(lines.get_segments()) == 2  # A; B up to session 2
    assert "3 patients" in _texts(ax)


def test_many_patients_fade():
    def alpha(n):
        frame = pd.DataFrame(
            {"patient_id": np.repeat(np.arange(n).astype(str), 2), "session": [1, 2] * n, "value": 1.0}
        )
        line = pd.DataFrame({"session": [1, 2], "estimate": 1.0, "ci_low": 0.9, "ci_high": 1.1})
        ax = trajectories(frame, line, score="x")
        return next(artist for artist in ax.collections if isinstance(artist, LineCollection)).get_alpha()

    assert alpha(5) == alpha(80) > alpha(200) > alpha(2000) > 0


def test_within_and_between_span_the_same_width_and_height(between_and_within):
    left, right = within_between(*between_and_within, predictor="x", outcome="y")
    for get in ("get_xlim", "get_ylim"):
        assert_allclose(np.diff(getattr(left, get)()), np.diff(getattr(right, get)()))
    assert left.get_xlim()[0] < 3 < 5 < left.get_xlim()[1]


def test_within_between_needs_both_lines(between_and_within):
    between, within, lines = between_and_within
    with pytest.raises(DataError, match=r"0 of 2 rows of lines have the level 'within' \(there are: between\)"):
        within_between(between, within, lines.iloc[:2], predictor="x", outcome="y")


def test_within_between_needs_two_axes(between_and_within):
    with pytest.raises(DataError, match="axes holds 1 Axes"):
        within_between(*between_and_within, predictor="x", outcome="y", axes=[Figure().subplots()])


def test_replicates_show_the_estimate_and_the_interval_in_each_panel(refits):
    values, estimates = refits
    panels = replicates(values, estimates)
    for ax, (_, row) in zip(panels, estimates.iterrows(), strict=True):
        assert ax.lines[0].get_xdata()[0] == row["estimate"]
        interval = next(artist for artist in ax.collections if isinstance(artist, LineCollection))
        assert_allclose(interval.get_segments()[0][:, 0], [row["ci_low"], row["ci_high"]])
        assert ax.get_xlabel() == row["name"]
    counts = [sum(patch.get_height() for patch in ax.patches) for ax in panels]
    assert counts == [30, 29]  # one correlation is not defined


def test_replicates_have_room_for_four_panels(refits):
    values, estimates = refits
    with pytest.raises(DataError, match="estimates has 6 rows, and a page has room for 4"):
        replicates(values, pd.concat([estimates] * 3))


def test_replicates_need_a_column_for_each_estimate(refits):
    values, estimates = refits
    with pytest.raises(ColumnError, match="No column 'SD'"):
        replicates(values.drop(columns="SD"), estimates)


def test_the_change_stands_between_the_last_old_and_the_first_new_session(means, change_curve):
    ax = event_aligned(means, change_curve, score="Alliance")
    upright = [line for line in ax.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2]
    assert [line.get_xdata()[0] for line in upright] == [-0.5]


def test_n_stands_under_each_session(means, change_curve):
    ax = event_aligned(means, change_curve, score="Alliance")
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert labels == ["−3\n9", "−2\n10", "−1\n11", "0\n12", "1\n11", "2\n10", "3\n9"]


def test_crowded_sessions_are_thinned_and_zero_stays():
    assert thin(np.arange(-40, 56), most=17).tolist() == list(range(-40, 56, 10))
    assert thin(np.array([7]), most=5).tolist() == [7]


def test_an_unknown_part_is_refused(means, change_curve):
    with pytest.raises(DataError, match="'during'"):
        event_aligned(means, change_curve.assign(part="during"), score="x")


def test_the_caterpillar_is_ranked_with_names_and_caseloads(effects):
    ax = caterpillar(effects, unit="Effect")
    assert ax.data["effects"]["level"].tolist() == ["T2", "T3", "T1"]  # -1.0 < 0.1 < 0.5
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["T2", "T3", "T1"]
    assert [text for text in _texts(ax) if text in ("3", "7", "12")] == ["3", "7", "12"]
    assert "1 of 3 intervals include zero" in ax.alt_text  # T3


def test_above_forty_levels_caseloads_are_bars(effects):
    many = pd.concat([effects.assign(level=effects["level"] + str(i)) for i in range(14)])  # 42 levels
    ax = caterpillar(many, unit="Effect")
    assert ax.get_yticks().size == 0
    assert len(ax.child_axes[0].patches) == 42


def test_attendance_counts_who_is_still_in_treatment(sessions):
    ax = attendance(sessions)
    assert ax.data["in_treatment"].to_dict("list") == {"session": [1, 2, 3, 4], "n": [3, 2, 1, 1]}


def test_attendance_colours_three_states_longest_course_first(sessions):
    picture = attendance(sessions).images[0].get_array()
    assert picture.shape == (3, 4, 3)
    colours = [[tuple(int(part) for part in cell) for cell in row] for row in picture]
    here, gap, over = (59, 139, 192), (217, 217, 217), (255, 255, 255)
    assert colours == [[here, here, gap, here], [here, here, over, over], [here, over, over, over]]


def test_a_mistyped_session_does_not_blow_up_the_picture(sessions):
    wrong = sessions.assign(session=sessions["session"].replace(4, 20210105))
    ax = attendance(wrong)
    assert ax.images[0].get_array().shape[1] == 400
    assert "the last is 20210105" in ax.caption


def test_thousands_of_patients_are_averaged_not_dropped():
    n = 3000
    frame = pd.DataFrame({"patient_id": np.arange(n).astype(str), "session": 1, "observed": True})
    ax = attendance(frame)
    assert ax.images[0].get_array().shape[0] == 700
    assert "3,000 patients" in ax.get_ylabel()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"observed": False}, "0 of 7 sessions are observed"),
        ({"session": 0}, "6 sessions of 6 are numbered below 1"),
    ],
)
def test_attendance_without_sense_is_refused(sessions, change, says):
    with pytest.raises(DataError, match=says):
        attendance(sessions.assign(**change))


def test_a_missing_column_names_the_nearest(effects, patients, curve):
    with pytest.raises(ColumnError, match=r"effects lacks 1 .*'ci_low'\. Did you mean 'ci_lo'"):
        caterpillar(effects.rename(columns={"ci_low": "ci_lo"}), unit="x")
    with pytest.raises(ColumnError, match="patients lacks 1 of its columns"):
        trajectories(patients.drop(columns="value"), curve, score="x")


def test_nothing_to_draw_is_said(patients, curve):
    with pytest.raises(DataError, match="patients has 0 rows"):
        trajectories(patients.iloc[:0], curve, score="x")


def test_inputs_are_not_changed(patients, curve, effects, sessions):
    before = [frame.copy() for frame in (patients, curve, effects, sessions)]
    trajectories(patients, curve, score="x"), caterpillar(effects, unit="x"), attendance(sessions)
    for frame, copy in zip((patients, curve, effects, sessions), before, strict=True):
        pd.testing.assert_frame_equal(frame, copy)


def test_hostile_labels_are_printed_as_text(effects, hostile):
    ax = caterpillar(effects.assign(level=[hostile, "\x00\u202e", "a\nb"]), unit=hostile)
    root = ElementTree.fromstring(svg_bytes(ax))  # well-formed, and mathtext did not choke
    assert not [node for node in root.iter() if node.tag.endswith("script")]
    assert any("<script>alert(1)" in (node.text or "") for node in root.iter())


def test_labels_are_one_short_line():
    assert label("a\nb" + "c" * 100, 10) == "a bcccccc…"
    assert label("5 $ to 6 $") == r"5 \$ to 6 \$"


def test_files_are_the_same_every_time(tmp_path, draw):
    first = [path.read_bytes() for path in save(draw["event_aligned"](), tmp_path / "one.v2")]
    second = [path.read_bytes() for path in save(draw["event_aligned"](), tmp_path / "two")]
    assert first == second
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.v2.png", "one.v2.svg", "two.png", "two.svg"]
    assert b"<text" in first[1]
    assert b"<dc:date>" not in first[1]


def test_drawing_leaves_pyplot_and_the_users_settings_alone():
    code = (
        "import sys, pandas as pd, matplotlib; before = matplotlib.rcParams.copy()\n"
        "from alliance_stats.report.figures.caterpillar import caterpillar\n"
        "f = pd.DataFrame({'level': ['a'], 'estimate': [0.0], 'ci_low': [-1.0], 'ci_high': [1.0]})\n"
        "caterpillar(f, unit='x')._repr_png_()\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.rcParams.copy() == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_panels_know_their_figure(between_and_within):
    panels = within_between(*between_and_within, predictor="x", outcome="y")
    assert panels.figure is panels[1].figure
    assert png_bytes(panels.figure, dpi=50).startswith(b"\x89PNG")


def test_missingness_leaves_sessions_without_rows_open():
    ax = missingness(BY_SESSION, MISSING)
    (line,) = ax.get_lines()
    assert line.get_xdata().tolist() == [1, 2, 3, 4]
    assert np.array_equal(line.get_ydata(), [0.1, 0.25, np.nan, 0.5], equal_nan=True)


def test_missingness_of_many_scores_is_a_map_with_a_row_each():
    many = pd.concat([MISSING.assign(score=f"x{number}") for number in range(16)])
    ax = missingness(BY_SESSION, many)
    assert not ax.get_lines()
    cells = ax.collections[0].get_array()
    assert cells.shape == (16, 4)
    assert np.ma.getmaskarray(cells)[:, 2].all()  # a session that nobody has is left open
    np.testing.assert_array_equal(cells.data[5][[0, 1, 3]], [0.1, 0.25, 0.5])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [f"x{number}" for number in range(16)]


def test_missingness_of_more_scores_than_can_be_read_is_refused():
    many = pd.concat([MISSING.assign(score=f"x{number}") for number in range(61)])
    with pytest.raises(DataError, match="61 scores are too many"):
        missingness(BY_SESSION, many)


def test_the_key_of_missing_scores_hides_no_line():
    ax = missingness(BY_SESSION, pd.concat([MISSING, MISSING.assign(score="y")]))
    (key,) = ax.figure.legends
    ax.figure.draw_without_rendering()
    assert not key.get_window_extent().overlaps(ax.get_window_extent())


def test_a_figure_is_rendered_once_where_page_and_files_show_the_same(effects, monkeypatch, tmp_path):
    from alliance_stats.report.figures import canvas

    render, asked = canvas._render, []

    def counted(drawn, kind, metadata, dpi):
        asked.append(kind)
        return render(drawn, kind, metadata, dpi)

    monkeypatch.setattr(canvas, "_render", counted)
    figure = caterpillar(effects, unit="Effect")
    with canvas.rendered_once():
        shown = svg_bytes(figure)
        assert save(figure, tmp_path / "one")[1].read_bytes() == shown
    assert asked == ["svg", "png"]
    figure.set_title("Changed")
    assert b"Changed" in svg_bytes(figure)  # nothing is kept afterwards
