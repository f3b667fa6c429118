"""`${NAME}` and `${NAME:-default}` in the strings of a configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dragoman.config.keys import KeyPath, dotted
from dragoman.errors import Problem, nearest

# `$${` is a literal `${`; what begins like a variable and is none is a mistake, caught by the last branch.
_VARIABLE: Final = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\}|(?P<broken>\$\{)")


@dataclass(slots=True)
class Environment:
    """The variables, and what came of using them.

    Attributes:
        variables: names and values.
        used: the values that went into the configuration, and how to write each without giving it away.
        problems: variables that are not set, and such that are not well written.
    """

    variables: Mapping[str, str]
    used: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def expand(self, value: Any, path: KeyPath = ()) -> Any:
        """A copy of the value, tables and arrays included, with the variables in its strings replaced."""
        if isinstance(value, dict):
            return {key: self.expand(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, str):
            return _VARIABLE.sub(lambda match: self._replace(match, path), value)
        return value

    def _replace(self, match: re.Match[str], path: KeyPath) -> str:
        if match["broken"]:
            self._problem(
                path, "a `${` that begins no variable", expected="${NAME} or ${NAME:-default}; $${ for itself"
            )
        if not (name := match["name"]):
            return "${"
        value = self.variables.get(name, "")
        if value:
            self.used[value] = f"${{{name}}}"
            return value
        if match["default"] is not None:
            return str(match["default"])
        if name not in self.variables:
            closest = nearest(name, self.variables)
            hint = f"set it, or write ${{{name}:-default}}"
            self._problem(path, f"the environment variable {name} is not set", closest=closest, hint=hint)
        return ""

    def _problem(
        self,
        path: KeyPath,
        what: str,
        *,
        expected: str | None = None,
        closest: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.problems.append(Problem("", dotted(path), what, expected, closest, hint))
