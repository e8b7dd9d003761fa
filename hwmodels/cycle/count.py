"""How units wait for each other: one counts what it has finished, the other waits for a count."""

from __future__ import annotations

from simpy import Environment, Event


class Count:
    """How often something has happened, and the one unit that may wait for it.

    A unit that finds the count high enough goes on without an event; that makes the simulation several times as fast as
    SimPy's own stores, where every put and get is one.
    """

    __slots__ = ("_env", "_event", "_needed", "name", "value", "waiter")

    def __init__(self, env: Environment, name: str, waiter: str, value: int = 0) -> None:
        self.name, self.waiter, self.value = name, waiter, value
        self._env, self._needed = env, 0
        self._event: Event | None = None

    def add(self) -> None:
        """It has happened once more."""
        self.value += 1
        if self._event is not None and self.value >= self._needed:
            self._event.succeed()
            self._event = None

    def reach(self, needed: int) -> Event:
        """The event that the count is `needed`; ask only while it is less."""
        self._event, self._needed = Event(self._env), needed
        return self._event

    @property
    def waiting(self) -> str | None:
        """Who waits for what, or None."""
        if self._event is None:
            return None
        return f"{self.waiter} waits for {self.name} {self._needed} (there are {self.value})"
