"""DynamoDB: the condition key `dynamodb:LeadingKeys`.

It holds the values of the partition key that a request names; a policy asks it with ForAllValues, as one request may name
several (DynamoDB Developer Guide, "Using IAM policy conditions for fine-grained access control"). Of a request to an index
it is the index's partition key, the only one that such a request names; were it not, AWS would refuse more than is refused
here, and not less, where the policy asks for Null too. A request that names none, such as Scan, has no such key. ForAllValues holds for a key that is not there
(IAM User Guide, "Set operators"), which is why a policy asks Null as well; the emulator knows both operators.

PartiQL has actions of its own (`dynamodb:PartiQLSelect` and so on); what its statements name is not read here, so that a
policy which grants them under this condition would be refused.
"""

import json

from ministack.core import iam_actions
from ministack.services import dynamodb

from taught.replacing import wrap

_IN_BATCH = {"PutRequest": "Item", "DeleteRequest": "Key"}
_IN_TRANSACTION = {"Put": "Item", "Update": "Key", "Delete": "Key", "Get": "Key", "ConditionCheck": "Key"}


def teach() -> None:
    wrap(iam_actions, "dynamodb_service_context", _knowing_leading_keys)


def _knowing_leading_keys(original):
    def context(body):
        known = original(body)
        try:
            request = json.loads(body or b"{}")
        except (json.JSONDecodeError, TypeError, UnicodeDecodeError):
            return known
        keys = _leading_keys(request) if isinstance(request, dict) else []
        # An absent key, not an empty one: that is how AWS evaluates a request that names no partition.
        return {**known, "dynamodb:LeadingKeys": keys} if keys else known

    return context


def _leading_keys(request: dict) -> list[str]:
    """Every partition that the request names, each once."""
    table, index = request.get("TableName"), request.get("IndexName")
    found = [_of_item(table, request.get(member)) for member in ("Key", "Item")]
    found.append(_of_query(table, index, request))
    for name, asked in (request.get("RequestItems") or {}).items():
        if isinstance(asked, dict):
            found.extend(_of_item(name, key) for key in asked.get("Keys") or [])
        else:
            parts = ((write[kind], part) for write in asked for kind, part in _IN_BATCH.items() if kind in write)
            found.extend(_of_item(name, write.get(part)) for write, part in parts)
    for step in request.get("TransactItems") or []:
        parts = ((step[kind], part) for kind, part in _IN_TRANSACTION.items() if kind in step)
        found.extend(_of_item(one.get("TableName"), one.get(part)) for one, part in parts)
    return list(dict.fromkeys(key for key in found if key is not None))


def _partition_key(table: str | None, index: str | None) -> str | None:
    """The attribute by which the table, or one of its indexes, is partitioned."""
    # A table may be named by its ARN.
    described = dynamodb._tables.get((table or "").rpartition("table/")[2])
    if described is None:
        return None
    schema = described["KeySchema"]
    if index:
        indexes = (described.get("GlobalSecondaryIndexes") or []) + (described.get("LocalSecondaryIndexes") or [])
        schema = next((one["KeySchema"] for one in indexes if one["IndexName"] == index), [])
    return next((key["AttributeName"] for key in schema if key["KeyType"] == "HASH"), None)


def _of_item(table: str | None, item) -> str | None:
    attribute = _partition_key(table, None)
    return _text(item.get(attribute)) if isinstance(item, dict) and attribute else None


def _of_query(table: str | None, index: str | None, request: dict) -> str | None:
    """What the key condition says the partition key equals: a query names one partition and no more."""
    attribute = _partition_key(table, index)
    if attribute is None:
        return None
    legacy = (request.get("KeyConditions") or {}).get(attribute)
    if legacy:
        return _text(next(iter(legacy.get("AttributeValueList") or []), None))
    names, values = request.get("ExpressionAttributeNames") or {}, request.get("ExpressionAttributeValues") or {}
    words = (request.get("KeyConditionExpression") or "").replace("=", " = ").replace("(", " ").replace(")", " ").split()
    for left, operator, right in zip(words, words[1:], words[2:]):
        if operator != "=":
            continue
        for name, value in ((left, right), (right, left)):
            if names.get(name, name) == attribute and value in values:
                return _text(values[value])
    return None


def _text(value) -> str | None:
    """A string, number or binary as a policy's text compares with it."""
    return str(next(iter(value.values()))) if isinstance(value, dict) and value else None
