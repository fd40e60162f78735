"""Frames of effects as they should not be: drawn by hypothesis, with every fault that a coding sheet may have."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import strategies as st

SIZES = (0, 1, 2, 3, 4, 5, 6, 8, 12, 20)
EFFECTS = ("usual", "equal", "zero", "far apart", "rounding", "significant", "shifted", "whole numbers")
VARIANCES = ("usual", "equal", "uneven", "tiny", "huge")
IDS = ("text", "whole", "numbers", "category", "mixed", "Int64", "string", "yes or no", "none", "tuple", "any order")
MODERATORS = ("numbers", "constant", "yes or no", "boolean", "category", "one category", "collinear", "huge", "text")
MODERATORS += ("many words", "mixed", "Int64", "rare", "effects")
INDICES = ("plain", "one label", "pairs", "text", "numbers", "labels twice")
DTYPES = ("Float64", "object", "float32", "string")
CELLS = (np.nan, np.inf, -np.inf, 0.0, -1.0, "abc", "0.5", 1e300, 1e-300, None, pd.NA)


def _effects(kind: str, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    k = v.size
    return {
        "usual": rng.normal(0.3, 0.3, k),
        "equal": np.full(k, 0.3),
        "zero": np.zeros(k),
        "far apart": rng.normal(0.3, 3, k),
        "rounding": rng.normal(0, 1e-9, k),
        "significant": rng.normal(3, 1, k) * np.sqrt(v),
        "shifted": 1e6 + rng.normal(0, 1, k),
        "whole numbers": rng.integers(-2, 3, k).astype(float),
    }[kind]


def _variances(kind: str, k: int, rng: np.random.Generator) -> np.ndarray:
    usual = rng.uniform(0.01, 0.1, k)
    kinds = {"usual": usual, "equal": np.full(k, 0.04), "uneven": 10.0 ** rng.uniform(-6, 0, k)}
    return {**kinds, "tiny": usual * 1e-10, "huge": usual * 1e30}[kind]


def _ids(kind: str, k: int, per: int, rng: np.random.Generator) -> object:
    own = np.arange(k) // per
    text = [f"s{at}" for at in own]
    return {
        "text": text,
        "whole": own,
        "numbers": own + 0.5,
        "category": pd.Categorical(text, categories=["unused", *(f"s{at}" for at in range(k + 2))]),
        "mixed": np.array([at if at % 2 else str(at) for at in own], dtype=object),
        "Int64": pd.array(own, dtype="Int64"),
        "string": pd.array(text, dtype="string"),
        "yes or no": own % 2 == 0,
        "none": [None] * k,
        "tuple": pd.Series([("a", int(at)) for at in own], dtype=object).to_numpy(),
        "any order": rng.permutation(own),
    }[kind]


def _moderator(kind: str, y: np.ndarray, rng: np.random.Generator) -> object:
    k = y.size
    return {
        "numbers": rng.normal(size=k),
        "constant": np.ones(k),
        "yes or no": rng.random(k) < 0.5,
        "boolean": pd.array(rng.random(k) < 0.5, dtype="boolean"),
        "category": pd.Categorical(rng.choice(["a", "b"], k), categories=["a", "b", "unused"]),
        "one category": pd.Categorical(["a"] * k),
        "collinear": np.arange(k) * 1.0,
        "huge": rng.normal(size=k) * 1e30,
        "text": rng.choice(["a", "b"], k).astype(object),
        "many words": np.array([f"w{at}" for at in range(k)], dtype=object),
        "mixed": np.array([1, "b"] * k, dtype=object)[:k],
        "Int64": pd.array(rng.integers(0, 3, k), dtype="Int64"),
        "rare": (rng.random(k) < 0.2) * 1.0,
        "effects": y,
    }[kind]


def _index(kind: str, k: int) -> object:
    return {
        "plain": pd.RangeIndex(k),
        "one label": [0] * k,
        "pairs": pd.MultiIndex.from_arrays([np.arange(k) // 2, ["a"] * k]),
        "text": [f"r{at}" for at in range(k)],
        "numbers": np.arange(k) + 0.5,
        "labels twice": [["a", "b"][at % 2] for at in range(k)],
    }[kind]


@st.composite
def hostile_effects(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a frame with ``yi, vi, study, x, z, year``; half of them with a cell or a dtype at fault."""
    k, per = draw(st.sampled_from(SIZES)), draw(st.sampled_from([1, 2, 3, 20]))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    sizes = draw(st.sampled_from(VARIANCES))
    v = _variances(sizes, k, rng)
    y = _effects(draw(st.sampled_from(EFFECTS)), v, rng)
    kind = draw(st.sampled_from(MODERATORS))
    frame = pd.DataFrame({"yi": y, "vi": v})
    frame["study"] = _ids(draw(st.sampled_from(IDS)), k, per, rng)
    frame["x"] = _moderator(kind, y, rng)
    frame["z"] = 2 * np.arange(k) if kind == "collinear" else rng.normal(size=k)
    years = np.array([2000, "x"] * k, dtype=object)[:k]
    frame["year"] = years if draw(st.booleans()) else rng.integers(2000, 2003, k)
    if k and draw(st.booleans()):
        column, value = draw(st.sampled_from(list(frame))), draw(st.sampled_from(CELLS))
        frame[column] = frame[column].astype(object)
        frame.iloc[draw(st.integers(0, k - 1)), frame.columns.get_loc(column)] = value
    elif draw(st.booleans()):
        column = draw(st.sampled_from(["yi", "vi"]))
        frame[column] = frame[column].astype(draw(st.sampled_from(DTYPES)))
    return frame.set_axis(_index(draw(st.sampled_from(INDICES)), k), axis=0)
