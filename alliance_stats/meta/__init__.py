"""Meta-analysis: effect sizes, pooling, moderators, dependent effects, influence."""

from alliance_stats.meta import convert
from alliance_stats.meta.effect_sizes import effect_sizes
from alliance_stats.meta.pool import pool
from alliance_stats.meta.regress import regress

__all__ = [
    "convert",
    "effect_sizes",
    "pool",
    "regress",
]
