"""What the parts share that a mixed model's result is put together from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alliance_stats.models.mixed_result import MixedResult


class PartOfResult:
    """Methods of a mixed model's result that live in a file of their own."""

    def _whole(self) -> MixedResult:
        """Return the result that these methods are part of."""
        from alliance_stats.models.mixed_result import MixedResult

        assert isinstance(self, MixedResult)
        return self
