"""A configuration file is read, and everything that is wrong with it is said at once."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dragoman.config.load import load
from dragoman.config.model import Config
from dragoman.errors import ConfigError, Problem
from dragoman.plugins import Plugins, load_plugins
from tests.distributions import install

GOOD = """
[clients.orders]
adapter = "fine"
password = "${ORDERS_PASSWORD}"

[clients.bills]
url = "both://host"

[handlers.billing]
component = "guests/billing.wasm"
client = "orders"
subscribe = ["orders.created"]
publish = { orders = ["invoices.*"], bills = ["topic:paid"] }
retry = { attempts = 3, backoff = "100ms" }
dead_letter = "orders.dead"

[handlers.audit]
python = "shop.audit:handle"
client = "bills"
subscribe = ["topic:paid"]
dead_letter = { channel = "dead", client = "orders" }
"""

BOTH = """
@hookimpl
def dragoman_adapters():
    return [adapter(capabilities=frozenset({Capability.QUEUE, Capability.TOPIC}))]
"""


@pytest.fixture
def plugins(site: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """`fine` has queues only; `both` has queues and topics."""
    install(site, "fine")
    install(site, "both", code=BOTH)
    monkeypatch.setenv("ORDERS_PASSWORD", "s3cr3t")
    return load_plugins()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a component in it."""
    guests = tmp_path / "guests"
    guests.mkdir()
    guests.joinpath("billing.wasm").write_bytes(b"\0asm")
    return tmp_path


def _write(folder: Path, text: str) -> Path:
    path = folder / "dragoman.toml"
    path.write_text(dedent(text))
    return path


def _problems(folder: Path, text: str, plugins: Plugins) -> list[Problem]:
    path = _write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(path, plugins)
    assert all(problem.file == str(path) for problem in caught.value.problems)
    return list(caught.value.problems)


def _texts(folder: Path, text: str, plugins: Plugins) -> dict[str, str]:
    return {problem.key: str(problem).removeprefix(f"{problem.file}:") for problem in _problems(folder, text, plugins)}


def _changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_good_file_is_a_configuration(folder: Path, plugins: Plugins) -> None:
    """Variables have their values, units are seconds, and paths begin in the file's folder."""
    config = load(_write(folder, GOOD), plugins)
    assert config.clients["orders"].settings == {"password": "s3cr3t"}
    billing = config.handlers["billing"]
    assert billing.component == folder / "guests" / "billing.wasm"
    assert billing.retry.backoff == 0.1
    assert config.handlers["audit"].dead_letters is not None
    assert config.clients["orders"].folder == folder


def test_paths_begin_in_the_file_s_folder_wherever_the_command_runs(
    folder: Path, plugins: Plugins, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path to the file, and relative ones in it, are the same from anywhere."""
    path = _write(
        folder,
        GOOD
        + """
        [host]
        cache = "cache"
        [handlers.billing.wasi]
        directories = { "/data" = "data" }
        writable = { "/home" = "~/x" }
        """,
    )
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("HOME", str(elsewhere))
    monkeypatch.chdir(folder.parent)
    config = load(path.relative_to(folder.parent), plugins)
    assert config.host.cache == folder / "cache"
    assert config.handlers["billing"].wasi.directories == {"/data": folder / "data"}
    assert config.handlers["billing"].wasi.writable == {"/home": elsewhere / "x"}


def test_a_mistaken_key_hides_no_other_mistake_of_its_handler(folder: Path, plugins: Plugins) -> None:
    """What is wrong with the values, with the names and with what they refer to, all in one go."""
    text = """
    [handlers.billing]
    python = "nowhere:handle"
    client = "order"
    concurency = 3
    subscribe = [5]
    """
    found = _texts(folder, text, plugins)
    assert set(found) == {
        "handlers.billing.client",
        "handlers.billing.concurency",
        "handlers.billing.subscribe[0]",
    }, found


def test_all_mistakes_come_at_once_in_the_order_of_the_file(folder: Path, plugins: Plugins) -> None:
    """Syntax of values, unknown keys, missing clients, files and settings are found in one go, with their lines."""
    text = """
    [clients.orders]
    adapter = "fin"

    [clients.bills]
    adapter = "fine"
    acks = "some"
    port = "${NO_SUCH_PORT}"

    [handlers.billing]
    component = "guests/biling.wasm"
    client = "order"
    subscribe = [
        "a",
        5,
    ]
    conurrency = 4
    deadline = "soon"

    [handlers.audit]
    python = "audit"
    component = "x.wasm"

    [handlers.third]
    component = "guests/biling.wasm"
    client = "order"
    dead_letter = { client = "bils", channel = "dead" }
    publish = { bill = ["x"] }

    [host]
    grace = -1
    """
    found = _texts(folder, text, plugins)
    assert found["clients.orders.adapter"].startswith("3: clients.orders.adapter: there is no adapter 'fin'; expected")
    assert found["clients.orders.adapter"].endswith("which are installed; did you mean 'fine'?")
    assert "7: clients.bills.acks: is 'some'; expected 'all' or 'leader'" in found["clients.bills.acks"]
    assert "8: clients.bills.port: the environment variable NO_SUCH_PORT is not set" in found["clients.bills.port"]
    assert found["handlers.billing.subscribe[1]"].startswith("13: ")
    assert "is a whole number; expected text" in found["handlers.billing.subscribe[1]"]
    assert "did you mean 'concurrency'?" in found["handlers.billing.conurrency"]
    assert "'soon' is no duration; expected a number with us, ms" in found["handlers.billing.deadline"]
    assert "is missing; expected the client that it subscribes with" in found["handlers.audit.client"]
    assert "is 'audit'; expected text that matches" in found["handlers.audit.python"]
    assert "did you mean 'billing.wasm'?" in found["handlers.third.component"]
    assert (
        "there is no client 'order'; expected one of 'bills', 'orders'; did you mean 'orders'?"
        in (found["handlers.third.client"])
    )
    assert "did you mean 'bills'?" in found["handlers.third.dead_letter.client"]
    assert "did you mean 'bills'?" in found["handlers.third.publish.bill"]
    assert "is no duration" in found["host.grace"]
    numbers = [problem.line for problem in _problems(folder, text, plugins)]
    assert numbers == sorted(number for number in numbers if number)


@pytest.mark.parametrize(
    "change",
    [
        ('adapter = "fine"', "", "clients.orders.adapter", "is missing, and so is `url`"),
        ('client = "bills"', "client = 5", "handlers.audit.client", "is a whole number; expected text"),
        ('python = "shop', 'component = "guests/billing.wasm"\npython = "shop', "handlers.audit", "exactly one of"),
        ('subscribe = ["topic:paid"]', "", "handlers.audit.subscribe", "the function hears nothing"),
        ('["topic:paid"]\ndead', '["topic:"]\ndead', "handlers.audit.subscribe", "a channel needs a name"),
        ('["orders.created"]', '["topic:x"]', "handlers.billing.subscribe[0]", "adapter 'fine' can't"),
        ('["orders.created"]', '["x", "queue:x"]', "handlers.billing.subscribe[1]", "'x' is there twice"),
        ('["invoices.*"]', '["topic:x"]', "handlers.billing.publish.orders[0]", "no channels of kind 'topic'"),
        ('["invoices.*"]', '[""]', "handlers.billing.publish.orders[0]", "the pattern is empty"),
        ('"orders.dead"', '"orders.created"', "handlers.billing.dead_letter", "would come back"),
        ('"orders.dead"', '"topic:dead"', "handlers.billing.dead_letter", "expected kind 'queue'"),
        ('"orders.dead"', "5", "handlers.billing.dead_letter", "expected text or a table"),
        ('"orders.dead"', '{ clinet = "x" }', "handlers.billing.dead_letter.clinet", "did you mean 'client'?"),
        ('"orders.dead"', '{ client = "x" }', "handlers.billing.dead_letter.channel", "is missing; expected"),
        ("{ orders = [", "{ orders = [1, ", "handlers.billing.publish.orders[0]", "expected text"),
        ("publish = {", "publish = 5 #", "handlers.billing.publish", "expected a list or a table"),
        ('"100ms"', '"100s"', "handlers.billing.retry", "`backoff` is longer than `max_backoff`"),
        ("attempts = 3", "attempts = 0", "handlers.billing.retry.attempts", "is 0; expected at least 1"),
        ("attempts = 3", "attempts = 1.5", "handlers.billing.retry.attempts", "is 1.5; expected a whole number"),
        ("attempts = 3", "attempts = 1979-05-27", "handlers.billing.retry.attempts", "is a date or time"),
        ("[handlers.audit]", '[handlers."a b"]', 'handlers."a b"', "expected text that matches"),
        ("[clients.bills]", "[client.bills]", "client", "did you mean 'clients'?"),
        ("guests/billing.wasm", "guests", "handlers.billing.component", "is no file"),
        ("guests/billing.wasm", "gu\\u0000", "handlers.billing.component", ""),
        ("host", "${HOST", "clients.bills.url", "a `${` that begins no variable"),
        ("host", "${ORDERS_PASWORD}", "clients.bills.url", "did you mean 'ORDERS_PASSWORD'?"),
    ],
)
def test_each_mistake_names_its_key(folder: Path, plugins: Plugins, change: tuple[str, str, str, str]) -> None:
    """The key of the mistake, and what was expected there."""
    old, new, key, expected = change
    assert expected in _texts(folder, _changed(old, new), plugins)[key]


@pytest.mark.parametrize("section", ["clients", "handlers", "host"])
def test_a_section_that_is_no_table_is_one_mistake(folder: Path, plugins: Plugins, section: str) -> None:
    """And what is right beside it does not make it crash."""
    found = _texts(folder, f"{section} = 5\n", plugins)
    assert found == {section: f"1: {section}: is a whole number; expected a table"}


def test_a_broken_client_is_not_reported_as_missing(folder: Path, plugins: Plugins) -> None:
    """One mistake is said once: not again by everything that refers to it."""
    text = _changed('[clients.bills]\nurl = "both://host"', "[clients.bills]\nadapter = 5")
    assert list(_texts(folder, text, plugins)) == ["clients.bills.adapter"]


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("[clients.orders]\nadapter = \n", 2, "is no TOML"),
        ("a = 1\n\nb = '''x\n", 4, "is no TOML"),
        ("a = 1\na = 2\n", 2, "is no TOML"),
        ("a = " + "[" * 100_000, 1, "nested too deeply"),
        ("a = " + "9" * 5000, 1, "is no TOML"),
    ],
)
def test_a_file_that_is_no_toml_says_where(folder: Path, plugins: Plugins, text: str, line: int, expected: str) -> None:
    """A syntax error has its line."""
    (problem,) = _problems(folder, text, plugins)
    assert expected in str(problem)
    assert problem.line in (line, None)


def test_a_file_that_is_not_utf8_says_where(folder: Path, plugins: Plugins) -> None:
    """The line of the first byte that is no UTF-8."""
    path = folder / "dragoman.toml"
    path.write_bytes(b"# one\n# t\xfcwo\n")
    with pytest.raises(ConfigError, match=r"dragoman\.toml:2: is not UTF-8"):
        load(path, plugins)


@pytest.mark.parametrize("name", ["none.toml", "guests", "guests/billing.wasm/x.toml", "\0"])
def test_a_file_that_can_not_be_read_is_one_line(folder: Path, plugins: Plugins, name: str) -> None:
    """Missing, a folder, below a file, no name: one line, and for a missing one what to do."""
    with pytest.raises(ConfigError) as caught:
        load(folder / name, plugins)
    assert len(str(caught.value).splitlines()) == 1
    if name == "none.toml":
        assert "-c FILE" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "1"),
        ("x${A}-${B}y", "x1-2y"),
        ("${NONE:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${A:-d}", "1"),
        ("${NONE:-}", ""),
        ("${EMPTY}", ""),
        ("$${A}", "${A}"),
        ("$A $ {A} $$", "$A $ {A} $$"),
        ("${C}", "${A}"),
    ],
)
def test_variables(folder: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch, text: str, expected: str) -> None:
    """`${NAME}`, a default as in a shell, an escape; a value is not expanded again."""
    for name, value in {"A": "1", "B": "2", "EMPTY": "", "C": "${A}"}.items():
        monkeypatch.setenv(name, value)
    config = load(_write(folder, f"[clients.x]\nadapter = 'fine'\npassword = '{text}'"), plugins)
    assert config.clients["x"].settings == {"password": expected}


def test_a_variable_may_stand_for_a_number_or_a_unit(
    folder: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable is text, and is read as what its key needs."""
    monkeypatch.setenv("N", "7")
    text = _changed("attempts = 3", 'attempts = "${N}"').replace('"100ms"', '"${N}ms"')
    retry = load(_write(folder, text), plugins).handlers["billing"].retry
    assert (retry.attempts, retry.backoff) == (7, 0.007)


HIDDEN = "zq8'\\s3cr3t"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('adapter = "fine"', 'adapter = "fine${X}"'),
        ('adapter = "fine"', 'adapter = "fine"\nacks = "${X}"'),
        ('adapter = "fine"', 'adapter = "fine"\nlinger = "${X}"'),
        ('adapter = "fine"', 'adapter = "fine"\nurl = "fine://${X}!"'),
        ('adapter = "fine"', 'adapter = "fine"\nurl = "fine://u:${X}@h!"'),
        ("both://host", "b${X}://host"),
        ('"100ms"', '"${X}"'),
        ("attempts = 3", 'attempts = "${X}"'),
        ('client = "bills"', 'client = "${X}"'),
        ("shop.audit:handle", "${X}"),
        ("guests/billing.wasm", "${X}"),
        ('"orders.dead"', '"topic:${X}"'),
    ],
)
def test_a_value_from_the_environment_is_not_in_an_error(
    folder: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    """Whatever a variable holds may be a secret; the error shows its name instead."""
    monkeypatch.setenv("X", HIDDEN)
    found = "".join(_texts(folder, _changed(old, new), plugins).values())
    assert "s3cr3t" not in found
    assert "zq8" not in found


def test_a_configuration_does_not_print_its_values(folder: Path, plugins: Plugins) -> None:
    """`repr` and `str` name the keys that are set, never a value: it may be a secret."""
    text = GOOD + '[handlers.billing.wasi]\nenvironment = { TOKEN = "${ORDERS_PASSWORD}" }\n'
    config = load(_write(folder, text), plugins)
    for shown in (repr(config), str(config), repr(config.clients["orders"]), repr(config.handlers["billing"])):
        assert "s3cr3t" not in shown
    assert "'orders': ClientConfig(adapter=…, password=…)" in repr(config)


# Bad configurations: valid TOML of any shape, biased towards the names that mean something.
_NAMES = st.sampled_from(
    [
        "clients",
        "handlers",
        "host",
        "adapter",
        "url",
        "a",
        "client",
        "subscribe",
        "publish",
        "retry",
        "dead_letter",
        "component",
        "python",
        "deadline",
        "wasi",
        "limits",
        "channel",
        "attempts",
        "environment",
        "grace",
        "memory",
    ]
)
_LEAVES = (
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
    | st.sampled_from(["fine", "both://x", "a", "5s", "topic:x", "${NONE}", "${", "$${", "x.wasm", "m:f"])
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.booleans()
    | st.dates()
)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4), max_leaves=12
)
_SECTIONS = st.dictionaries(_NAMES, st.dictionaries(_NAMES, _VALUES, max_size=3) | _VALUES, max_size=3)


def _check_problems(error: ConfigError) -> None:
    assert error.problems
    for problem in error.problems:
        assert problem.key
        assert problem.file
        assert "\n" not in str(problem)


@given(_SECTIONS)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None, derandomize=True
)
def test_any_configuration_is_loaded_or_refused_with_keys(folder: Path, plugins: Plugins, table: object) -> None:
    """No TOML crashes the loading: it gives a configuration, or problems that each have a key."""
    import tomli_w

    path = folder / "any.toml"
    path.write_text(tomli_w.dumps(table), "utf-8")  # type: ignore[arg-type]
    try:
        assert isinstance(load(path, plugins), Config)
    except ConfigError as error:
        _check_problems(error)


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
def test_any_bytes_are_loaded_or_refused(folder: Path, plugins: Plugins, data: bytes) -> None:
    """No file crashes the loading."""
    path = folder / "bytes.toml"
    path.write_bytes(data)
    try:
        load(path, plugins)
    except ConfigError as error:
        assert "bytes.toml" in str(error)  # noqa: PT017 - either way is right
