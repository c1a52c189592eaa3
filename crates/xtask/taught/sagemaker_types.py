"""SageMaker's types in templates: a model, an endpoint configuration, an endpoint (CloudFormation Template Reference).

Ref is the ARN, and an attribute has the name. Where the template gives none it is the logical one with letters behind it
(go-to-k/cdk-real-drift #1527 shows such an ARN). Everything of a model or of a configuration but its tags makes another one, which
comes before the former goes; an endpoint stays, and goes over to another configuration. CloudFormation waits for it to be in service.

Not played: what of the former variants an endpoint keeps.
"""

import random
import string
import time

from ministack.services.cloudformation import provisioners, stacks

from taught import constraints
from taught.constraints import Refused
from taught.replacing import wrap
from taught.sagemaker import ACTIONS, ENDPOINT, KINDS, SERVICE, SETTLING_SECONDS, Kind, is_busy, of_arn, set_tags, tags_of


def teach() -> None:
    wrap(stacks, "_runs_on_worker_thread", lambda original: lambda kind: kind == _type(ENDPOINT) or original(kind))
    for kind in KINDS:
        provisioners._RESOURCE_HANDLERS[_type(kind)] = _handlers(kind)
        properties = constraints.members(SERVICE, f"Create{kind.name}") - {"Tags"}
        provisioners._REPLACING_PROPERTIES[_type(kind)] = tuple(properties - _changing(kind))
        provisioners._STACK_TAG_PROPERTY[_type(kind)] = ("Tags", "list")


def _type(kind: Kind) -> str:
    return f"AWS::SageMaker::{kind.name}"


def _changing(kind: Kind) -> set[str]:
    """Properties that are changed where they are, besides tags."""
    return constraints.members(SERVICE, "UpdateEndpoint") - {"EndpointName"} if kind is ENDPOINT else set()


def _handlers(kind: Kind) -> dict:
    name_property = f"{kind.name}Name"

    def create(logical_id, properties, _stack_name):
        letters = "".join(random.choices(string.ascii_letters + string.digits, k=12))
        name = properties.get(name_property) or f"{logical_id[:50]}-{letters}"
        arn = _done(f"Create{kind.name}", {**properties, name_property: name})[f"{kind.name}Arn"]
        try:
            _settle(kind, name)
        except ValueError:
            delete(arn, properties)
            raise
        return arn, {name_property: name}

    def update(physical_id, old, new, _stack_name):
        name = of_arn(physical_id)[1]
        if any(old.get(one) != new.get(one) for one in _changing(kind)):
            _done("UpdateEndpoint", {**new, "EndpointName": name})
            _settle(kind, name)
        record = kind.found(name)
        # Tags of others stay.
        kept = {key: value for key, value in tags_of(record).items() if key not in tags_of(old)}
        set_tags(record, {**kept, **tags_of(new)})
        return physical_id, {name_property: name}

    def delete(physical_id, _properties):
        name = of_arn(physical_id)[1]
        # Gone already is as good as deleted.
        if name in kind.all:
            _done(f"Delete{kind.name}", {name_property: name})

    return {"create": create, "update": update, "delete": delete}


def _done(action: str, request: dict) -> dict:
    """The action by CloudFormation, whose own permissions the emulator does not ask about."""
    try:
        return ACTIONS[action](constraints.checked(SERVICE, action, request))
    except Refused as refused:
        raise ValueError(f"{refused} (Service: SageMaker, Status Code: 400)") from None


def _settle(kind: Kind, name: str) -> None:
    """Waits until nothing is being done with an endpoint. One that has failed, or is back at what it was, is a failure."""
    if kind is not ENDPOINT:
        return
    endpoint = ENDPOINT.found(name)
    while is_busy(endpoint):
        time.sleep(SETTLING_SECONDS / 4)
    if endpoint["_failure"]:
        raise ValueError(endpoint["_failure"])
