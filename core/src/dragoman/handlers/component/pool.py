"""Address space for instances, set aside once: a new instance then asks the system for nothing.

Without it each memory and each stack of an instance is mapped, protected and unmapped again, which is more than half of
what a small guest's message costs. What an instance has written is made zero, or the component's own data, before the
next one gets its place: the engine sees to that.

The pool holds as many instances as may be in use at once, so it is never exhausted. What does not fit (a component with
many memories, unusual limits, a system that does not give so much address space) works as before, only slower.
"""

from __future__ import annotations

import mmap
import sys
from typing import Final

from dragoman.config.model import LimitsConfig
from dragoman.handlers.component import capi

#: Instances that may be in use at once. Each takes some of the memory regions that the system allows a process, and the
#: process ends when there are no more.
ROOM: Final = 1000
#: Memories and tables of one component. Most have one memory of their own and one of the adapter for bodies.
_MEMORIES: Final = 4
_TABLES: Final = 16
#: All that 32 bits address: the size of the region that compiled code relies on.
_MEMORY: Final = 2**32
_TABLE_ELEMENTS: Final = 100_000
#: Bytes at the start of each memory and table that stay in place and are made zero; what lies behind them is given back
#: to the system. Writing zeros is cheaper than asking for new pages; the price is this much for every place in the pool
#: that was ever used.
_RESIDENT: Final = 64 * 2**10
#: No bound of ours: what describes an instance is allocated as it is needed.
_ANY: Final = 2**26
#: What the pool maps: memories with their guards, which nobody can touch before they are used; then tables and stacks.
_GUARD: Final = 32 * 2**20
_UNTOUCHED: Final = ROOM * _MEMORIES * (_MEMORY + _GUARD)
_NO_RESERVE: Final = 0x4000


def available(stack: int) -> bool:
    """Whether the system gives so much address space: the engine would end the process where it does not.

    Args:
        stack: bytes of the stack of each call.
    """
    if sys.platform != "linux":
        return False
    touched = ROOM * (_TABLES * _TABLE_ELEMENTS * 8 + stack)
    return _maps(_UNTOUCHED, 0) and _maps(touched, mmap.PROT_READ | mmap.PROT_WRITE)


def _maps(size: int, protection: int) -> bool:
    try:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE, prot=protection).close()
    except OSError:
        return False
    return True


def fits(limits: LimitsConfig) -> bool:
    """Whether instances with these limits have room; whether a component has is seen when it is loaded."""
    return limits.memory <= _MEMORY and limits.table_elements <= _TABLE_ELEMENTS


def use(config: int) -> None:
    """Let an engine that is made with `config` put its instances into a pool."""
    pool = capi.pool_new()
    for name, value in (
        ("total_component_instances", ROOM),
        ("total_core_instances", _ANY),
        ("total_stacks", ROOM),
        ("total_memories", ROOM * _MEMORIES),
        ("total_tables", ROOM * _TABLES),
        ("max_memories_per_component", _MEMORIES),
        ("max_memories_per_module", _MEMORIES),
        ("max_tables_per_component", _TABLES),
        ("max_tables_per_module", _TABLES),
        ("max_component_instance_size", _ANY),
        ("max_core_instance_size", _ANY),
        ("max_memory_size", _MEMORY),
        ("table_elements", _TABLE_ELEMENTS),
        ("linear_memory_keep_resident", _RESIDENT),
        ("table_keep_resident", _RESIDENT),
    ):
        capi.pool_setting[name](pool, value)
    capi.config_pool(config, pool)
    capi.pool_delete(pool)
