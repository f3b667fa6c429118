"""Plugins are found through real entry points; a broken one costs one line and nothing else."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from dragoman.adapter import CONTRACT
from dragoman.config.model import ClientConfig
from dragoman.errors import ConfigError, PluginError
from dragoman.plugins import Plugins, load_plugins
from dragoman.version import __version__
from tests.distributions import install


def _lines(plugins: Plugins) -> list[str]:
    lines = [str(problem) for problem in plugins.problems]
    return [line for line in lines if not line.startswith(f"plugin dragoman {__version__}:")]


def _the_problem(plugins: Plugins) -> str:
    lines = _lines(plugins)
    assert len(lines) == 1, lines
    assert "\n" not in lines[0]
    return lines[0]


def _others_work(plugins: Plugins) -> None:
    """The well-made plugin next to the broken one can be used."""
    assert plugins.adapter("fine").name == "fine"


@pytest.fixture
def site(site: Path) -> Path:
    """The folder of distributions, with a well-made one in it."""
    install(site, "fine")
    return site


def test_an_installed_plugin_is_found_with_its_distribution(site: Path) -> None:
    """Nothing but an installed distribution with an entry point makes an adapter usable."""
    plugins = load_plugins()
    plugin = next(plugin for plugin in plugins.installed if plugin.name == "fine")
    assert (plugin.distribution, plugin.version) == ("dragoman-fine", "1.0")
    assert plugins.adapter("fine") is plugin.adapters[0] is plugins.scheme("fine")
    assert not _lines(plugins)


def test_two_plugins_with_one_adapter_name_are_both_refused(site: Path) -> None:
    """Which of the two was meant can't be known, so neither is taken, and the line names both."""
    install(site, "one", adapter="same")
    install(site, "two", adapter="same")
    plugins = load_plugins()
    problem = _the_problem(plugins)
    assert "'same' is claimed more than once, by dragoman-one 1.0 and by dragoman-two 1.0" in problem
    with pytest.raises(PluginError, match="claimed more than once"):
        plugins.adapter("same")
    _others_work(plugins)


def test_two_plugins_with_one_scheme_can_be_used_by_name(site: Path) -> None:
    """A scheme that two claim means neither; their names still do."""
    for name in ("one", "two"):
        install(site, name, code="@hookimpl\ndef dragoman_adapters():\n    return [adapter(schemes=('same',))]\n")
    plugins = load_plugins()
    assert "the URL scheme 'same' is claimed more than once" in _the_problem(plugins)
    assert plugins.adapter("one").name == "one"
    with pytest.raises(PluginError, match=r"dragoman-one 1\.0 and by dragoman-two 1\.0"):
        plugins.scheme("same")


BROKEN = {
    "misspelt hook": (
        "@hookimpl\ndef dragoman_adaptors():\n    return []\n",
        "'dragoman_adaptors' is no hook; expected 'dragoman_adapters'; did you mean 'dragoman_adapters'?",
    ),
    "hook without the mark": ("def dragoman_adapters():\n    return [adapter()]\n", "it registers nothing; expected"),
    "hook with arguments": (
        "@hookimpl\ndef dragoman_adapters(config):\n    return []\n",
        "registering it failed: PluginValidationError",
    ),
    "hook that raises": (
        "@hookimpl\ndef dragoman_adapters():\n    raise KeyError('x')\n",
        "registering it failed: KeyError: 'x'",
    ),
    "hook that returns no list": (
        "@hookimpl\ndef dragoman_adapters():\n    return 5\n",
        "registering it failed: TypeError",
    ),
    "missing import": ("import no_such_module_at_all\n", "failed: ModuleNotFoundError: No module named 'no_such_mod"),
    "syntax error": ("def (:\n", "failed: SyntaxError"),
    "exit on import": ("raise SystemExit(3)\n", "failed: SystemExit: 3"),
    "other contract": (
        "@hookimpl\ndef dragoman_adapters():\n    return [adapter(contract=CONTRACT + 1)]\n",
        f"was written for contract {CONTRACT + 1} of adapters, and this is {CONTRACT}",
    ),
    "no adapter type": (
        "@hookimpl\ndef dragoman_adapters():\n    return ['kafka']\n",
        "it registers 'str' where an AdapterType is expected",
    ),
    "no pydantic model": (
        "@hookimpl\ndef dragoman_adapters():\n    return [adapter(config=dict)]\n",
        "its adapter 'broken' has a config that is no pydantic model",
    ),
    "unknown capability": (
        "@hookimpl\ndef dragoman_adapters():\n    return [adapter(capabilities={'fly'})]\n",
        "its adapter 'broken' declares 'fly', which is no Capability",
    ),
    "no format": (
        "@hookimpl\ndef dragoman_adapters():\n    return [adapter(format='raw')]\n",
        "its adapter 'broken' has a format 'raw', which is no FormatSpec",
    ),
    "nothing to call": (
        "@hookimpl\ndef dragoman_adapters():\n    return [adapter(connect=None)]\n",
        "its adapter 'broken' has a connect that can't be called",
    ),
    "no name": (
        "@hookimpl\ndef dragoman_adapters():\n    return [adapter('')]\n",
        "its adapter '' has a name that is not made of",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_one_line_with_its_distribution(site: Path, case: str) -> None:
    """Whatever is wrong with a plugin, one line names its distribution, and the others work."""
    code, expected = BROKEN[case]
    install(site, "broken", code=code, version="2.5")
    plugins = load_plugins()
    problem = _the_problem(plugins)
    assert problem.startswith("plugin dragoman-broken 2.5: ")
    assert expected in problem
    _others_work(plugins)
    with pytest.raises(PluginError, match=r"plugin dragoman-broken 2\.5"):
        plugins.adapter("broken")


def test_of_a_plugin_with_one_flawed_adapter_the_others_work(site: Path) -> None:
    """A flaw costs the adapter that has it."""
    code = "@hookimpl\ndef dragoman_adapters():\n    return [adapter('good'), adapter('bad', contract=0)]\n"
    install(site, "pair", code=code)
    plugins = load_plugins()
    assert "its adapter 'bad' was written for contract 0" in _the_problem(plugins)
    assert plugins.adapter("good").name == "good"


@pytest.mark.parametrize("requirement", ["dragoman>=99", "Dragoman (<0.0.1)", "dragoman==0.0.1; python_version>'3'"])
def test_a_plugin_for_another_version_is_refused_before_it_is_imported(site: Path, requirement: str) -> None:
    """What a plugin does when it meets another version of the core is not found out by trying."""
    install(site, "newer", code="raise RuntimeError('imported')", requires=(requirement,))
    plugins = load_plugins()
    problem = _the_problem(plugins)
    assert problem.startswith("plugin dragoman-newer 1.0: it needs dragoman ")
    assert f"and this is {__version__}" in problem
    _others_work(plugins)


@pytest.mark.parametrize(
    "requirement",
    [
        f"dragoman=={__version__}",
        "dragoman",
        "dragoman>=99; extra == 'later'",
        "dragoman>=99; python_version < '3'",
        "dragoman-extras>=99",
        "dragomanic>=99",
    ],
)
def test_a_requirement_that_is_met_or_is_about_something_else_is_no_problem(site: Path, requirement: str) -> None:
    """Only the requirement on this distribution, in this environment, counts."""
    install(site, "newer", requires=(requirement,))
    plugins = load_plugins()
    assert not _lines(plugins)
    assert plugins.adapter("newer").name == "newer"


def test_a_requirement_that_can_not_be_read_is_one_line(site: Path) -> None:
    """Broken metadata is a flaw of that plugin only."""
    install(site, "odd", requires=("dragoman >= = 1",))
    assert "its requirement 'dragoman >= = 1' can't be read" in _the_problem(load_plugins())


def test_broken_metadata_names_the_folder(site: Path) -> None:
    """A half-removed distribution has no name left: its folder says where to look."""
    install(site, "half", code="import nothing_like_that")
    site.joinpath("dragoman_half-1.0.dist-info", "METADATA").unlink()
    assert "half" in _the_problem(load_plugins())


def test_an_unknown_adapter_names_what_is_there_and_what_to_install(site: Path) -> None:
    """The nearest name where there is one, the package where there is none."""
    plugins = load_plugins()
    with pytest.raises(PluginError) as near:
        plugins.adapter("fin")
    assert "did you mean 'fine'?" in str(near.value)
    with pytest.raises(PluginError) as far:
        plugins.adapter("pigeon")
    assert "pip install dragoman-pigeon" in str(far.value)
    assert "'fine'" in str(far.value)


def _client(**settings: Any) -> ClientConfig:
    return ClientConfig.model_validate(settings)


def test_the_adapter_is_found_by_name_or_by_scheme(site: Path) -> None:
    """`adapter` decides; without it the scheme of `url` does, in any case of letters."""
    plugins = load_plugins()
    for config in (_client(adapter="fine"), _client(url="fine://host"), _client(url="FINE://host")):
        adapter, settings = plugins.resolve("orders", config)
        assert adapter.name == "fine"
        assert type(settings) is adapter.config


def _problems(plugins: Plugins, **settings: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        plugins.resolve("orders", _client(**settings))
    return {problem.key: str(problem) for problem in caught.value.problems}


def test_mistakes_in_settings_come_all_at_once_with_their_keys(site: Path) -> None:
    """Every setting that the adapter's model refuses is named, with what it expects."""
    found = _problems(load_plugins(), adapter="fine", acks="al", linger=-1, lingre=1, url=7)
    assert found == {
        "clients.orders.acks": "clients.orders.acks: is 'al'; expected 'all' or 'leader'; did you mean 'all'?",
        "clients.orders.linger": "clients.orders.linger: is -1; expected at least 0",
        "clients.orders.lingre": (
            "clients.orders.lingre: is no key that is known here; expected one of 'acks', 'certificates', 'linger',"
            " 'password', 'url'; did you mean 'linger'?"
        ),
        "clients.orders.url": "clients.orders.url: is a whole number; expected text",
    }


@pytest.mark.parametrize(
    ("settings", "key", "expected"),
    [
        ({}, "adapter", "is missing, and so is `url`"),
        ({"url": "localhost"}, "url", "has no scheme"),
        ({"url": "pigeon://x"}, "url", "there is no adapter for URLs that begin with 'pigeon'"),
        ({"url": "fin://x"}, "url", "did you mean 'fine'?"),
        ({"url": 5}, "url", "has no scheme"),
        ({"adapter": "fin"}, "adapter", "did you mean 'fine'?"),
    ],
)
def test_a_client_without_an_adapter_is_told_what_to_write(
    site: Path, settings: dict[str, Any], key: str, expected: str
) -> None:
    """The key that is to be mended is the one that is named."""
    assert expected in _problems(load_plugins(), **settings)[f"clients.orders.{key}"]


def test_a_broken_plugin_s_adapter_says_why(site: Path) -> None:
    """Who configures an adapter whose plugin failed is told of the failure, not that it is unknown."""
    install(site, "broken", code="import no_such_module_at_all")
    text = _problems(load_plugins(), adapter="broken")["clients.orders.adapter"]
    assert "plugin dragoman-broken 1.0: importing 'dragoman_broken' failed: ModuleNotFoundError" in text


def test_a_validator_that_fails_by_itself_is_a_problem(site: Path) -> None:
    """A flaw in a plugin's own checks ends in a line, not in a traceback."""
    code = """
    class Odd(Settings):
        @field_validator("acks")
        @classmethod
        def _odd(cls, value):
            raise KeyError(value)

    @hookimpl
    def dragoman_adapters():
        return [adapter(config=Odd)]
    """
    install(site, "odd", code=code)
    text = _problems(load_plugins(), adapter="odd", acks="all")["clients.orders"]
    assert "adapter 'odd' failed to check its settings: KeyError" in text


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "fine://user:s3cr3t/x@host!"},
        {"url": "fine://user:s3cr3t@host!"},
        {"url": "fine://host!", "password": ["s3cr3t"]},
        {"password": {"s3cr3t": "s3cr3t"}},
    ],
)
def test_a_secret_is_not_in_an_error(site: Path, settings: dict[str, Any]) -> None:
    """Neither a password in a URL nor the value of a secret setting is printed."""
    assert "s3cr3t" not in "".join(_problems(load_plugins(), adapter="fine", **settings).values())


def test_paths_in_settings_begin_in_the_folder_of_the_file(site: Path, tmp_path: Path) -> None:
    """A relative path means the same whatever folder the command is run in."""
    plugins = load_plugins()
    config = _client(adapter="fine", certificates="certs").from_file(tmp_path, {})
    _, settings = plugins.resolve("orders", config)
    assert settings.model_dump()["certificates"] == tmp_path / "certs"
    absolute = _client(adapter="fine", certificates="/etc/certs").from_file(tmp_path, {})
    assert plugins.resolve("orders", absolute)[1].model_dump()["certificates"] == Path("/etc/certs")


def test_plugins_are_loaded_anew_each_time(site: Path) -> None:
    """There is no module-level manager: what is installed later is found later."""
    assert "late" not in load_plugins().adapters
    install(site, "late")
    importlib.invalidate_caches()
    assert "late" in load_plugins().adapters
