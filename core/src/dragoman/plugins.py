"""Finds the installed plugins and checks them. A broken one never stands in the way of the others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any, Final

import pluggy
from pydantic import BaseModel, ValidationError

from dragoman import hookspecs
from dragoman.adapter import CONTRACT, AdapterType, Capability
from dragoman.config.keys import dotted
from dragoman.config.model import ClientConfig
from dragoman.config.paths import beside
from dragoman.config.problems import one_of, problems_of
from dragoman.config.secrets import mask, passwords, secret_settings
from dragoman.errors import ConfigError, PluginError, Problem, nearest
from dragoman.message import FormatSpec
from dragoman.version import __version__

_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_ADAPTER: Final = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point, and what it registered.

    Attributes:
        name: of the entry point.
        distribution: the package that it is installed with.
        version: of the distribution.
        adapters: those that can be used.
    """

    name: str
    distribution: str
    version: str
    adapters: tuple[AdapterType, ...]

    def __str__(self) -> str:
        """The distribution and its version."""
        return f"{self.distribution} {self.version}"


class Plugins:
    """The plugins that were found.

    Attributes:
        installed: those that can be used, in the order of their names.
        adapters: theirs, by name. A name that two of them claim is not here.
        schemes: the adapter that a URL's scheme means.
        problems: why others, or parts of them, can't be used.
    """

    def __init__(self, installed: Sequence[Plugin], problems: Sequence[PluginError] = ()) -> None:
        names = _Claims("the adapter", [(kind.name, plugin, kind) for plugin in installed for kind in plugin.adapters])
        of_schemes = [
            (scheme.lower(), plugin, kind)
            for plugin in installed
            for kind in plugin.adapters
            if kind.name in names.granted
            for scheme in kind.schemes
        ]
        schemes = _Claims("the URL scheme", of_schemes)
        self.installed = tuple(installed)
        self.adapters: Mapping[str, AdapterType] = names.granted
        self.schemes: Mapping[str, AdapterType] = schemes.granted
        self.problems: Sequence[PluginError] = (*problems, *names.problems, *schemes.problems)

    def adapter(self, name: str) -> AdapterType:
        """The adapter of that name.

        Raises:
            PluginError: there is none; or its plugin can't be used, and why.
        """
        if name in self.adapters:
            return self.adapters[name]
        for problem in self.problems:
            if name in problem.adapters:
                raise problem
        raise self._none("adapter", name, self.adapters)

    def scheme(self, name: str) -> AdapterType:
        """The adapter that a URL's scheme means.

        Raises:
            PluginError: there is none; or its plugin can't be used, and why.
        """
        if name in self.schemes:
            return self.schemes[name]
        for problem in self.problems:
            if name in problem.adapters:
                raise problem
        raise self._none("adapter for URLs that begin with", name, self.schemes)

    def resolve(self, client_name: str, config: ClientConfig) -> tuple[AdapterType, BaseModel]:
        """The adapter that a client's configuration means, and its validated settings.

        The adapter's model is given `{"folder": Path}` as its validation context; a relative `Path` in the settings is
        made absolute against that folder.

        Raises:
            ConfigError: there is no such adapter, or there are mistakes in its settings: all of them.
        """
        adapter = self._adapter_of(client_name, config)
        return adapter, _settings(client_name, config, adapter)

    def _adapter_of(self, client_name: str, config: ClientConfig) -> AdapterType:
        url = config.settings.get("url")
        match = _SCHEME.match(url) if isinstance(url, str) else None
        key = "url" if config.adapter is None and url is not None else "adapter"
        try:
            if config.adapter is not None:
                return self.adapter(config.adapter)
            if match:
                return self.scheme(match[1].lower())
        except PluginError as error:
            what = f"{error.where}: {error.what}" if error.where else error.what
            problem = Problem("", _key(client_name, key), what, error.expected, error.nearest, error.hint)
        else:
            what = "has no scheme that says which adapter it means" if key == "url" else "is missing, and so is `url`"
            expected = one_of(self.adapters) if self.adapters else None
            problem = Problem("", _key(client_name, key), what, expected, hint="`adapter` names the plugin")
        raise ConfigError([problem])

    def _none(self, what: str, name: str, known: Mapping[str, AdapterType]) -> PluginError:
        package = name if _ADAPTER.fullmatch(name) else "NAME"
        closest = nearest(name, known)
        return PluginError(
            f"there is no {what} {name!r}",
            expected=f"{one_of(known)}, which are installed" if known else None,
            nearest=closest,
            hint=None if closest else f"a plugin may have it: pip install dragoman-{package}",
        )


def load_plugins() -> Plugins:
    """Find every plugin that is installed, through the entry points of the group `dragoman`.

    Imports the plugins, and blocks while it does. What is wrong with one is in `Plugins.problems`; nothing is raised.
    """
    installed: list[Plugin] = []
    problems: list[PluginError] = []
    for entry in sorted(entry_points(group=hookspecs.PROJECT), key=lambda entry: (entry.name, entry.value)):
        try:
            plugin, wrong = _plugin(entry)
        except PluginError as error:
            problems.append(error)
        else:
            installed.append(plugin)
            problems += wrong
    return Plugins(installed, problems)


class _Claims:
    """Gives each name to the one who claims it; to nobody where there are two, for either could be meant."""

    def __init__(self, what: str, claims: Sequence[tuple[str, Plugin, AdapterType]]) -> None:
        by_name: dict[str, list[tuple[Plugin, AdapterType]]] = {}
        for name, plugin, kind in claims:
            by_name.setdefault(name, []).append((plugin, kind))
        self.granted = {name: found[0][1] for name, found in by_name.items() if len(found) == 1}
        self.problems = [
            PluginError(
                f"{what} {name!r} is claimed more than once, by {' and by '.join(str(plugin) for plugin, _ in found)}",
                hint=f"uninstall all but one of them, for example with pip uninstall {found[-1][0].distribution}",
                adapters=[name],
            )
            for name, found in by_name.items()
            if len(found) > 1
        ]


def _plugin(entry: EntryPoint) -> tuple[Plugin, list[PluginError]]:
    where = _where(entry)
    _check_requirement(entry, where)
    module = _import(entry, where)
    kinds = _registered(entry, module, where)
    flaws = [(kind, _flaw(kind)) for kind in kinds]
    problems = [
        PluginError(flaw, where=where, adapters={entry.name, str(getattr(kind, "name", ""))})
        for kind, flaw in flaws
        if flaw
    ]
    good = tuple(kind for kind, flaw in flaws if not flaw)
    return Plugin(entry.name, _name(entry.dist), _version(entry.dist), good), problems


def _where(entry: EntryPoint) -> str:
    return f"plugin {_name(entry.dist)} {_version(entry.dist)}".strip()


def _name(distribution: Distribution | None) -> str:
    # A broken dist-info folder has no metadata: nothing to name but the folder.
    found = distribution and distribution.metadata["Name"]
    return found or str(getattr(distribution, "_path", "of an unknown distribution"))


def _version(distribution: Distribution | None) -> str:
    return str((distribution and distribution.metadata["Version"]) or "")


def _check_requirement(entry: EntryPoint, where: str) -> None:
    for text in (entry.dist.requires or ()) if entry.dist else ():
        if not re.match(rf"{hookspecs.PROJECT}\b(?!-|\.|_)", text, re.IGNORECASE):
            continue
        specifier, applies = _requirement(text, where, entry.name)
        if applies and not specifier.contains(__version__, prereleases=True):
            raise PluginError(
                f"it needs {hookspecs.PROJECT} {specifier}, and this is {__version__}",
                where=where,
                hint=f"pip install --upgrade {hookspecs.PROJECT} {_name(entry.dist)}",
                adapters=[entry.name],
            )


def _requirement(text: str, where: str, name: str) -> tuple[Any, bool]:
    # Takes a while to import, and only plugins from elsewhere have requirements.
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise PluginError(f"its requirement {text!r} can't be read", where=where, adapters=[name]) from None
    return requirement.specifier, requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _import(entry: EntryPoint, where: str) -> Any:
    try:
        return entry.load()
    except (Exception, SystemExit) as error:
        what = f"importing {entry.value!r} failed: {type(error).__name__}: {error}"
        raise PluginError(what, where=where, adapters=[entry.name]) from error


def _registered(entry: EntryPoint, module: Any, where: str) -> Sequence[Any]:
    # A manager for each plugin: then whatever pluggy says is about this one.
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, entry.name)
        _check_hooks(manager, module)
        lists = manager.hook.dragoman_adapters()
        return [kind for found in lists for kind in found]
    except PluginError as error:
        raise PluginError(
            error.what, where=where, expected=error.expected, nearest=error.nearest, adapters=[entry.name]
        ) from None
    except Exception as error:
        what = f"registering it failed: {type(error).__name__}: {error}"
        raise PluginError(what, where=where, adapters=[entry.name]) from error


def _check_hooks(manager: pluggy.PluginManager, module: Any) -> None:
    known = [name for name in vars(hookspecs) if name.startswith(f"{hookspecs.PROJECT}_")]
    callers = manager.get_hookcallers(module) or []
    for name in (caller.name for caller in callers if not caller.has_spec()):
        raise PluginError(f"{name!r} is no hook", expected=one_of(known), nearest=nearest(name, known))
    if not callers:
        raise PluginError("it registers nothing", expected=f"a function {one_of(known)}, marked with @hookimpl")


def _flaw(kind: Any) -> str | None:
    """What is wrong with a registered adapter, or None."""
    if not isinstance(kind, AdapterType):
        return f"it registers {type(kind).__name__!r} where an AdapterType is expected"
    if kind.contract != CONTRACT:
        return (
            f"its adapter {kind.name!r} was written for contract {kind.contract!r} of adapters, and this is {CONTRACT}"
        )
    return next((f"its adapter {kind.name!r} {flaw}" for flaw in _flaws_of_fields(kind)), None)


def _flaws_of_fields(kind: AdapterType) -> Iterator[str]:
    # The types say so; a plugin that was not checked with mypy may differ.
    values: dict[str, Any] = {name: getattr(kind, name) for name in AdapterType.__slots__}
    if not (isinstance(values["name"], str) and _ADAPTER.fullmatch(values["name"])):
        yield "has a name that is not made of small letters, digits and hyphens"
    if not isinstance(values["format"], FormatSpec):
        yield f"has a format {values['format']!r}, which is no FormatSpec"
    if not (isinstance(values["config"], type) and issubclass(values["config"], BaseModel)):
        yield "has a config that is no pydantic model"
    elif taken := sorted({"adapter", "wait"} & values["config"].model_fields.keys()):
        yield f"has a setting {taken[0]!r}, which every client has already"
    if unknown := [name for name in values["capabilities"] if not isinstance(name, Capability)]:
        yield f"declares {unknown[0]!r}, which is no Capability"
    if not callable(values["connect"]):
        yield "has a connect that can't be called"


def _settings(client_name: str, config: ClientConfig, adapter: AdapterType) -> BaseModel:
    settings, prefix = config.settings, ("clients", client_name)
    secrets = passwords(settings) | secret_settings(adapter.config, settings) | config.secrets
    try:
        found = adapter.config.model_validate(settings, context={"folder": config.folder})
        return beside(found, config.folder)
    except ValidationError as error:
        problems = problems_of(error, adapter.config, settings, prefix)
    except Exception as error:  # noqa: BLE001 - a flaw in a plugin's validator must not end the host in a traceback
        what = f"adapter {adapter.name!r} failed to check its settings: {type(error).__name__}: {error}"
        problems = [Problem("", dotted(prefix), what, hint="a flaw in that plugin: tell its authors")]
    raise ConfigError([_masked(problem, secrets) for problem in problems])


def _masked(problem: Problem, secrets: Mapping[str, str]) -> Problem:
    expected = problem.expected and mask(problem.expected, secrets)
    return replace(problem, what=mask(problem.what, secrets), expected=expected)


def _key(client_name: str, key: str) -> str:
    return dotted(("clients", client_name, key))
