"""Why something is refused: the closed list of causes, each with a code that never changes.

A refusal carries its cause and a reason: the cause is what every refusal of this kind has in
common (code, meaning, fix, rules), the reason tells what was found this time. Codes are for people
and for programs that read the trace; clients never see them, as they do not on AWS. Hundreds tell
where: 1 address and handshake, 2 authorizer, 3 signatures and API keys, 4 ``$connect``'s answer,
5 messages, 6 integrations, 7 closed sockets, 8 ``@connections``, 9 the engine's own door.

``docs/errors.md`` has a section for each; a test keeps both in agreement. A code is never used
again for another cause.
"""

from enum import Enum
from typing import Final


class Cause(Enum):
    """One kind of refusal. ``rules`` are the ids of the parity table it rests on."""

    def __init__(self, code: str, rules: str, means: str, fix: str) -> None:
        self.code = code
        self.rules: tuple[str, ...] = tuple(rules.split())
        self.means = means
        self.fix = fix

    @property
    def page(self) -> str:
        """Where the cause is explained, from the root of the repository."""
        return f"docs/errors.md#{self.code.lower()}"

    # 1 Address and handshake

    NOT_A_HANDSHAKE = (
        "SS-101",
        "2.21",
        "A plain HTTP request came to the address of a socket; it runs no function.",
        "Connect with a WebSocket client. Calls of @connections go to /{stage}/@connections/{id}.",
    )
    MALFORMED_HANDSHAKE = (
        "SS-102",
        "",
        "The upgrade request breaks RFC 6455, which wants version 13 and a key of 16 bytes.",
        "Use a WebSocket library, and look at what a proxy on the way changes.",
    )
    URL_TOO_LONG = (
        "SS-103",
        "2.04",
        "The whole URL is longer than 4096 characters.",
        "Send a shorter token: fewer claims, or a one-time ticket in its place.",
    )
    ADDRESS = (
        "SS-104",
        "2.18 7.02",
        "The address names no API and stage.",
        (
            "Connect to wss://{api}.execute-api.{region}.amazonaws.com/{stage}, or locally to "
            "ws://localhost:4566/_aws/execute-api/{api}/{stage}; on a custom domain name to "
            "its mapping key. Nothing may follow."
        ),
    )
    NO_SUCH_API = (
        "SS-105",
        "2.18",
        "There is no API with this id.",
        "Take the id from the stack's outputs or get-apis; it changes when the stack is made anew.",
    )
    NO_SUCH_STAGE = (
        "SS-106",
        "2.18",
        "The API has no stage with this name.",
        "Take the name from get-stages. It is the first part of the path and case-sensitive.",
    )
    NOT_DEPLOYED = (
        "SS-107",
        "2.17",
        "The stage has no deployment.",
        "Create a deployment and point the stage to it, or turn auto-deploy on.",
    )
    ENDPOINT_DISABLED = (
        "SS-108",
        "2.19",
        "The API's own endpoint is disabled.",
        "Use the custom domain name, or set DisableExecuteApiEndpoint to false and deploy.",
    )
    THROTTLED = (
        "SS-109",
        "2.20 5.38 6.15 6.16 6.18 7.17",
        "More requests came than the account, the stage or the route allows.",
        (
            "Send less, retry with jitter, or raise the limit that the reason names. For load "
            "tests: SOCKETSTACK_ACCOUNT_THROTTLE=off and SOCKETSTACK_CONNECTION_THROTTLE=off."
        ),
    )
    THROTTLING_ZERO = (
        "SS-110",
        "1.98",
        "The stage's or the route's throttling is 0, which lets nothing pass.",
        "Leave both members out for no throttling. Terraform sends 0 for the one that is left out.",
    )
    PARAMETER_MISSING = (
        "SS-111",
        "5.63",
        "A request parameter that the $connect route requires is missing.",
        "Send it, or do not require it in the route's RequestParameters.",
    )
    ENDED_MEANWHILE = (
        "SS-112",
        "2.17 2.18",
        "The handshake was admitted, and there was nothing left to open when it was.",
        "Connect again. The reason tells what went away: the client, the stage or the engine.",
    )

    # 2 Authorizer

    IDENTITY_MISSING = (
        "SS-201",
        "2.13 3.07",
        "An identity source is missing or empty; the authorizer was not called.",
        (
            "Send every identity source, under exactly the configured name. Browsers can send "
            "query parameters and subprotocols, no headers."
        ),
    )
    UNAUTHORIZED = (
        "SS-202",
        "2.15",
        "The authorizer failed with exactly the text Unauthorized.",
        "The authorizer wants it so. Its log tells why: a token that expired, another issuer, …",
    )
    POLICY_DENIES = (
        "SS-203",
        "2.14 3.13",
        "A statement of the authorizer's policy denies, which no Allow outweighs.",
        "Look at the statement that the reason names.",
    )
    POLICY_ALLOWS_NOTHING = (
        "SS-204",
        "2.14 3.13 3.14",
        "No statement of the authorizer's policy allows this $connect.",
        (
            "Allow execute-api:Invoke on event['methodArn']. A resource of the REST form "
            "{stage}/METHOD/path does not match {stage}/$connect."
        ),
    )
    AUTHORIZER_FAILED = (
        "SS-205",
        "2.16",
        "The authorizer failed with another error than Unauthorized.",
        (
            "Read its log. To refuse with 401, raise an error whose whole text is "
            "Unauthorized; to refuse with 403, return a policy that denies."
        ),
    )
    AUTHORIZER_TIMED_OUT = (
        "SS-206",
        "2.16 6.20",
        "The authorizer did not answer in time.",
        "Read its log, and give what it waits for a timeout of its own.",
    )
    AUTHORIZER_NOT_CALLABLE = (
        "SS-207",
        "3.26 3.27",
        "API Gateway may not call the authorizer's function, or cannot.",
        (
            "Allow lambda:InvokeFunction to apigateway.amazonaws.com in the function's "
            "policy, with the source ARN "
            "arn:aws:execute-api:{region}:{account}:{api}/authorizers/{authorizerId}; or name "
            "a role in AuthorizerCredentialsArn that may."
        ),
    )
    AUTHORIZER_MISSING = (
        "SS-208",
        "3.27",
        "The $connect route names an authorizer that is not there.",
        "Attach one that exists, and deploy.",
    )
    AUTHORIZER_RESULT = (
        "SS-209",
        "3.10 3.12 3.16 3.17",
        "What the authorizer returned is no valid result.",
        (
            "Return principalId and policyDocument, and optionally a flat context of texts, "
            "numbers and booleans. The form with isAuthorized is for HTTP APIs only."
        ),
    )
    AUTHORIZER_RESULT_TOO_LARGE = (
        "SS-210",
        "3.24 3.25",
        "The authorizer's result, or an ARN in it, is larger than API Gateway takes.",
        "Return a smaller context: 8 KB is the limit for the whole result.",
    )
    POLICY_MALFORMED = (
        "SS-211",
        "3.12",
        "The authorizer's policyDocument is no IAM policy.",
        "Return Version 2012-10-17 and a list of statements with Effect, Action and Resource.",
    )
    IDENTITY_SOURCE_UNREADABLE = (
        "SS-212",
        "1.67",
        "An identity source or required parameter has a form that is none of WebSocket APIs.",
        (
            "Write route.request.querystring.NAME or route.request.header.NAME. The form "
            "$request.querystring.NAME is for HTTP APIs."
        ),
    )

    # 3 Signatures, permissions, API keys

    UNSIGNED = (
        "SS-301",
        "4.01 4.03",
        "The route wants AWS_IAM, and the handshake is not signed.",
        "Sign it with SigV4 for execute-api, in headers or, for browsers, as a presigned URL.",
    )
    SIGNATURE = (
        "SS-302",
        "4.04",
        "The handshake's signature is wrong, or made with a key that nobody has.",
        (
            "Compare the canonical request in the reason with what was signed; check key, "
            "region and clock, and what a proxy changed."
        ),
    )
    CREDENTIALS_EXPIRED = (
        "SS-303",
        "4.04",
        "The session that signed the handshake has expired.",
        "Get new credentials, and sign when you connect, not long before.",
    )
    CALLER_NOT_ALLOWED = (
        "SS-304",
        "4.02",
        "The policies of who signed do not allow this $connect.",
        (
            "Allow execute-api:Invoke on "
            "arn:aws:execute-api:{region}:{account}:{api}/{stage}/$connect."
        ),
    )
    API_KEY_MISSING = (
        "SS-305",
        "1.19 3.29 4.08 4.09 4.12",
        "The route needs an API key, and none came from where the API looks for it.",
        (
            "Send the header x-api-key, or have the authorizer return usageIdentifierKey. "
            "Browsers cannot send the header."
        ),
    )
    API_KEY_UNKNOWN = (
        "SS-306",
        "4.09",
        "Nobody has this API key, or it is disabled.",
        "Take the value from get-api-keys --include-values, of the same Region.",
    )
    API_KEY_IN_NO_PLAN = (
        "SS-307",
        "4.10",
        "The API key is in no usage plan that holds this stage.",
        "Add key and stage to the same usage plan.",
    )
    QUOTA_EXCEEDED = (
        "SS-308",
        "4.11",
        "The API key has used up its quota.",
        "Wait for the next period, or raise the usage plan's quota.",
    )
    PLAN_THROTTLED = (
        "SS-309",
        "4.11",
        "The API key's requests come faster than its usage plan allows.",
        "Connect more slowly, or raise the usage plan's throttle.",
    )

    # 4 What $connect answers

    CONNECT_REFUSES = (
        "SS-401",
        "2.08",
        "The $connect integration answered with a status that is no success.",
        "It is what the client gets. Return a status of 200 to 299 to let it in.",
    )
    SUBPROTOCOL = (
        "SS-402",
        "2.22 2.23 2.25",
        "The Sec-WebSocket-Protocol that $connect returned is not one that a header can carry.",
        "Return exactly one of the subprotocols that the client offered.",
    )

    # 5 Messages

    NO_ROUTE = (
        "SS-501",
        "5.05 5.06 10.01",
        "No deployed route takes the message, and there is no $default.",
        (
            "Compare the evaluated key with the route keys, add the route or $default, and "
            "deploy. Forbidden does not mean a missing permission here."
        ),
    )
    STAGE_GONE = (
        "SS-502",
        "1.80",
        "The connection's stage is not deployed any more.",
        "Deploy it again; clients have to connect anew.",
    )
    MODEL_MISMATCH = (
        "SS-503",
        "5.36",
        "The message does not match its model; the integration was not called.",
        "Send what the schema asks for, or mend the schema and deploy.",
    )
    NO_MODEL = (
        "SS-504",
        "5.72 5.73",
        "The model selection expression leads to no model of the route.",
        "Add the key, or $default, to the route's RequestModels.",
    )
    NO_TEMPLATE = (
        "SS-505",
        "5.40",
        "No request template fits, and the passthrough behaviour lets nothing else pass.",
        "Add a request template with the key $default, or set WHEN_NO_MATCH.",
    )
    ONE_WAY = (
        "SS-506",
        "5.26 5.27 10.09",
        "The route has no route response, so what was returned reaches nobody.",
        "Add a route response with the key $default and deploy, or post through @connections.",
    )
    REPLY_TOO_LARGE = (
        "SS-507",
        "6.01",
        "The reply is larger than 128 KB.",
        "Return less, or post it in parts through @connections.",
    )

    # 6 Integrations

    NO_INTEGRATION = (
        "SS-601",
        "1.36 2.11 5.33",
        "The route has no integration to call.",
        "Set its target to integrations/{integrationId}, and deploy.",
    )
    NOT_PERMITTED = (
        "SS-602",
        "2.11 5.33 5.68",
        "API Gateway may not call the function: its resource policy does not allow it.",
        (
            "Allow lambda:InvokeFunction to apigateway.amazonaws.com with the source ARN "
            "arn:aws:execute-api:{region}:{account}:{api}/{stage}/{routeKey}."
        ),
    )
    ROLE_NOT_PERMITTED = (
        "SS-603",
        "3.26 5.64 5.66 5.67",
        "The role of the integration (CredentialsArn) cannot be assumed, or may not make the call.",
        "Have the role trust apigateway.amazonaws.com and allow the action that the reason names.",
    )
    FUNCTION_UNAVAILABLE = (
        "SS-604",
        "2.11 5.33",
        "The function is not there, or cannot be run.",
        "Check the name in the integration's URI and, locally, the function's runtime.",
    )
    FUNCTION_FAILED = (
        "SS-605",
        "2.09 5.32",
        "The function raised an error, ended, or ran into its own timeout.",
        "Read its log; the trace has its last lines.",
    )
    FUNCTION_RESULT = (
        "SS-606",
        "2.10 5.34",
        "What the function returned is no proxy response.",
        'Return {"statusCode": 200} and, where the client gets a reply, a text "body".',
    )
    INTEGRATION_TIMED_OUT = (
        "SS-607",
        "2.12 5.35 6.20",
        "The integration did not answer within its timeout, at most 29 seconds.",
        "Answer sooner: start the work asynchronously and post the result through @connections.",
    )
    BACKEND_DOWN = (
        "SS-608",
        "5.35 5.60",
        "The HTTP backend did not answer, or not as HTTP wants it.",
        "Is it up, is its address right, and does its certificate hold?",
    )
    INTEGRATION_SETTINGS = (
        "SS-609",
        "1.58 1.59 5.46 5.60 5.61 5.64 5.66",
        "The integration cannot be called as it is configured.",
        "Mend the setting that the reason names, and deploy.",
    )
    TEMPLATE_FAILED = (
        "SS-610",
        "5.50 5.53 5.54 5.59",
        "A mapping template failed, or gave what cannot be used.",
        "Render it with the message of the trace; the reason has the place.",
    )
    NO_INTEGRATION_RESPONSE = (
        "SS-611",
        "5.39 5.56",
        "No integration response fits the backend's answer, so nothing can be returned.",
        "Add an integration response with the key $default, and deploy.",
    )
    CONTENT_HANDLING = (
        "SS-612",
        "5.69 5.70",
        "CONVERT_TO_BINARY got a text that is no base64.",
        "Send base64, or leave the content handling strategy out.",
    )

    FUNCTION_THROTTLED = (
        "SS-613",
        "2.11 5.33",
        "As many calls of the function run as are reserved for it.",
        "Reserve more concurrency, take the reservation away, or send less at once.",
    )

    # 7 Sockets that are closed

    TOO_BIG = (
        "SS-701",
        "6.01 6.02 6.03",
        "A frame was larger than 32 KB or a message larger than 128 KB: closed with 1009.",
        "Send larger messages in frames of at most 32 KB, and larger things as an address.",
    )
    BINARY = (
        "SS-702",
        "6.05",
        "The client sent a binary frame: closed with 1003.",
        "Send text; put bytes into base64.",
    )
    INVALID_TEXT = (
        "SS-703",
        "6.05",
        "A text frame was no UTF-8: closed with 1007.",
        "Encode texts as UTF-8, and bytes as base64.",
    )
    PROTOCOL_ERROR = (
        "SS-704",
        "6.03",
        "The client broke the WebSocket protocol: closed with 1002.",
        "Use a WebSocket library, without compression.",
    )
    IDLE = (
        "SS-705",
        "6.07 6.08 6.14",
        "Ten minutes passed without a message in either direction: closed with 1001.",
        "Send a small message more often than that; pings may not count. Reconnect with jitter.",
    )
    EXPIRED = (
        "SS-706",
        "6.10 6.11",
        "The connection was two hours old: closed with 1001, however active.",
        "Reconnect before, at a random time, with a fresh token.",
    )
    REMOVED = (
        "SS-707",
        "1.26",
        "The stage or the API was deleted: its sockets are closed.",
        "Connect to what has taken its place.",
    )

    # 8 @connections

    GONE = (
        "SS-801",
        "2.30 7.12 7.14 8.18",
        "No open connection has this id: it closed, or its $connect has not ended yet.",
        "Delete what you stored of it, and do not retry. From $connect, post later and elsewhere.",
    )
    WRONG_STAGE = (
        "SS-802",
        "7.11 7.29",
        "The address of the call is not that of the connection's stage.",
        "Post to https://{domainName}/{stage}/@connections/{id}, both from the event.",
    )
    MALFORMED_ID = (
        "SS-803",
        "7.04 7.15",
        "What stands in the address is no connection id.",
        "Take connectionId from the event and encode it for a URL: = becomes %3D.",
    )
    POST_TOO_LARGE = (
        "SS-804",
        "6.19 7.16",
        "More than 128 KB was posted.",
        "Post it in parts, or post an address to fetch it from.",
    )
    SLOW_READER = (
        "SS-805",
        "7.17",
        "The client does not read, and what waits for it has reached its limit.",
        "Retry with jitter, or close the connection.",
    )
    CALL_SIGNATURE = (
        "SS-806",
        "7.05 7.06",
        "The call is not signed, or signed wrongly.",
        "Sign it with SigV4 for execute-api; AWS's SDKs do, given the callback URL as endpoint.",
    )
    CALL_NOT_ALLOWED = (
        "SS-807",
        "7.07 7.08 7.09",
        "The caller may not do this on @connections.",
        (
            "Allow execute-api:ManageConnections on "
            "arn:aws:execute-api:{region}:{account}:{api}/{stage}/{METHOD}/@connections/*."
        ),
    )
    UNMAPPED_PATH = (
        "SS-808",
        "7.02 7.03",
        "The custom domain name maps nothing to this path.",
        "Put the mapping key in the stage's place: https://{domain}/{mappingKey}/@connections/{id}.",
    )

    # 9 The engine's own door

    FOREIGN_PAGE = (
        "SS-901",
        "",
        "A web page of another origin called the engine, whose port is code execution.",
        "Call it from a server or a command line. WebSocket upgrades may come from any page.",
    )
    UNKNOWN_HOST = (
        "SS-902",
        "",
        "The engine does not answer to this host name.",
        "Use localhost, or name the host in SOCKETSTACK_ALLOWED_HOSTS.",
    )
    UNSIGNED_CALL = (
        "SS-903",
        "",
        "Under this name, or in this form, only calls with a signature are taken.",
        "Use localhost, or sign the call in its Authorization header, as AWS's SDKs do.",
    )
    AWS_CALL_REFUSED = (
        "SS-904",
        "1.01",
        "SOCKETSTACK_IAM=enforce is set, and the call's signature or permission does not hold.",
        "Use a key that exists (test/test is the root user) and allow the action.",
    )
    INTERNAL = (
        "SS-999",
        "",
        "The engine itself failed; its log has the traceback.",
        "Please report it with the trace and the template.",
    )


BY_CODE: Final = {cause.code: cause for cause in Cause}
"""The closed list by code."""
