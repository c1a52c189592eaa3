"""A pair of Regions, each played by an emulator of its own: what has to go to the other one, and what comes from there.

With PEER_REGIONS (names, separated by commas: Regions that other processes play) a write to a global table that has a
replica there, and an object that a replication rule copies to a bucket that is not here, are put into an outbox with the
time of the write. Who carries them (tests/src/link.rs) asks for the outbox, and hands over in the other emulator what it
took, as late as it likes. Without PEER_REGIONS nothing is changed.

Global tables (DynamoDB Developer Guide, "How DynamoDB global tables work"): a replica is made with the table, has a stream
of its own, in which what came by replication is found like any other write; of two writes the later wins, in whatever
order they come; each item goes by itself. CloudFormation's `Replicas`, which the emulator passes over, count.

CloudFormation's `ReplicationConfiguration` of a bucket, which the emulator passes over as well, counts too.

S3 (User Guide, "Getting replication status information"): an object is PENDING until its copy is there, then COMPLETED, or
FAILED where there is no bucket with versions to take it. A copy is a REPLICA, keeps the time of its source, and is not
copied again.

Not played: deletions of objects (the templates replicate none), changes of tags or ACLs after the write, time to live of a
replica that CloudFormation made.
"""

import asyncio
import contextvars
import copy
import json
import os
import threading
import time
import uuid
from collections import defaultdict
from urllib.parse import parse_qs

from ministack import app
from ministack.core.responses import get_account_id, get_region, new_uuid, request_scope
from ministack.services import dynamodb, s3
from ministack.services.cloudformation import provisioners

from taught import identities
from taught.replacing import wrap

PEERS = [name for name in os.environ.get("PEER_REGIONS", "").split(",") if name]
# How long a question waits for an answer that is not empty, and how often that is looked at.
_PATIENCE_SECONDS = 0.5
_LOOK_SECONDS = 0.005
# Most lines of an answer.
_LINES_MAX = 500

_guard = threading.RLock()
# Another process than before has another outbox.
_outbox_id = uuid.uuid4().hex
_outbox: list[dict] = []
_taken = 0
_clock_us = 0
# When the item, or the object, that is here was written, and where: the later wins.
_written: dict[tuple, tuple[int, str]] = {}
# Set while an object arrives: `(time, place of the write, its last modification)`.
_arriving: contextvars.ContextVar[tuple[int, str, str] | None] = contextvars.ContextVar("arriving", default=None)


def teach() -> None:
    if not PEERS:
        return
    wrap(dynamodb, "_replicate_write", _telling_of_items)
    wrap(dynamodb, "_create_replica", _telling_of_tables)
    handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::GlobalTable"]
    handlers["create"] = _with_replicas(handlers["create"], lambda args: args[1])
    handlers["update"] = _with_replicas(handlers["update"], lambda args: args[2])
    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    handlers["create"] = _with_copies(handlers["create"], lambda args: args[1])
    handlers["update"] = _with_copies(handlers["update"], lambda args: args[2])
    wrap(s3, "_maybe_replicate", _telling_of_objects)
    wrap(s3, "_put_object", _knowing_copies)
    wrap(app, "app", _answering)


def _now() -> int:
    """Microseconds, and never twice the same."""
    global _clock_us
    with _guard:
        _clock_us = max(time.time_ns() // 1000, _clock_us + 1)
        return _clock_us


def _tell(**line) -> None:
    with _guard:
        _outbox.append(line)


# ---- Tables --------------------------------------------------------------------------------------------------------


def _item_key(table: dict, item: dict) -> tuple[str, str]:
    sort_key = table["sk_name"]
    return (
        dynamodb._extract_key_val(item.get(table["pk_name"])),
        dynamodb._extract_key_val(item.get(sort_key)) if sort_key else "__no_sort__",
    )


def _telling_of_items(original):
    def replicate(table, event_name, old_item, new_item):
        peers = [region for region in dynamodb._replica_group(table) if region in PEERS]
        if not peers:
            return original(table, event_name, old_item, new_item)
        # A write that changes nothing is none.
        if event_name == "MODIFY" and old_item == new_item:
            return None
        account, here, name = get_account_id(), get_region(), table["TableName"]
        with _guard:
            at = _now()
            pk, sk = _item_key(table, new_item if new_item is not None else old_item)
            _written[(account, name, pk, sk)] = (at, here)
            for region in peers:
                change = {"pk": pk, "sk": sk, "image": copy.deepcopy(new_item)}
                _tell(kind="item", account=account, table=name, to=region, by=here, at=at, **change)
        return None

    return replicate


def _telling_of_tables(original):
    def create(name, table, region):
        if region not in PEERS:
            return original(name, table, region)
        account, here = get_account_id(), get_region()
        apart = ("items", dynamodb._INDEX_MEMBERS)
        form = json.loads(json.dumps({key: value for key, value in table.items() if key not in apart}))
        _tell(kind="table", account=account, table=name, to=region, by=here, at=_now(), form=form)
        for pk, items in table["items"].items():
            for sk, item in items.items():
                at, by = _written.get((account, name, pk, sk), (_now(), here))
                change = {"pk": pk, "sk": sk, "image": copy.deepcopy(item)}
                _tell(kind="item", account=account, table=name, to=region, by=by, at=at, **change)
        return None

    return create


def _with_replicas(original, properties):
    def provision(*args):
        made = original(*args)
        name = made[0] if isinstance(made, tuple) else made
        table = dynamodb._tables.get(name)
        wanted = {replica["Region"] for replica in properties(args).get("Replicas") or []} & set(PEERS)
        missing = sorted(wanted - set(dynamodb._replica_group(table)))
        if missing:
            updates = [{"Create": {"RegionName": region}} for region in missing]
            if (refusal := dynamodb._apply_replica_updates(name, table, updates)) is not None:
                raise ValueError(f"replicas of {name}: {refusal[2]!r}")
            # Members of the group that other processes have are not found here.
            table["_global_regions"] = sorted({get_region(), *wanted})
        return made

    return provision


def _take_table(line: dict) -> str:
    name, region = line["table"], line["to"]
    if dynamodb._tables.get(name) is not None:
        return "taken"
    arn, label = f"arn:aws:dynamodb:{region}:{line['account']}:table/{name}", dynamodb._stream_label()
    table = {**line["form"], "items": defaultdict(dict), "ItemCount": 0, "TableSizeBytes": 0}
    table.update({
        "TableArn": arn, "TableId": new_uuid(), "CreationDateTime": int(time.time()), "TableStatus": "ACTIVE",
        "LatestStreamLabel": label, "LatestStreamArn": f"{arn}/stream/{label}",
        "_global_regions": sorted({region, line["by"]}),
    })
    dynamodb._tables[name] = table
    return "delivered"


def _take_item(line: dict) -> str:
    name, image = line["table"], line["image"]
    table = dynamodb._tables.get(name)
    if table is None:
        return "no such table"
    pk, sk = line["pk"], line["sk"]
    key, when = (line["account"], name, pk, sk), (line["at"], line["by"])
    with _guard:
        if _written.get(key, (0, "")) >= when:
            return "overtaken"
        _written[key] = when
        previous = copy.deepcopy(table["items"].get(pk, {}).get(sk))
        if image is None:
            if previous is not None:
                dynamodb._remove_item(table, pk, sk)
                dynamodb._emit_stream_event(name, "REMOVE", previous, None, replicate=False)
        else:
            dynamodb._set_item(table, pk, sk, copy.deepcopy(image))
            event = "INSERT" if previous is None else "MODIFY"
            dynamodb._emit_stream_event(name, event, previous, copy.deepcopy(image), replicate=False)
    return "delivered"


# ---- Objects -------------------------------------------------------------------------------------------------------


def _with_copies(original, properties):
    def provision(*args):
        made = original(*args)
        name = made[0] if isinstance(made, tuple) else made
        if (copied := properties(args).get("ReplicationConfiguration")) is not None:
            s3._bucket_replication[name] = copied
        else:
            s3._bucket_replication.pop(name, None)
        return made

    return provision


def _telling_of_objects(original):
    def replicate(bucket_name, key, obj, data, tags=None):
        arrived = _arriving.get()
        if arrived is not None:
            at, by, modified = arrived
            obj["replication_status"], obj["last_modified"] = "REPLICA", modified
            _written[(bucket_name, key)] = (at, by)
            return None
        at, here = _now(), get_region()
        _written[(bucket_name, key)] = (at, here)
        rule, _role = s3._replication_rule_for(bucket_name, key, tags)
        copied_to = ((rule or {}).get("Destination") or {}).get("Bucket", "").rpartition(":")[2]
        if rule is None or s3._bucket_owner_account(copied_to) is not None:
            return original(bucket_name, key, obj, data, tags)
        obj["replication_status"] = "PENDING"
        what = {"bucket": bucket_name, "key": key, "tag": obj["etag"], "modified": obj["last_modified"]}
        _tell(kind="object", account=get_account_id(), to=copied_to, by=here, at=at, **what)
        return None

    return replicate


def _knowing_copies(original):
    def put(bucket_name, key, body, headers):
        said = headers.get("x-taught-copy")
        if said is None:
            return original(bucket_name, key, body, headers)
        at, by, modified = said.split(" ", 2)
        if s3._bucket_versioning.get(bucket_name) != "Enabled":
            return s3._error("InvalidRequest", "The bucket keeps no versions, so it takes no copies", 400)
        if _written.get((bucket_name, key), (0, "")) >= (int(at), by):
            return 200, {"x-taught-overtaken": "true", "Content-Length": "0"}, b""
        token = _arriving.set((int(at), by, modified))
        try:
            return original(bucket_name, key, body, headers)
        finally:
            _arriving.reset(token)

    return put


def _mark(line: dict) -> str:
    """What has become of an object's copy."""
    bucket, key = line["bucket"], line["key"]
    now = (s3._buckets.get(bucket) or {"objects": {}})["objects"].get(key)
    for record in [now, *(s3._object_versions.get((bucket, key)) or [])]:
        if record is not None and record.get("etag") == line["tag"]:
            record["replication_status"] = line["status"]
    return "marked"


# ---- Those who carry -----------------------------------------------------------------------------------------------


def _answering(original):
    async def serve(scope, receive, send):
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith("/_regions/"):
            await original(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if path == "/_regions/outbox":
            asked = parse_qs(scope.get("query_string", b"").decode())
            # A dash before the name: one who knows none yet has none to say.
            answer = await _outbox_after(int(asked["after"][0]), asked["id"][0].removeprefix("-"))
        elif path == "/_regions/end":
            with _guard:
                answer = {"id": _outbox_id, "end": _taken + len(_outbox)}
        else:
            answer = [_taken_in(line) for line in json.loads(body)]
        text = json.dumps(answer).encode()
        head = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": text})

    return serve


async def _outbox_after(after: int, known_id: str) -> dict:
    """The lines after so many of the outbox of that name; those are forgotten. One who knows another one begins anew."""
    global _taken
    after = after if known_id == _outbox_id else 0
    for _ in range(int(_PATIENCE_SECONDS / _LOOK_SECONDS)):
        with _guard:
            gone = max(0, after - _taken)
            del _outbox[:gone]
            _taken += gone
            if _outbox:
                return {"id": _outbox_id, "first": _taken, "lines": _outbox[:_LINES_MAX]}
        await asyncio.sleep(_LOOK_SECONDS)
    return {"id": _outbox_id, "first": _taken, "lines": []}


def _taken_in(line: dict) -> str:
    take = {"table": _take_table, "item": _take_item, "mark": _mark, "identity": identities.take}[line["kind"]]
    with request_scope(line["account"], line["to"]):
        return take(line)
