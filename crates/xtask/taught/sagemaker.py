"""SageMaker: models, endpoint configurations and endpoints, which the emulator does not have. Their types in templates are a
lesson of their own.

Requests are held to their constraints (see constraints.py). What is not there, or there already, is a ValidationException,
whatever kind of thing it is; so it is where CreateModel finds no data or no image, which have to be in the Region of the model
(Amazon SageMaker API Reference, `ContainerDefinition`). The words are those that users quote
in aws/amazon-sagemaker-examples #2236, #2264, #2339 and #4479 and in aws-samples/easy-amazon-sagemaker-deployments #4.

An endpoint is Creating, or Updating, for a moment in which nobody else changes it, and then InService. One whose role does not get
at image or data has failed, with a reason (aws/sagemaker-python-sdk #1835); an update that fails leaves what was there. An
update wants the configuration that is left to be there still (hashicorp/terraform-provider-aws #40048).

Policies (Service Authorization Reference, "Actions, resources, and condition keys for Amazon SageMaker AI"): what is named is
asked about, lists name nothing, an endpoint is made of two things, and who makes a model passes its role on. The tags of what is
there are `aws:ResourceTag`.

Not played: what an endpoint answers, training, transform, registries and multi-model containers; policies of repositories; how
long deletion takes.
"""

import base64
import copy
import itertools
import json
import re
import time
from typing import NamedTuple

from ministack import app
from ministack.core import iam_actions
from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.iam_evaluator import enforce
from ministack.core.responses import (
    AccountRegionScopedDict,
    error_response_json,
    get_account_id,
    get_region,
    json_response,
    new_uuid,
    request_scope,
)
from ministack.core.router import SERVICE_PATTERNS, extract_access_key_id
from ministack.services import ecr, s3, tagging

from taught import constraints, service_role
from taught.constraints import Refused
from taught.replacing import wrap

_JSON = "application/x-amz-json-1.1"
SERVICE = "sagemaker"
# How long an endpoint is Creating or Updating.
SETTLING_SECONDS = 0.2
_PAGE = 10
_ECR_IMAGE = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com/([^:@]+)(?:@(sha256:[0-9a-f]{64})|:([^@]+))?")
_PULLING = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


class Kind(NamedTuple):
    """A kind of thing: what it is called in actions, in words and in ARNs, and all that there are."""

    name: str
    noun: str
    resource: str
    all: AccountRegionScopedDict

    def arn(self, name: str) -> str:
        return f"arn:aws:{SERVICE}:{get_region()}:{get_account_id()}:{self.resource}/{name}"

    def found(self, name: str) -> dict:
        found = self.all.get(name)
        if found is None:
            raise Refused(f'Could not find {self.noun} "{self.arn(name)}".')
        return found


MODEL = Kind("Model", "model", "model", AccountRegionScopedDict())
CONFIG = Kind("EndpointConfig", "endpoint configuration", "endpoint-config", AccountRegionScopedDict())
ENDPOINT = Kind("Endpoint", "endpoint", "endpoint", AccountRegionScopedDict())
KINDS = (MODEL, CONFIG, ENDPOINT)
_made = itertools.count(1)


class Denied(Exception):
    """What a policy does not let the caller do, besides the action itself."""

    def __init__(self, action: str, resource: str, found):
        super().__init__(action)
        self.action, self.resource, self.found = action, resource, found


def teach() -> None:
    SERVICE_PATTERNS[SERVICE] = {"target_prefixes": ["SageMaker."]}
    app.SERVICE_HANDLERS[SERVICE] = _answer
    iam_actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    wrap(iam_actions, "extract_resource_arn", _knowing_names)
    tagging._RESOURCE_TAG_COLLECTORS[SERVICE] = _all_tags


# ---- Requests ------------------------------------------------------------------------------------------------------


async def _answer(_method, _path, headers, body, query_params):
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    act = ACTIONS.get(action)
    try:
        if act is None:
            raise Refused(f"{action} is not played", "UnknownOperationException")
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            raise Refused("The request is no JSON", "SerializationException") from None
        request = constraints.checked(SERVICE, action, request)
        if app.AUTH:
            _ask_more(action, request, extract_access_key_id(headers, query_params))
        answer = act(request)
    except Refused as refused:
        return error_response_json(refused.code, str(refused), 400, content_type=_JSON)
    except Denied as denied:
        return iam_actions.access_denied_response(
            SERVICE, denied.action, denied.found.principal_arn, new_uuid(), headers=headers,
            resource_arn=denied.resource, explicit_deny=denied.found.decision == "Deny",
        )
    return json_response(answer, content_type=_JSON)


# ---- Policies ------------------------------------------------------------------------------------------------------


def _knowing_names(original):
    def resource(service, method, path, headers, body, query_params, region, account_id):
        if service != SERVICE:
            return original(service, method, path, headers, body, query_params, region, account_id)
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action.endswith("Tags"):
            return iam_actions._safe_json_field(body, "ResourceArn") or "*"
        kind = next((kind for kind in KINDS if re.fullmatch(f"(Create|Delete|Describe|Update){kind.name}", action)), None)
        name = iam_actions._safe_json_field(body, f"{kind.name}Name") if kind else ""
        return f"arn:aws:{SERVICE}:{region}:{account_id}:{kind.resource}/{name}" if name else "*"

    return resource


def _all_tags():
    """What `aws:ResourceTag` is read from: all that there is, with its tags."""
    return [(one[f"{kind.name}Arn"], one.get("Tags") or []) for kind in KINDS for one in kind.all.values()]


def _ask_more(action: str, request: dict, access_key: str) -> None:
    """What an action needs besides itself on what it is about."""
    asked = []
    if action in ("CreateEndpoint", "UpdateEndpoint"):
        asked.append((f"{SERVICE}:{action}", CONFIG.arn(request["EndpointConfigName"]), {}))
    if action == "CreateModel" and (role := request.get("ExecutionRoleArn")):
        asked.append(("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"}))
    for needed, resource, keys in asked:
        found = enforce(access_key, needed, SERVICE, get_region(), resource_arn=resource, service_context=keys)
        if found is not None:
            raise Denied(needed, resource, found)


def _may(role_arn: str, action: str, resource: str) -> bool:
    """Whether SageMaker may do this with the role."""
    try:
        service_role.ask("SageMaker", "sagemaker.amazonaws.com", role_arn, action, resource)
    except service_role.NotAllowed:
        return False
    return True


# ---- All kinds -----------------------------------------------------------------------------------------------------


def _make(kind: Kind, request: dict) -> dict:
    name = request[f"{kind.name}Name"]
    if name in kind.all:
        raise Refused(f'Cannot create already existing {kind.noun} "{kind.arn(name)}".')
    made = {**copy.deepcopy(request), f"{kind.name}Arn": kind.arn(name), "CreationTime": time.time()}
    # Of two things made at once, one is later.
    made["_made"] = next(_made)
    kind.all[name] = made
    return made


def _shown(record: dict) -> dict:
    return {name: copy.deepcopy(value) for name, value in record.items() if name != "Tags" and not name.startswith("_")}


def _delete(kind: Kind):
    def delete(request):
        kind.found(request[f"{kind.name}Name"])
        del kind.all[request[f"{kind.name}Name"]]
        return {}

    return delete


def _list(kind: Kind):
    def listed(request):
        is_ascending = request.get("SortOrder", "Descending") == "Ascending"
        sort_by = request.get("SortBy", "CreationTime")

        def place(record):
            name = record[f"{kind.name}Name"]
            return [{"Name": name, "CreationTime": record["_made"]}.get(sort_by) or _status(record), name]

        def is_wanted(record):
            modified = record.get("LastModifiedTime", record["CreationTime"])
            return (
                request.get("NameContains", "").lower() in record[f"{kind.name}Name"].lower()
                and record["CreationTime"] < request.get("CreationTimeBefore", float("inf"))
                and record["CreationTime"] > request.get("CreationTimeAfter", 0)
                and modified < request.get("LastModifiedTimeBefore", float("inf"))
                and modified > request.get("LastModifiedTimeAfter", 0)
                and ("StatusEquals" not in request or request["StatusEquals"] == _status(record))
            )

        found = sorted(filter(is_wanted, kind.all.values()), key=place, reverse=not is_ascending)
        # By place and not by number: what is deleted between two pages hides nothing.
        if token := request.get("NextToken"):
            last = _unpacked(token)
            found = [one for one in found if (place(one) > last if is_ascending else place(one) < last)]
        page = found[: request.get("MaxResults", _PAGE)]
        names = constraints.shape(SERVICE, f"{kind.name}Summary")["members"]
        summaries = [{name: value for name, value in _said_of(kind, one).items() if name in names} for one in page]
        answer = {f"{kind.name}s": summaries}
        if len(found) > len(page):
            answer["NextToken"] = base64.urlsafe_b64encode(json.dumps(place(page[-1])).encode()).decode()
        return answer

    return listed


def _unpacked(token: str) -> list:
    try:
        return json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise Refused("Invalid NextToken") from None


def _said_of(kind: Kind, record: dict) -> dict:
    return _of_endpoint(record) if kind is ENDPOINT else _shown(record)


def _describe(kind: Kind):
    return lambda request: _said_of(kind, kind.found(request[f"{kind.name}Name"]))


def of_arn(arn: str) -> tuple[Kind | None, str]:
    try:
        parts = parse_arn(arn)
    except ArnParseError:
        return None, ""
    resource, _, name = parts.resource.partition("/")
    kind = next((kind for kind in KINDS if kind.resource == resource), None)
    return (kind, name) if parts.service == SERVICE else (None, "")


def _tagged(request: dict) -> dict:
    kind, name = of_arn(request["ResourceArn"])
    if kind is None or kind.arn(name) != request["ResourceArn"]:
        raise Refused(f"Could not find resource \"{request['ResourceArn']}\".")
    return kind.found(name)


def tags_of(record: dict) -> dict:
    return {tag["Key"]: tag["Value"] for tag in record.get("Tags") or []}


def set_tags(record: dict, tags: dict) -> list:
    record["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    return record["Tags"]


def _add_tags(request):
    record = _tagged(request)
    return {"Tags": set_tags(record, {**tags_of(record), **tags_of(request)})}


def _list_tags(request):
    return {"Tags": copy.deepcopy(_tagged(request).get("Tags") or [])}


def _delete_tags(request):
    record = _tagged(request)
    set_tags(record, {key: value for key, value in tags_of(record).items() if key not in request["TagKeys"]})
    return {}


# ---- Models --------------------------------------------------------------------------------------------------------


def _create_model(request):
    if ("PrimaryContainer" in request) == ("Containers" in request):
        raise Refused("A model has either a PrimaryContainer or Containers.")
    if request["ModelName"] not in MODEL.all:
        for container in _containers(request):
            _find_image(container.get("Image", ""))
            for uri, is_prefix in _data(container):
                _find_data(uri, is_prefix, request.get("ExecutionRoleArn", ""))
    request = {"EnableNetworkIsolation": False, **request}
    return {"ModelArn": _make(MODEL, request)["ModelArn"]}


def _containers(model: dict) -> list[dict]:
    return model.get("Containers") or [model["PrimaryContainer"]]


def _find_image(image: str) -> tuple[str, str]:
    """The repository, and the image with its digest."""
    parts = _ECR_IMAGE.fullmatch(image)
    if parts is None:
        raise Refused(f'Using non-ECR image "{image}" without Vpc repository access mode is not supported.')
    account, region, repository, digest, tag = parts.groups()
    if digest is None and tag is None:
        raise Refused(f'ECR image "{image}" is invalid.')
    with request_scope(account, region):
        found = ecr._find_image(repository, {"imageDigest": digest, "imageTag": tag})
    if found is None or region != get_region():
        raise Refused(f"Requested image {image} not found.")
    at = f"{account}.dkr.ecr.{region}.amazonaws.com/{repository}@{found['imageDigest']}"
    return f"arn:aws:ecr:{region}:{account}:repository/{repository}", at


def _data(container: dict) -> list[tuple[str, bool]]:
    """Where the data of a model are, and whether that is what their keys begin with."""
    found = [(container["ModelDataUrl"], False)] if container.get("ModelDataUrl") else []
    if source := (container.get("ModelDataSource") or {}).get("S3DataSource"):
        found.append((source["S3Uri"], source["S3DataType"] == "S3Prefix"))
    return found


def _find_data(uri: str, is_prefix: bool, role: str) -> None:
    bucket, _, key = uri.partition("://")[2].partition("/")
    found = s3._buckets.get(bucket)
    keys = (found or {"objects": {}})["objects"]
    if found is None or s3.bucket_region(bucket) != get_region() or not _may(role, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}"):
        raise Refused(
            f'Could not access model data at {uri}. Please ensure that the role "{role}" exists and that its trust relationship '
            'policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". Also ensure that the '
            f'role has "s3:GetObject" permissions and that the object is located in {get_region()}.'
        )
    if not any(one.startswith(key) for one in keys) if is_prefix else key not in keys:
        raise Refused(f"Could not find model data at {uri}.")


# ---- Endpoint configurations ---------------------------------------------------------------------------------------


def _create_config(request):
    variants = [{"InitialVariantWeight": 1.0, **variant} for variant in request["ProductionVariants"]]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) != len(names):
        raise Refused("The names of production variants are to differ.")
    for variant in variants:
        if ("ServerlessConfig" in variant) == ("InstanceType" in variant):
            raise Refused(f"Variant {variant['VariantName']} has either an InstanceType or a ServerlessConfig.")
        if "ModelName" in variant:
            MODEL.found(variant["ModelName"])
    return {"EndpointConfigArn": _make(CONFIG, {**request, "ProductionVariants": variants})["EndpointConfigArn"]}


# ---- Endpoints -----------------------------------------------------------------------------------------------------


def _create_endpoint(request):
    config = CONFIG.found(request["EndpointConfigName"])
    made = _make(ENDPOINT, request)
    made.update(_phase="Creating", _is_back=False, LastModifiedTime=time.time(), **_deployed(config))
    return {"EndpointArn": made["EndpointArn"]}


def _update_endpoint(request):
    endpoint = _still(request["EndpointName"])
    # All that can be done with one that has failed is to delete it (same reference, `DescribeEndpoint`).
    if _status(endpoint) == "Failed":
        raise Refused(f'Cannot update failed endpoint "{endpoint["EndpointArn"]}".')
    CONFIG.found(endpoint["EndpointConfigName"])
    changed = _deployed(CONFIG.found(request["EndpointConfigName"]))
    if changed["_failure"]:
        changed.update(_variants=endpoint["_variants"], _is_back=True)
    else:
        changed.update(EndpointConfigName=request["EndpointConfigName"], _is_back=False)
    endpoint.update(_phase="Updating", LastModifiedTime=time.time(), **changed)
    return {"EndpointArn": endpoint["EndpointArn"]}


def _delete_endpoint(request):
    _still(request["EndpointName"])
    return _delete(ENDPOINT)(request)


def _still(name: str) -> dict:
    """The endpoint, if nothing is being done with it."""
    endpoint = ENDPOINT.found(name)
    if is_busy(endpoint):
        raise Refused(f'Cannot update in-progress endpoint "{endpoint["EndpointArn"]}".')
    return endpoint


def _deployed(config: dict) -> dict:
    """What comes of a configuration: its variants, or why there are none."""
    variants = []
    for variant in config["ProductionVariants"]:
        try:
            images = _images_of(variant)
        except Refused as refused:
            return {"_variants": [], "_failure": str(refused)}
        count, weight = variant.get("InitialInstanceCount", 1), variant["InitialVariantWeight"]
        variants.append({
            "VariantName": variant["VariantName"], "DeployedImages": images,
            "CurrentInstanceCount": count, "DesiredInstanceCount": count,
            "CurrentWeight": weight, "DesiredWeight": weight,
        })
    return {"_variants": variants, "_failure": None}


def _images_of(variant: dict) -> list[dict]:
    if "ModelName" not in variant:
        return []
    model = MODEL.found(variant["ModelName"])
    role, images = model.get("ExecutionRoleArn", ""), []
    for container in _containers(model):
        said = (
            f"Please make sure all images included in the model for the production variant {variant['VariantName']} exist, and that "
            "the execution role used to create the model has permissions to access them."
        )
        try:
            repository, resolved = _find_image(container.get("Image", ""))
        except Refused:
            raise Refused(said) from None
        if not _may(role, "ecr:GetAuthorizationToken", "*") or not all(_may(role, one, repository) for one in _PULLING):
            raise Refused(said)
        for uri, is_prefix in _data(container):
            _find_data(uri, is_prefix, role)
        images.append({"SpecifiedImage": container["Image"], "ResolvedImage": resolved, "ResolutionTime": time.time()})
    return images


def is_busy(endpoint: dict) -> bool:
    return time.time() < endpoint["LastModifiedTime"] + SETTLING_SECONDS


def _status(endpoint: dict) -> str:
    if is_busy(endpoint):
        return endpoint["_phase"]
    return "Failed" if endpoint["_failure"] and not endpoint["_is_back"] else "InService"


def _of_endpoint(endpoint: dict) -> dict:
    status = _status(endpoint)
    answer = {**_shown(endpoint), "EndpointStatus": status}
    if endpoint["_failure"] and not is_busy(endpoint):
        answer["FailureReason"] = endpoint["_failure"]
    if status == "InService":
        answer["ProductionVariants"] = copy.deepcopy(endpoint["_variants"])
    return answer


ACTIONS = {
    "CreateModel": _create_model,
    "CreateEndpointConfig": _create_config,
    "CreateEndpoint": _create_endpoint,
    "UpdateEndpoint": _update_endpoint,
    "DeleteModel": _delete(MODEL),
    "DeleteEndpointConfig": _delete(CONFIG),
    "DeleteEndpoint": _delete_endpoint,
    **{f"Describe{kind.name}": _describe(kind) for kind in KINDS},
    **{f"List{kind.name}s": _list(kind) for kind in KINDS},
    "AddTags": _add_tags,
    "ListTags": _list_tags,
    "DeleteTags": _delete_tags,
}
