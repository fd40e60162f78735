"""Small-study effects and publication bias."""

from alliance_stats.meta.bias.compare import compare
from alliance_stats.meta.bias.egger import egger
from alliance_stats.meta.bias.excess_significance import excess_significance
from alliance_stats.meta.bias.fail_safe import fail_safe_n
from alliance_stats.meta.bias.p_curve import p_curve
from alliance_stats.meta.bias.p_uniform import p_uniform
from alliance_stats.meta.bias.pet_peese import pet_peese
from alliance_stats.meta.bias.rank_test import rank_test
from alliance_stats.meta.bias.selection import selection
from alliance_stats.meta.bias.trim_fill import trim_fill

__all__ = [
    "compare",
    "egger",
    "excess_significance",
    "fail_safe_n",
    "p_curve",
    "p_uniform",
    "pet_peese",
    "rank_test",
    "selection",
    "trim_fill",
]
