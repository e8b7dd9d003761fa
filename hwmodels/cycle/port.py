"""A memory port: bursts one after the other, the writer's before the loader's."""

from __future__ import annotations

from simpy import Environment
from simpy.core import SimTime

from hwmodels.schedule import Schedule


class Port:
    """One port, used by the loader, by the writer, or by both.

    The loader's bursts are granted back to back until the writer asks; then the burst under way ends, the writer has the
    port for as long as it asks, and the loader goes on where it was. So a whole load is one sleep, moved back by every
    store that falls into it, and only the burst that the writer meets is ever looked up.
    """

    __slots__ = ("_begin", "_env", "_free", "_plan", "_tile", "load_end")

    def __init__(self, env: Environment, plan: Schedule) -> None:
        self._env, self._plan = env, plan
        self._tile = 0
        self._begin: SimTime = 0
        self._free: SimTime = 0
        self.load_end: SimTime = 0
        """End of the last burst of the load under way, if the writer does not ask again; else of the last load."""

    def load(self, tile: int, cycles: int) -> None:
        """Ask for the bursts of a tile's loads; look at `load_end` for when they end."""
        self._tile, self._begin = tile, max(self._env.now, self._free)
        self.load_end = self._begin + cycles

    def store(self, cycles: int) -> SimTime:
        """Ask for the bursts of a tile's stores; the cycles until they end. The writer has one tile under way at most."""
        now, granted = self._env.now, self._env.now
        if now < self.load_end:
            granted = self._begin + self._plan.burst_end(self._tile, int(now - self._begin))
        if granted < self.load_end:
            self._begin += cycles
            self.load_end += cycles
        self._free = granted + cycles
        return self._free - now
