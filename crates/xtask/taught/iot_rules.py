"""IoT rules: the `kinesis` action, and CASE in the SQL.

The action (IoT Developer Guide, "Kinesis Data Streams"): a message goes to `streamName` by PutRecord, under `partitionKey`,
a substitution template that is evaluated on the original message, with the permissions of the role `roleArn`, which IoT has
to be allowed to assume (same guide, "Granting an AWS IoT rule the access it requires"). A call that fails is an action that failed: the rule's error action gets it (same guide, "Error handling (error action)").

CASE (same guide, "Case statements"): `CASE v WHEN t THEN r … ELSE e END`; the first `t` that equals `v` gives the result,
without one it is that of ELSE, without ELSE Undefined; an Undefined `v` gives Undefined.

Not played: a CASE within a CASE.
"""

import base64
import contextvars
import json
import re

from ministack.core.responses import request_scope
from ministack.services import iot, kinesis

from taught import service_role
from taught.replacing import wrap

_TEMPLATE = re.compile(r"\$\{([^}]*)\}")
_MARKS = ("CASE", "WHEN", "THEN", "ELSE", "END")
_LITERALS = {"true": True, "false": False, "null": None}

# Topic, payload and client of the message whose actions run now: what substitution templates speak of.
_message: contextvars.ContextVar[tuple[str, bytes, str | None]] = contextvars.ContextVar("rule_message")


class ActionFailed(Exception):
    """What the error action is told."""


def teach() -> None:
    wrap(iot, "_eval_select_expr", _knowing_case)
    wrap(iot, "_run_rule_actions", _keeping_the_message)
    wrap(iot, "_dispatch_rule_action", _knowing_kinesis)
    iot._RULE_ACTION_RESOURCE_KEYS["kinesis"] = ("streamName",)


# ---- The action ----------------------------------------------------------------------------------------------------


def _keeping_the_message(original):
    async def run(account_id, region, rule, payload, topic="", client_id=None):
        token = _message.set((topic, payload or b"", client_id))
        try:
            await original(account_id, region, rule, payload, topic, client_id)
        finally:
            _message.reset(token)

    return run


def _knowing_kinesis(original):
    async def dispatch(account_id, region, rule_name, action, event):
        if "kinesis" in action:
            _put_record(account_id, region, action["kinesis"] or {}, event)
        else:
            await original(account_id, region, rule_name, action, event)

    return dispatch


def _put_record(account_id: str, region: str, spec: dict, event) -> None:
    stream = spec.get("streamName") or ""
    arn = f"arn:aws:kinesis:{region}:{account_id}:stream/{stream}"
    try:
        with request_scope(account_id, region):
            service_role.ask("IoT", "iot.amazonaws.com", spec.get("roleArn") or "", "kinesis:PutRecord", arn)
    except service_role.NotAllowed as why:
        raise ActionFailed(str(why)) from None
    body = event if isinstance(event, str) else json.dumps(event, separators=(",", ":"), ensure_ascii=False)
    record = {
        "StreamName": stream,
        "PartitionKey": _filled_in(spec.get("partitionKey") or ""),
        "Data": base64.b64encode(body.encode("utf-8")).decode("ascii"),
    }
    with request_scope(account_id, region):
        status, _headers, answer = kinesis._put_record(record)
    if status != 200:
        raise ActionFailed(f"PutRecord to {stream} failed: {answer!r}")


def _filled_in(template: str) -> str:
    topic, payload, client_id = _message.get()
    message = iot._rule_message(payload)

    def value(match: re.Match) -> str:
        found = iot._eval_select_expr(match.group(1), topic, payload, message, client_id)
        if found is iot._MISSING:
            raise ActionFailed(f"{match.group(0)} is undefined")
        return found if isinstance(found, str) else json.dumps(found)

    return _TEMPLATE.sub(value, template)


# ---- CASE ----------------------------------------------------------------------------------------------------------


def _knowing_case(original):
    def evaluated(expr, topic, payload, message, client_id=None):
        parts = _parts_of_case(expr.strip())
        if parts is None:
            return original(expr, topic, payload, message, client_id)

        def value(text):
            if text.lower() in _LITERALS:
                return _LITERALS[text.lower()]
            return original(text, topic, payload, message, client_id)

        subject, branches, otherwise = parts
        matched = value(subject)
        if matched is iot._MISSING:
            return iot._MISSING
        for test, result in branches:
            if iot._where_values_equal(matched, value(test)):
                return value(result)
        return iot._MISSING if otherwise is None else value(otherwise)

    return evaluated


def _parts_of_case(expr: str) -> tuple[str, list[tuple[str, str]], str | None] | None:
    """`(v, [(t, r), …], e)`, or None for what is no CASE."""
    if not iot._is_keyword_at(expr, 0, "CASE"):
        return None
    tops = iot._top_level_indices(expr) or []
    marks = [(at, mark) for at in tops for mark in _MARKS if iot._is_keyword_at(expr, at, mark)]
    ends = [at for at, _ in marks[1:]] + [len(expr)]
    pieces = [(mark, expr[at + len(mark) : end].strip()) for (at, mark), end in zip(marks, ends)]
    kinds = " ".join(mark for mark, _ in pieces)
    if not re.fullmatch(r"CASE( WHEN THEN)+( ELSE)? END", kinds):
        return None
    texts = [text for _, text in pieces[:-1]]
    otherwise = texts.pop() if pieces[-2][0] == "ELSE" else None
    return texts[0], list(zip(texts[1::2], texts[2::2])), otherwise
