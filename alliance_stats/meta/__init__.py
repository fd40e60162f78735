"""Meta-analysis: effect sizes, pooling, moderators, dependent effects, influence."""

from alliance_stats.meta import bias, convert, figures
from alliance_stats.meta.aggregate import aggregate
from alliance_stats.meta.effect_sizes import effect_sizes
from alliance_stats.meta.influence import baujat, cumulative, gosh, influence, leave_one_out
from alliance_stats.meta.ipd.two_stage import two_stage
from alliance_stats.meta.multilevel import multilevel
from alliance_stats.meta.pool import pool
from alliance_stats.meta.power_analysis import power
from alliance_stats.meta.psychometric import artefacts
from alliance_stats.meta.published import compare_published
from alliance_stats.meta.read_effects import read_effects
from alliance_stats.meta.regress import regress
from alliance_stats.meta.robust import robust
from alliance_stats.meta.sampling import sampling_covariance
from alliance_stats.meta.weighted import pool_weighted

__all__ = [
    "aggregate",
    "artefacts",
    "baujat",
    "bias",
    "compare_published",
    "convert",
    "cumulative",
    "effect_sizes",
    "figures",
    "gosh",
    "influence",
    "leave_one_out",
    "multilevel",
    "pool",
    "pool_weighted",
    "power",
    "read_effects",
    "regress",
    "robust",
    "sampling_covariance",
    "two_stage",
]
