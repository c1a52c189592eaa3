"""What a service does with a role that it was handed, such as SageMaker with a model's: the role has to trust it, and to grant what
is done. Asked where policies are enforced, as the emulator's own checks are.
"""

import json

from ministack import app
from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.iam_evaluator import (
    EvalContext,
    _conditions_met,
    _gather_role_policies,
    _service_principal_matches,
    evaluate,
)
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam


class NotAllowed(Exception):
    """Says what is not."""


def ask(name: str, principal: str, role_arn: str, action: str, resource: str) -> None:
    """Whether the service of this name may do this with the role, for the request's account."""
    if not app.AUTH:
        return
    try:
        role = parse_arn(role_arn).resource.rpartition("/")[2]
    except ArnParseError:
        raise NotAllowed(f"{role_arn!r} is no role") from None
    account = get_account_id()
    asked = EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=get_region(),
        # Services speak TLS with each other.
        secure_transport=True,
        service_context={"aws:sourceaccount": account},
    )
    if not _may_assume(account, role, principal, asked):
        raise NotAllowed(f"{name} may not assume {role_arn}")
    if evaluate(asked, _gather_role_policies(role, account)).decision != "Allow":
        raise NotAllowed(f"{role_arn} may not {action} on {resource}")


def _may_assume(account: str, role: str, principal: str, asked: EvalContext) -> bool:
    trust = (iam._roles.get_scoped(account, None, role) or {}).get("AssumeRolePolicyDocument") or {}
    statements = (json.loads(trust) if isinstance(trust, str) else trust).get("Statement") or []
    return any(
        one["Effect"] == "Allow"
        and _service_principal_matches(one.get("Principal"), principal)
        and _conditions_met(one.get("Condition") or {}, asked)
        for one in ([statements] if isinstance(statements, dict) else statements)
    )
