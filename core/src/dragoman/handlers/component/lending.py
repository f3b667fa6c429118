"""Hands out instances: each to one message at a time."""

from __future__ import annotations

from dragoman.handlers.component.instances import Instance
from dragoman.handlers.component.program import Program
from dragoman.handlers.component.room import Room


class Instances:
    """Hands out instances: a new one for each message, or one that has been used before.

    Args:
        program: what to instantiate.
        room: shared by all components: the process can hold only so many stores.
        kept: how many idle instances to keep; 0 gives every message a new one.
    """

    def __init__(self, program: Program, room: Room, kept: int) -> None:
        self._program = program
        self._room = room
        self._kept = kept
        self._idle: list[Instance] = []
        self._out = 0
        self._closed = False

    async def take(self) -> Instance:
        """An instance that nobody else uses; give it back with `put`.

        Raises:
            Trapped: it could not be instantiated.
        """
        if not self._room.enter():
            await self._room.wait()
        self._out += 1
        if self._idle:
            instance = self._idle.pop()
            instance.refuel()
            return instance
        instance = Instance(self._program)
        try:
            if future := instance.begin():
                await instance.drive(future)
        except BaseException:
            self.put(instance)
            raise
        return instance

    def put(self, instance: Instance) -> None:
        """Take an instance back; it is closed unless it can be used again."""
        self._room.leave()
        self._out -= 1
        instance.session = None
        if len(self._idle) < self._kept and not self._closed and not instance.worn:
            self._idle.append(instance)
        else:
            instance.close()
            self._release()

    def discard(self, instance: Instance) -> None:
        """Take an instance back that must not be used again."""
        instance.broken = True
        self.put(instance)

    def close(self) -> None:
        """Close what is idle. What is in use is closed when it comes back, the program with the last. Idempotent."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
        self._release()

    def _release(self) -> None:
        if self._closed and not self._out:
            self._program.close()
