"""Requests held to what the SDK's own description of a service says of them: what is to be there, of which type, how long, how
large, of which pattern, one of which words.

A request that is not so is a ValidationException that tells all that is wrong with it, in the words of AWS
(aws/amazon-sagemaker-examples #2228 quotes one), and one with a value of another type a SerializationException.
"""

import functools
import re

from ministack.core import iam_actions

_TYPES = {
    "structure": dict, "map": dict, "list": list, "string": str, "boolean": bool,
    "integer": int, "long": int, "float": (int, float), "double": (int, float), "timestamp": (int, float),
}


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, message: str, code: str = "ValidationException"):
        super().__init__(message)
        self.code = code


@functools.cache
def _described(service: str) -> dict:
    return iam_actions._load_botocore_model(service)


def shape(service: str, name: str) -> dict:
    return _described(service)["shapes"][name]


def members(service: str, action: str) -> set[str]:
    """What a request for the action may have."""
    return set(_input(service, action)["members"])


def _input(service: str, action: str) -> dict:
    return shape(service, _described(service)["operations"][action]["input"]["shape"])


def checked(service: str, action: str, request) -> dict:
    """The request without what the action does not know, if it keeps to all constraints."""
    found = list(_violations(service, _input(service, action), request, ""))
    if found:
        errors = "error" if len(found) == 1 else "errors"
        raise Refused(f"{len(found)} validation {errors} detected: {'; '.join(found)}")
    known = members(service, action)
    return {name: value for name, value in request.items() if name in known and value is not None}


def _violations(service: str, of: dict, value, at: str):
    kind = of["type"]
    if not isinstance(value, _TYPES[kind]) or isinstance(value, bool) != (kind == "boolean"):
        raise Refused(f"{at or 'The request'} is to be a {kind}", "SerializationException")
    said = f"Value '{value}' at '{at}' failed to satisfy constraint: Member must"
    if kind == "structure":
        for name, member in of["members"].items():
            path = f"{at}.{name[0].lower()}{name[1:]}".lstrip(".")
            if value.get(name) is not None:
                yield from _violations(service, shape(service, member["shape"]), value[name], path)
            elif name in of.get("required", ()):
                yield f"Value null at '{path}' failed to satisfy constraint: Member must not be null"
    elif kind in ("list", "map", "string"):
        if len(value) < of.get("min", 0):
            yield f"{said} have length greater than or equal to {of['min']}"
        if len(value) > of.get("max", len(value)):
            yield f"{said} have length less than or equal to {of['max']}"
        within = enumerate(value, 1) if kind == "list" else value.items() if kind == "map" else ()
        for name, member in within:
            inner = shape(service, of["member" if kind == "list" else "value"]["shape"])
            yield from _violations(service, inner, member, f"{at}.{name}.member")
        pattern = of.get("pattern", "")
        # Classes of Unicode, which are in those of tags, are not known to this interpreter.
        if pattern and r"\p{" not in pattern and not re.fullmatch(pattern, value):
            yield f"{said} satisfy regular expression pattern: {pattern}"
        if value not in of.get("enum", (value,)):
            yield f"{said} satisfy enum value set: [{', '.join(of['enum'])}]"
    elif value < of.get("min", value):
        yield f"{said} have value greater than or equal to {of['min']}"
    elif value > of.get("max", value):
        yield f"{said} have value less than or equal to {of['max']}"
