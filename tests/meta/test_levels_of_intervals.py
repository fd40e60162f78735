"""Words, tables and figures say the level that was asked for, and no other."""

import re

import pytest
from test_multilevel import EFFECTS

import alliance_stats as als

bias = als.meta.bias
#: Functions that take level=, on effects of one study each or of several.
HERE = {
    "pool": lambda level: als.meta.pool(EFFECTS, measure="ZCOR", level=level),
    "regress": lambda level: als.meta.regress("yi ~ x + rater", EFFECTS, level=level),
    "scale": lambda level: als.meta.regress("yi ~ 1", EFFECTS, scale="x", level=level),
    "multilevel": lambda level: als.meta.multilevel(EFFECTS, measure="ZCOR", level=level),
    "multilevel with moderators": lambda level: als.meta.multilevel(EFFECTS, mods="x", level=level),
    "robust": lambda level: als.meta.robust(EFFECTS, level=level),
    "trim and fill": lambda level: bias.trim_fill(EFFECTS, level=level),
    "egger": lambda level: bias.egger(EFFECTS, level=level),
    "pet_peese": lambda level: bias.pet_peese(EFFECTS, level=level),
    "selection": lambda level: bias.selection(EFFECTS, level=level),
    "p_uniform": lambda level: bias.p_uniform(EFFECTS, level=level),
    "compare": lambda level: bias.compare(EFFECTS, methods=("PET",), level=level),
    "two_stage": lambda level: als.meta.two_stage(als.load_dataset("simulated_sites"), "correlation", level=level),
}


@pytest.mark.parametrize("ask", HERE.values(), ids=list(HERE))
def test_no_words_say_another_level(ask):
    result = ask(0.9)
    drawn = result.plot()
    axis = " ".join(text.get_text() for text in drawn.figure.findobj(lambda one: hasattr(one, "get_text")))
    # "95% of effects" of a funnel's lines and of draws do not depend on the level
    caption = re.sub(r"where 95% of effects would lie", "", drawn.caption)
    for words in (result.report(), result.result_table().to_markdown(), caption, axis, drawn.alt_text):
        assert "95%" not in words, words
    assert "90%" in result.report() + result.result_table().to_markdown()


def test_the_intervals_are_those_of_the_level():
    narrow, wide = (als.meta.pool(EFFECTS, level=level).table().iloc[0] for level in (0.9, 0.99))
    ratio = (wide["ci_high"] - wide["ci_low"]) / (narrow["ci_high"] - narrow["ci_low"])
    assert ratio == pytest.approx(2.5758293035489 / 1.6448536269515, rel=1e-9)


def test_other_figures_say_the_level_too():
    fit = als.meta.multilevel(EFFECTS, level=0.9)
    orchard = als.meta.figures.orchard(fit)
    bubble = als.meta.figures.bubble(als.meta.regress("yi ~ x", EFFECTS, level=0.9))
    assert "90% confidence" in orchard.caption
    assert "95%" not in orchard.caption
    assert "90% confidence" in bubble.caption
    assert "99.9% CI" in als.meta.pool(EFFECTS, level=0.999).result_table().to_markdown()
