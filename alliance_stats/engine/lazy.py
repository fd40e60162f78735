"""Attributes computed when first asked for, without a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functools import cached_property as lazy
else:

    class lazy:
        """As ``functools.cached_property``, whose lock (before Python 3.12) costs more than what most attributes hold.

        Threads that ask at the same time may compute a value twice; it is the same value.
        """

        def __init__(self, compute):
            self.compute, self.name, self.__doc__ = compute, compute.__name__, compute.__doc__

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            value = instance.__dict__[self.name] = self.compute(instance)
            return value
