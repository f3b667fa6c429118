"""The JSON Schema of a configuration file, with the settings of the installed plugins in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import core_schema

from dragoman.adapter import AdapterType
from dragoman.config.model import ClientConfig, Config
from dragoman.plugins import Plugins

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REF: Final = "#/$defs/{model}"
#: Any value may be a variable instead, or text with variables in it.
_VARIABLE: Final = {"type": "string", "pattern": r"\$\{"}
_NARROWER_THAN_TEXT: Final = ("pattern", "enum", "const", "format", "minLength", "maxLength")


def schema(plugins: Plugins) -> dict[str, Any]:
    """The schema, in JSON Schema 2020-12: what `load` accepts, as far as a schema can tell, is valid in it."""
    found = Config.model_json_schema(schema_generator=_Generator)
    definitions = found["$defs"]
    own = definitions.pop("ClientConfig")["properties"]
    names = {kind.name: f"client.{kind.name}" for kind in plugins.adapters.values()}
    for kind in plugins.adapters.values():
        settings = kind.config.model_json_schema(schema_generator=_Generator, ref_template=_ref(kind))
        definitions |= {f"{names[kind.name]}.{name}": value for name, value in settings.pop("$defs", {}).items()}
        definitions[names[kind.name]] = _client(kind, plugins, settings, own["wait"])
    definitions["client"] = {
        "type": "object",
        "description": _documentation(ClientConfig),
        "oneOf": [{"$ref": _REF.format(model=name)} for name in names.values()] or [{}],
    }
    for table, item in (("clients", "client"), ("handlers", "HandlerConfig")):
        _named(found["properties"][table], item)
    return {"$schema": _DIALECT, **found, "title": "dragoman.toml"}


class _Generator(GenerateJsonSchema):
    """Pydantic's, but for what TOML and variables make different: there is no null, and text may stand for anything."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        found = super().default_schema(schema)
        if found.get("default", ...) is None:
            del found["default"]
        return found

    def generate(self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation") -> dict[str, Any]:
        found: dict[str, Any] = _with_variables(super().generate(schema, mode))
        return found


def _with_variables(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_variables(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if not _takes_no_variable(schema):
        return {
            key: value if key in ("default", "examples", "enum", "const", "required") else _each(key, value)
            for key, value in schema.items()
        }
    about = {key: schema[key] for key in ("title", "description", "default", "deprecated") if key in schema}
    rest = {key: value for key, value in schema.items() if key not in about}
    return {**about, "anyOf": [rest, _VARIABLE]}


def _each(key: str, value: Any) -> Any:
    if key in ("properties", "$defs", "patternProperties"):
        return {name: _with_variables(item) for name, item in value.items()}
    return _with_variables(value)


def _takes_no_variable(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    narrow = kind == "string" and any(key in schema for key in _NARROWER_THAN_TEXT)
    return (
        narrow or kind in ("integer", "number", "boolean") or (kind is None and bool({"enum", "const"} & set(schema)))
    )


def _ref(kind: AdapterType) -> str:
    return f"#/$defs/client.{kind.name}.{{model}}"


def _client(kind: AdapterType, plugins: Plugins, settings: dict[str, Any], wait: dict[str, Any]) -> dict[str, Any]:
    properties = settings.get("properties", {})
    adapter = {"const": kind.name, "description": f"the plugin: {_documentation(kind.config)}"}
    by_name: dict[str, Any] = {"required": ["adapter"]}
    schemes = [scheme for scheme, owner in plugins.schemes.items() if owner is kind]
    pattern = f"^({'|'.join(map(_any_case, schemes))}):"
    by_scheme = {"required": ["url"], "properties": {"url": {"pattern": pattern}}, "not": {"required": ["adapter"]}}
    return {
        **settings,
        "title": f"{kind.name} client",
        "properties": {"adapter": adapter, **properties, "wait": wait},
        "anyOf": [by_name, by_scheme] if schemes else [by_name],
    }


def _any_case(scheme: str) -> str:
    # ECMA 262 has no flag for it inside a pattern.
    return "".join(
        f"[{letter.lower()}{letter.upper()}]" if letter.isalpha() else letter.replace(".", r"\.").replace("+", r"\+")
        for letter in scheme
    )


def _named(table: dict[str, Any], item: str) -> None:
    ((pattern, _),) = table.pop("patternProperties").items()
    table["patternProperties"] = {pattern: {"$ref": _REF.format(model=item)}}
    table["additionalProperties"] = False


def _documentation(model: type) -> str:
    return (model.__doc__ or "").strip().partition("\n\n")[0]
