"""wasmtime's C API: the functions that the engine calls, with their types, and nothing else.

The Python package `wasmtime` is only where the shared library comes from. Its own Python layer is not imported: it has
no asynchronous calls for components, it converts a payload byte by byte, and it takes 30 ms to import. Pointers are
plain integers here.

Importing this module loads the library, so it is imported only where a component is used.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import platform
import sys
from collections.abc import Callable
from ctypes import c_bool, c_char_p, c_size_t, c_uint32, c_void_p
from pathlib import Path
from typing import Any, Final

from dragoman.errors import ComponentError
from dragoman.handlers.component.memory import CHARS, WORDS, Words, text_at

#: The versions of wasmtime whose C API this module describes. Structures may change with any release.
VERSIONS: Final = ("50.0.1",)


def _version() -> str:
    """The installed version of wasmtime, if it is one that we can call on this Python."""
    if sys.version_info[:3] == (3, 14, 0):
        raise ComponentError(
            "Python 3.14.0 aborts when a component calls the host",
            expected="Python 3.14.1 or newer, or 3.11 to 3.13",
            hint="the fault is in CPython and was fixed in 3.14.1",
        )
    try:
        version = importlib.metadata.version("wasmtime")
    except importlib.metadata.PackageNotFoundError:
        raise _unusable("wasmtime is not installed") from None
    if version not in VERSIONS:
        raise _unusable(f"wasmtime {version} is installed, whose C API this version of dragoman does not know")
    return version


def _unusable(what: str) -> ComponentError:
    return ComponentError(what, expected=f"wasmtime {VERSIONS[0]}", hint=f"pip install wasmtime=={VERSIONS[0]}")


def _library() -> str:
    """The path of the shared library in the installed package, found without importing the package."""
    package = importlib.util.find_spec("wasmtime")
    folders = [Path(folder) for folder in (package.submodule_search_locations or ())] if package else []
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    name = "_libwasmtime.dylib" if sys.platform == "darwin" else "_libwasmtime.so"
    for folder in folders:
        if (path := folder / f"{sys.platform}-{machine}" / name).exists():
            return str(path)
    raise _unusable(f"wasmtime has no library for {sys.platform} on {machine}")


VERSION: Final = _version()
_PATH: Final = _library()
# Most functions take well under a microsecond: giving the interpreter lock away and fetching it again would cost more,
# and a busy thread could keep it for 5 ms in every callback. What takes long (compiling) is called through the other.
_HELD: Final = ctypes.PyDLL(_PATH)
_FREE: Final = ctypes.CDLL(_PATH)

#: A host function: data, context, type, arguments, their number, results, their number; returns an error or 0.
HostFunction: Final = ctypes.CFUNCTYPE(c_size_t, *[c_size_t] * 7)
#: The same for one that may suspend: besides an error slot and a continuation; returns nothing.
SuspendingFunction: Final = ctypes.CFUNCTYPE(None, *[c_size_t] * 9)
#: What a guest's drop of a host resource calls: data, context, representation; returns an error or 0.
Destructor: Final = ctypes.CFUNCTYPE(c_size_t, c_size_t, c_size_t, c_uint32)


def _function(name: str, result: Any, *arguments: Any, library: ctypes.CDLL = _HELD) -> Any:
    # Indexing makes a function of our own; attributes are shared with everyone who has loaded the library.
    function = library[name]
    function.restype, function.argtypes = result, arguments
    return function


def _hot(name: str, result: Any) -> Any:
    """A function that takes what `prepared` gives, and nothing else."""
    function = _HELD[name]
    function.restype = result
    return function


#: An integer or a pointer as it is passed to the functions below that say so: what goes with every message, and often
#: the same again, is prepared once, for ctypes needs as long for each argument as for half a call. It keeps no memory.
prepared: Final[Callable[[int], Any]] = c_void_p.from_param


# A pointer, as an integer that may be 0. ctypes passes a `c_void_p` in half the time that any other type takes, so the
# sizes that go with every message are declared as pointers, too. What is returned is a `c_size_t`, whose 0 is no None.
_P: Final = c_void_p
_R: Final = c_size_t

config_new = _function("wasm_config_new", _R)
config_fuel = _function("wasmtime_config_consume_fuel_set", None, _P, c_bool)
config_fiber_stack = _function("wasmtime_config_async_stack_size_set", None, _P, c_size_t)
config_guest_stack = _function("wasmtime_config_max_wasm_stack_set", None, _P, c_size_t)
config_async_components = _function("wasmtime_config_wasm_component_model_async_set", None, _P, c_bool)
config_concurrency = _function("wasmtime_config_concurrency_support_set", None, _P, c_bool)
config_pool = _function("wasmtime_pooling_allocation_strategy_set", None, _P, _P)
pool_new = _function("wasmtime_pooling_allocation_config_new", _R)
pool_delete = _function("wasmtime_pooling_allocation_config_delete", None, _P)
pool_setting = {
    name: _function(f"wasmtime_pooling_allocation_config_{name}_set", None, _P, type_)
    for type_, names in (
        (c_uint32, (
            "total_component_instances", "total_core_instances", "total_stacks", "total_memories", "total_tables",
            "max_memories_per_component", "max_memories_per_module", "max_tables_per_component",
            "max_tables_per_module",
        )),
        (c_size_t, (
            "max_component_instance_size", "max_core_instance_size", "max_memory_size", "table_elements",
            "linear_memory_keep_resident", "table_keep_resident",
        )),
    )
    for name in names
}  # fmt: skip
engine_new = _function("wasm_engine_new_with_config", _R, _P)
engine_delete = _function("wasm_engine_delete", None, _P)

error_new = _function("wasmtime_error_new", _R, c_char_p)
error_delete = _function("wasmtime_error_delete", None, _P)
error_message = _function("wasmtime_error_message", None, _P, _P)
error_exit_status = _function("wasmtime_error_exit_status", c_bool, _P, _P)
error_trace = _function("wasmtime_error_wasm_trace", None, _P, _P)
frame_function = _function("wasmtime_frame_func_name", _R, _P)
frame_module = _function("wasmtime_frame_module_name", _R, _P)
frames_delete = _function("wasm_frame_vec_delete", None, _P)

wat_to_wasm = _function("wasmtime_wat2wasm", _R, c_char_p, c_size_t, _P)
component_new = _function("wasmtime_component_new", _R, _P, c_char_p, c_size_t, _P, library=_FREE)
component_serialize = _function("wasmtime_component_serialize", _R, _P, _P, library=_FREE)
component_read = _function("wasmtime_component_deserialize", _R, _P, c_char_p, c_size_t, _P, library=_FREE)
component_load = _function("wasmtime_component_deserialize_file", _R, _P, c_char_p, _P, library=_FREE)
component_delete = _function("wasmtime_component_delete", None, _P)
component_type = _function("wasmtime_component_type", _R, _P)
component_type_delete = _function("wasmtime_component_type_delete", None, _P)
component_export = _function("wasmtime_component_get_export_index", _R, _P, _P, c_char_p, c_size_t)
export_delete = _function("wasmtime_component_export_index_delete", None, _P)

import_count = _function("wasmtime_component_type_import_count", c_size_t, _P, _P)
import_nth = _function("wasmtime_component_type_import_nth", c_bool, _P, _P, c_size_t, _P, _P, _P)
export_count = _function("wasmtime_component_type_export_count", c_size_t, _P, _P)
export_nth = _function("wasmtime_component_type_export_nth", c_bool, _P, _P, c_size_t, _P, _P, _P)
instance_export_count = _function("wasmtime_component_instance_type_export_count", c_size_t, _P, _P)
instance_export_nth = _function("wasmtime_component_instance_type_export_nth", c_bool, _P, _P, c_size_t, _P, _P, _P)
extern_type = _function("wasmtime_component_extern_type", None, _P, _P)
extern_delete = _function("wasmtime_component_extern_delete", None, _P)
item_delete = _function("wasmtime_component_item_delete", None, _P)
valtype_delete = _function("wasmtime_component_valtype_delete", None, _P)
resource_type_new = _function("wasmtime_component_resource_type_new_host", _R, c_uint32)
resource_type_delete = _function("wasmtime_component_resource_type_delete", None, _P)
resource_type_equal = _function("wasmtime_component_resource_type_equal", c_bool, _P, _P)
resource_type_clone = _function("wasmtime_component_resource_type_clone", _R, _P)
function_async = _function("wasmtime_component_func_type_async", c_bool, _P)
function_parameter_count = _function("wasmtime_component_func_type_param_count", c_size_t, _P)
function_parameter_nth = _function("wasmtime_component_func_type_param_nth", c_bool, _P, c_size_t, _P, _P, _P)
function_result = _function("wasmtime_component_func_type_result", c_bool, _P, _P)
list_element = _function("wasmtime_component_list_type_element", None, _P, _P)
option_payload = _function("wasmtime_component_option_type_ty", None, _P, _P)
result_ok = _function("wasmtime_component_result_type_ok", c_bool, _P, _P)
result_error = _function("wasmtime_component_result_type_err", c_bool, _P, _P)
tuple_count = _function("wasmtime_component_tuple_type_types_count", c_size_t, _P)
tuple_nth = _function("wasmtime_component_tuple_type_types_nth", c_bool, _P, c_size_t, _P)
record_count = _function("wasmtime_component_record_type_field_count", c_size_t, _P)
record_nth = _function("wasmtime_component_record_type_field_nth", c_bool, _P, c_size_t, _P, _P, _P)
variant_count = _function("wasmtime_component_variant_type_case_count", c_size_t, _P)
variant_nth = _function("wasmtime_component_variant_type_case_nth", c_bool, _P, c_size_t, _P, _P, _P, _P)
enum_count = _function("wasmtime_component_enum_type_names_count", c_size_t, _P)
enum_nth = _function("wasmtime_component_enum_type_names_nth", c_bool, _P, c_size_t, _P, _P)
flags_count = _function("wasmtime_component_flags_type_names_count", c_size_t, _P)
flags_nth = _function("wasmtime_component_flags_type_names_nth", c_bool, _P, c_size_t, _P, _P)

linker_new = _function("wasmtime_component_linker_new", _R, _P)
linker_delete = _function("wasmtime_component_linker_delete", None, _P)
linker_shadowing = _function("wasmtime_component_linker_allow_shadowing", None, _P, c_bool)
linker_wasi = _function("wasmtime_component_linker_add_wasip2", _R, _P)
linker_root = _function("wasmtime_component_linker_root", _R, _P)
interface_new = _function("wasmtime_component_linker_instance_add_instance", _R, _P, c_char_p, c_size_t, _P)
interface_delete = _function("wasmtime_component_linker_instance_delete", None, _P)
interface_function = _function(
    "wasmtime_component_linker_instance_add_func", _R, _P, c_char_p, c_size_t, HostFunction, _P, _P
)
interface_suspending = _function(
    "wasmtime_component_linker_instance_add_func_async", _R, _P, c_char_p, c_size_t, SuspendingFunction, _P, _P
)
interface_resource = _function(
    "wasmtime_component_linker_instance_add_resource", _R, _P, c_char_p, c_size_t, _P, Destructor, _P, _P
)

store_new = _hot("wasmtime_store_new", _R)
store_context = _function("wasmtime_store_context", _R, _P)
store_delete = _function("wasmtime_store_delete", None, _P)
store_limits = _hot("wasmtime_store_limiter", None)
context_fuel = _hot("wasmtime_context_set_fuel", _R)
context_fuel_left = _function("wasmtime_context_get_fuel", _R, _P, _P)
context_yield_interval = _hot("wasmtime_context_fuel_async_yield_interval", _R)
context_wasi = _function("wasmtime_context_set_wasi", _R, _P, _P)

wasi_new = _function("wasi_config_new", _R)
wasi_environment = _function("wasi_config_set_env", c_bool, _P, c_size_t, c_void_p, c_void_p)
wasi_output = _function("wasi_config_set_stdout_file", c_bool, _P, c_char_p)
wasi_errors = _function("wasi_config_set_stderr_file", c_bool, _P, c_char_p)
wasi_directory = _function("wasi_config_preopen_dir", c_bool, _P, c_char_p, c_char_p, c_bool)
wasi_delete = _function("wasi_config_delete", None, _P)

instantiate = _hot("wasmtime_component_linker_instantiate_async", _R)
instance_function = _hot("wasmtime_component_instance_get_func", c_bool)
function_call = _hot("wasmtime_component_func_call_async", _R)
future_poll = _function("wasmtime_call_future_poll", c_bool, _P)
future_delete = _function("wasmtime_call_future_delete", None, _P)
#: The same without the interpreter lock, for the thread of `aside`.
future_poll_freely = _function("wasmtime_call_future_poll", c_bool, _P, library=_FREE)
store_delete_freely = _function("wasmtime_store_delete", None, _P, library=_FREE)

bytes_new = _function("wasm_byte_vec_new", None, _P, _P, _P)
bytes_delete = _function("wasm_byte_vec_delete", None, _P)
list_new = _function("wasmtime_component_vallist_new_uninit", None, _P, _P)
tuple_new = _function("wasmtime_component_valtuple_new_uninit", None, _P, _P)
record_new = _function("wasmtime_component_valrecord_new_uninit", None, _P, _P)
flags_new = _function("wasmtime_component_valflags_new_uninit", None, _P, _P)
value_new = _function("wasmtime_component_val_new", _R, _P)
value_delete = _function("wasmtime_component_val_delete", None, _P)
host_new = _function("wasmtime_component_resource_host_new", _R, _P, _P, _P)
host_delete = _function("wasmtime_component_resource_host_delete", None, _P)
host_representation = _function("wasmtime_component_resource_host_rep", c_uint32, _P)
host_to_any = _hot("wasmtime_component_resource_host_to_any", _R)
any_to_host = _hot("wasmtime_component_resource_any_to_host", _R)


def assembled(text: str) -> bytes:
    """A component in binary, of one in WAT.

    Raises:
        ComponentError: a mistake in the text.
    """
    out, data = Words(2), text.encode()
    if error := wat_to_wasm(data, len(data), out.address):
        raise ComponentError(message_of(error))
    start = WORDS[out.index + 1]
    try:
        return bytes(CHARS[start : start + WORDS[out.index]])
    finally:
        bytes_delete(out.address)


def message_of(error: int) -> str:
    """What an error says, with its causes; the error is deleted."""
    text = Words(2)
    error_message(error, text.address)
    message = text_at(WORDS[text.index + 1], WORDS[text.index])
    bytes_delete(text.address)
    error_delete(error)
    return message


def check(error: int) -> None:
    """Raise for an error of a call that fails only by our own mistake.

    Raises:
        RuntimeError: `error` is one.
    """
    if error:
        raise RuntimeError(message_of(error))
