"""What happens to a template before LocalStack's CloudFormation sees it.

LocalStack checks references before it transforms, so a template that names what SAM will make is
refused. Templates with this transform are therefore processed before, by the translator and in the
child process that the embedded engine uses too. Conditions are decided before as well: of one that
changes with an update, LocalStack resolves what the old side names, and refuses it.

LocalStack also reports CREATE_COMPLETE for types that it cannot make (its own switch against this
knows no type without a download). A template with such a type is refused by name.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from localstack.aws import handlers
from localstack.aws.api import CommonServiceException
from localstack.aws.connect import connect_to
from localstack.services.cloudformation.api_utils import extract_template_body
from localstack.services.cloudformation.models import get_cloudformation_store
from localstack.services.cloudformation.resource_provider import ResourceProviderExecutor
from localstack.services.cloudformation.v2.provider import find_stack_v2

from socketstack.errors import ServiceError
from socketstack.localstack.host import Host
from socketstack.services.cfn.conditions import StackFacts, can_decide, decided
from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.cfn.parameters import choose
from socketstack.services.cfn.sam import Translator
from socketstack.services.cfn.template import BODY_MAX_BYTES, SERVERLESS, parse, transforms
from socketstack.services.cfn.values import text

_DEPLOYING: Final = frozenset({"CreateChangeSet", "CreateStack", "UpdateStack"})
_ACCOUNT: Final = "000000000000"
_BUCKET: Final = "socketstack-processed-templates"


def install(host: Host) -> None:
    """Process the templates of all calls from now on."""
    handlers.serve_custom_service_request_handlers.append(_Transform(host))


class _Transform:
    """A handler of LocalStack's chain; it changes the parsed request."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._translator = Translator()

    def __call__(self, _chain: object, context: Any, _response: object) -> None:
        """Replace a template that has the transform; refuse one that cannot be processed."""
        if not context.operation or context.service.service_name != "cloudformation":
            return
        request = context.service_request
        if context.operation.name in _DEPLOYING and _has_template(request):
            self._process(context, request)

    def _process(self, context: Any, request: dict[str, Any]) -> None:
        try:
            written = document = parse(extract_template_body(request))
            previous = _previous_parameters(context, request.get("StackName"))
            chosen = choose(document, request.get("Parameters") or [], previous)
            if SERVERLESS in transforms(document):
                document = self._host.run(
                    self._translator.processed(document, chosen, context.region)
                )
            if can_decide(document):
                pseudo = _pseudo_parameters(context, request["StackName"])
                document = decided(StackFacts(document=document, parameters=chosen, pseudo=pseudo))
            _check_types(document)
            if document is not written:
                _replace(request, json.dumps(document, separators=(",", ":")))
        except ServiceError as refused:
            raise CommonServiceException(
                "ValidationError", refused.message, status_code=400, sender_fault=True
            ) from refused


def _has_template(request: Mapping[str, Any]) -> bool:
    return bool(request.get("TemplateBody") or request.get("TemplateURL"))


def _check_types(document: Mapping[str, Any]) -> None:
    """Refuse resources that nobody would make. Raises ``InvalidTemplate``."""
    resources = document.get("Resources")
    named = resources.values() if isinstance(resources, dict) else ()
    types = {str(one.get("Type")) for one in named if isinstance(one, dict)}
    strange = sorted(
        name for name in types if ResourceProviderExecutor.try_load_resource_provider(name) is None
    )
    if strange:
        raise InvalidTemplate(
            f"Resource types that LocalStack cannot make: {', '.join(strange)}. It would report "
            "them as complete. Take them out of the template, for example by a condition."
        )


def _pseudo_parameters(context: Any, stack_name: str) -> dict[str, str]:
    return {
        "AWS::AccountId": context.account_id,
        "AWS::Partition": context.partition,
        "AWS::Region": context.region,
        "AWS::StackName": stack_name,
        "AWS::URLSuffix": "amazonaws.com",
    }


def _previous_parameters(context: Any, stack_name: str | None) -> dict[str, str] | None:
    """What the stack has now; None when there is no such stack."""
    state = get_cloudformation_store(context.account_id, context.region)
    try:
        stack = find_stack_v2(state, stack_name)
    except (KeyError, ValueError):
        return None
    if stack is None:
        return None
    # Zero and the empty text are values like others.
    return {
        name: text(value["given_value"])
        if value.get("given_value") is not None
        else text(value.get("default_value"))
        for name, value in (stack.resolved_parameters or {}).items()
    }


def _replace(request: dict[str, Any], processed: str) -> None:
    """Put the processed template in, through S3 where it is too long for a call."""
    for member in ("TemplateBody", "TemplateURL"):
        request.pop(member, None)
    if len(processed.encode()) <= BODY_MAX_BYTES:
        request["TemplateBody"] = processed
        return
    key = f"{hashlib.sha256(processed.encode()).hexdigest()}.json"
    client = connect_to(aws_access_key_id=_ACCOUNT, region_name="us-east-1").s3
    client.create_bucket(Bucket=_BUCKET)
    client.put_object(Bucket=_BUCKET, Key=key, Body=processed.encode())
    request["TemplateURL"] = f"https://s3.amazonaws.com/{_BUCKET}/{key}"
