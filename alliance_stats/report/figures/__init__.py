"""Figures: each takes tidy frames and ``ax=``, estimates nothing and returns its Axes. One file per figure."""
