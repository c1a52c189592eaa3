"""IAM is of no Region (IAM User Guide, "Resilience in AWS Identity and Access Management"): a session that was issued in one is good
in the other, and may there what its role may.

With PEER_GATEWAY (host and port of the emulator that plays the other Region) a session is told there as soon as it is issued, with
its role, by a thread that tries until it is heard: the other one may be starting, or be frozen.

Not played: roles as such (both stacks make their own), managed policies, users and their keys.
"""

import json
import os
import queue
import threading
import time
import urllib.request

from ministack.core.iam_evaluator import _role_name_from_assumed_arn
from ministack.core.responses import get_region
from ministack.services import iam, sts

from taught.replacing import wrap

PEER = os.environ.get("PEER_GATEWAY", "")
_PATIENCE_SECONDS = 1.0
_AGAIN_SECONDS = 0.1

_untold: queue.Queue[dict] = queue.Queue()
# Roles that are another Region's: what it says of them replaces what it said before.
_theirs: set[tuple[str, str]] = set()


def teach() -> None:
    if not PEER:
        return
    wrap(sts, "register_session", _telling)
    threading.Thread(target=_tell, name="identities", daemon=True).start()


def _telling(original):
    def register(access_key, session):
        original(access_key, session)
        arn = str(session.get("Arn", ""))
        account, name = arn.split(":")[4] if arn.count(":") >= 5 else "", _role_name_from_assumed_arn(arn)
        role = iam._roles.get_scoped(account, None, name)
        line = {"kind": "identity", "account": account, "to": get_region(), "name": name, "role": role}
        # As it is now: what becomes of it here later is not told.
        _untold.put(json.loads(json.dumps({**line, "key": access_key, "session": session}, default=str)))

    return register


def _tell() -> None:
    while True:
        body = json.dumps([_untold.get()]).encode()
        while not _is_heard(body):
            time.sleep(_AGAIN_SECONDS)


def _is_heard(body: bytes) -> bool:
    request = urllib.request.Request(f"http://{PEER}/_regions/take", data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS) as answer:
            return answer.status == 200
    except OSError:
        return False


def take(line: dict) -> str:
    """What another Region has issued is good here."""
    key = (line["account"], line["name"])
    if line["role"] is not None and (key in _theirs or not iam._roles.contains_scoped(key[0], None, key[1])):
        _theirs.add(key)
        iam._roles.set_scoped(key[0], None, key[1], line["role"])
    sts._sessions[line["key"]] = line["session"]
    return "taken"
