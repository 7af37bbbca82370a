"""The authorizer with real PyJWT, Secrets Manager in moto, and a real key set over HTTP."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from functions.authorizer.keys import SECRET_TTL_SECONDS, PublishedKeys, SharedSecret

Load = Callable[[str], Any]
Authorize = Callable[..., dict[str, Any]]
KEY = "k" * 64
METHOD_ARN = "arn:aws:execute-api:us-east-1:123456789012:abc123/dev/$connect"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_PUBLIC_PEM = RSA_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def claims(**changes: object) -> dict[str, Any]:
    """Claims of a good token, with some changed; None leaves one out."""
    now = int(time.time())
    good = {"sub": "alice", "iss": "me", "aud": "chat", "iat": now, "exp": now + 60}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(key: Any = KEY, algorithm: str = "HS256", **changes: object) -> str:
    """A signed token."""
    return jwt.encode(claims(**changes), key, algorithm)


def raw_token(header: object, payload: object, signature: bytes = b"x") -> str:
    """Three parts that no library would make."""
    parts = [json.dumps(part).encode() for part in (header, payload)]
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature)
    )


def hs256_with_public_key() -> str:
    """A token signed with the published key as if that were a shared secret."""
    import hashlib
    import hmac

    unsigned = raw_token({"alg": "HS256", "typ": "JWT", "kid": "rsa"}, claims(), b"")
    signed = unsigned.removesuffix(".")
    digest = hmac.new(RSA_PUBLIC_PEM, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def event(text: str | None, **changes: object) -> dict[str, Any]:
    """An authorizer event as recorded on AWS, shortened."""
    query = {} if text is None else {"token": text}
    return {
        "type": "REQUEST",
        "methodArn": METHOD_ARN,
        "headers": {"Host": "abc123.execute-api.us-east-1.amazonaws.com", "Upgrade": "websocket"},
        "multiValueHeaders": {},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()},
        "stageVariables": {},
        "requestContext": {"routeKey": "$connect", "connectionId": "L0SM9cOFvHcCIhw="},
        **changes,
    }


@pytest.fixture
def secret_arn(account: None) -> str:
    """The stack's secret."""
    client: Any = boto3.client("secretsmanager")
    arn: str = client.create_secret(Name="token-key", SecretString=KEY)["ARN"]
    return arn


@pytest.fixture
def authorize(load: Load, secret_arn: str, monkeypatch: pytest.MonkeyPatch) -> Authorize:
    """The handler, configured; keyword arguments are further environment variables."""

    def run(the_event: dict[str, Any], **environ: str) -> dict[str, Any]:
        base = {"TOKEN_SECRET_ARN": secret_arn, "TOKEN_ISSUER": "me", "TOKEN_AUDIENCE": "chat"}
        for name, value in {**base, "JWKS_URL": "", "ALLOWED_ORIGINS": "", **environ}.items():
            monkeypatch.setenv(name, value)
        answer: dict[str, Any] = load("authorizer").handler(the_event, None)
        return answer

    return run


class KeySet:
    """A published key set, over HTTP."""

    def __init__(self) -> None:
        self.url = ""
        self.fetches = 0
        self.status = 200
        self.keys: list[dict[str, Any]] = [
            jwk(RSA_KEY.public_key(), "rsa", jwt.algorithms.RSAAlgorithm),
            jwk(EC_KEY.public_key(), "ec", jwt.algorithms.ECAlgorithm),
            {"kty": "oct", "kid": "oct", "k": base64.urlsafe_b64encode(KEY.encode()).decode()},
        ]


def jwk(key: Any, key_id: str, algorithm: Any) -> dict[str, Any]:
    """A public key as a JSON Web Key."""
    return {**algorithm.to_jwk(key, as_dict=True), "kid": key_id, "use": "sig"}


@pytest.fixture
def key_set() -> Iterator[KeySet]:
    """A server of a key set with one RSA key, one EC key and, wrongly, one shared key."""
    published = KeySet()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer with the keys."""
            published.fetches += 1
            body = json.dumps({"keys": published.keys}).encode()
            self.send_response(published.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - base class
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        published.url = f"http://127.0.0.1:{server.server_port}/jwks.json"
        try:
            yield published
        finally:
            server.shutdown()
            thread.join()


def test_good_token_gets_a_policy_for_exactly_this_handshake(authorize: Authorize) -> None:
    """The policy allows the one ARN of the event; the context is flat."""
    expires = int(time.time()) + 45

    answer = authorize(event(token(exp=expires, scope="push read")))

    assert answer == {
        "principalId": "alice",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": METHOD_ARN}
            ],
        },
        "context": {"userId": "alice", "expiresAt": expires, "scope": "push read"},
    }


@pytest.mark.parametrize(
    ("setting", "ends"),
    [
        pytest.param("true", True, id="enforced"),
        pytest.param("false", False, id="connect-tokens"),
        pytest.param(None, False, id="not-set"),
    ],
)
def test_session_ends_with_the_token_where_that_is_wanted(
    authorize: Authorize, monkeypatch: pytest.MonkeyPatch, setting: str | None, *, ends: bool
) -> None:
    """Tokens that are for connecting only live shorter than the sessions they open."""
    if setting is not None:
        monkeypatch.setenv("ENFORCE_TOKEN_EXPIRY", setting)
    expires = int(time.time()) + 45

    context = authorize(event(token(exp=expires)))["context"]

    assert context.get("sessionEndsAt") == (expires if ends else None)


def test_audience_may_be_a_list(authorize: Authorize) -> None:
    """A token for several audiences is good when ours is among them."""
    assert authorize(event(token(aud=["other", "chat"])))["principalId"] == "alice"


NOW = int(time.time())
A_DAY = 86_400  # what lies ahead when tests are collected must still lie ahead when they run
REFUSED = {
    "no-token": lambda: None,
    "empty": lambda: "",
    "junk": lambda: "junk",
    "three-junk-parts": lambda: "a.b.c",
    "too-long": lambda: token(padding="x" * 4096),
    "expired": lambda: token(exp=NOW - 1),
    "expires-now": lambda: token(exp=int(time.time())),
    "no-expiry": lambda: token(exp=None),
    "expiry-is-text": lambda: token_with_raw_claims(exp=str(NOW + A_DAY)),
    "expiry-is-true": lambda: token_with_raw_claims(exp=True),
    "expiry-is-infinite": lambda: token_with_raw_claims(exp=float("inf")),
    "not-before-in-future": lambda: token(nbf=NOW + A_DAY),
    "issued-in-future": lambda: token(iat=NOW + A_DAY),
    "wrong-key": lambda: token("w" * 64),
    "wrong-audience": lambda: token(aud="other"),
    "no-audience": lambda: token(aud=None),
    "wrong-issuer": lambda: token(iss="other"),
    "issuer-is-longer": lambda: token(iss="me.evil.example"),
    "no-issuer": lambda: token(iss=None),
    "no-subject": lambda: token(sub=None),
    "empty-subject": lambda: token(sub=""),
    "subject-is-a-number": lambda: token_with_raw_claims(sub=7),
    "subject-too-long": lambda: token(sub="x" * 257),
    "alg-none": lambda: jwt.encode(claims(), "", "none"),
    "alg-none-in-capitals": lambda: raw_token({"alg": "NONE"}, claims(), b""),
    "other-hmac": lambda: token(algorithm="HS512"),
    "signed-with-rsa": lambda: token(RSA_KEY, "RS256"),
    "no-alg": lambda: raw_token({"typ": "JWT"}, claims()),
    "payload-is-a-list": lambda: raw_token({"alg": "HS256"}, ["x"]),
    "payload-is-too-deep": lambda: ".".join(
        ("eyJhbGciOiJIUzI1NiJ9", base64.urlsafe_b64encode(b"[" * 2900).decode(), "AA")
    ),
    "header-is-too-deep": lambda: f"{base64.urlsafe_b64encode(b'[' * 2900).decode()}.e30.AA",
    "signature-cut-off": lambda: token().rpartition(".")[0] + ".",
    "two-parts": lambda: token().rpartition(".")[0],
    "not-ascii": lambda: "ü.ü.ü",
}


def token_with_raw_claims(**changes: object) -> str:
    """A well-signed token with claims that PyJWT itself would not write."""
    return jwt.api_jws.encode(json.dumps({**claims(), **changes}).encode(), KEY, "HS256")


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
def test_bad_token_is_refused(
    authorize: Authorize, make: Callable[[], str | None], caplog: pytest.LogCaptureFixture
) -> None:
    """No policy comes back, only the error that means 401, and the log does not hold the token."""
    bad = make()

    with pytest.raises(Exception, match=r"^Unauthorized$") as refusal:
        authorize(event(bad))

    assert type(refusal.value) is Exception
    assert caplog.messages
    assert not bad or all(bad not in message for message in caplog.messages)


def test_good_token_is_not_logged(authorize: Authorize, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of an accepted token reaches the log."""
    good = token()

    authorize(event(good))

    assert not [text for text in caplog.messages if good in text or good.split(".")[2] in text]


def test_missing_token_does_not_read_the_secret(authorize: Authorize) -> None:
    """Without a token there is nothing to check: a secret that is not there is not missed."""
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(event(None), TOKEN_SECRET_ARN="arn:aws:secretsmanager:::secret:none")


def test_token_given_twice_is_refused(authorize: Authorize) -> None:
    """Two tokens leave open which one counts."""
    good = token()
    twice = event(good, multiValueQueryStringParameters={"token": [good, good]})

    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(twice)


def test_token_in_another_place_is_refused(authorize: Authorize) -> None:
    """Only the query string parameter counts, in exactly this spelling."""
    elsewhere = event(
        None,
        queryStringParameters={"Token": token()},
        headers={"Authorization": f"Bearer {token()}"},
    )

    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(elsewhere)


def test_unreadable_secret_is_an_error_that_refuses(authorize: Authorize) -> None:
    """When the key cannot be read nobody gets in, and the log can say why (500)."""
    client: Any = boto3.client("secretsmanager")

    with pytest.raises(client.exceptions.ResourceNotFoundException):
        authorize(event(token()), TOKEN_SECRET_ARN="arn:aws:secretsmanager:::secret:none")


@pytest.mark.parametrize(("name", "value"), [("TOKEN_ISSUER", ""), ("TOKEN_AUDIENCE", "")])
def test_missing_configuration_refuses(authorize: Authorize, name: str, value: str) -> None:
    """An empty issuer or audience does not switch that check off."""
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(event(token(iss="", aud="")), **{name: value})


def test_short_key_refuses(load: Load, authorize: Authorize, secret_arn: str) -> None:
    """A secret too short for HS256 is not used, even for tokens signed with it."""
    client: Any = boto3.client("secretsmanager")
    client.put_secret_value(SecretId=secret_arn, SecretString="short")

    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(event(jwt_with_short_key()))


def jwt_with_short_key() -> str:
    """A token signed with the short key."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return token("short")


@pytest.mark.parametrize(
    ("headers", "effect"),
    [
        pytest.param({"Origin": "https://chat.example"}, "Allow", id="listed"),
        pytest.param({"origin": "https://b.example"}, "Allow", id="listed-second-lower-case"),
        pytest.param({"Origin": "https://evil.example"}, "Deny", id="not-listed"),
        pytest.param({"Origin": "https://chat.example.evil"}, "Deny", id="longer"),
        pytest.param({"Origin": "http://chat.example"}, "Deny", id="other-scheme"),
        pytest.param({"Origin": "null"}, "Deny", id="null"),
        pytest.param({}, "Deny", id="none"),
        pytest.param(
            {"Origin": "https://chat.example", "origin": "https://evil.example"},
            "Deny",
            id="two",
        ),
    ],
)
def test_origin_list(authorize: Authorize, headers: dict[str, str], effect: str) -> None:
    """With a list, only pages of these origins connect; a Deny policy gives 403."""
    allowed = "https://chat.example, https://b.example"

    answer = authorize(event(token(), headers=headers), ALLOWED_ORIGINS=allowed)

    statement = answer["policyDocument"]["Statement"][0]
    assert (statement["Effect"], statement["Resource"]) == (effect, METHOD_ARN)
    assert (answer["context"] == {}) == (effect == "Deny")


def test_allowed_origin_does_not_replace_the_token(authorize: Authorize) -> None:
    """A listed page without a good token is refused all the same."""
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(
            event("junk", headers={"Origin": "https://chat.example"}),
            ALLOWED_ORIGINS="https://chat.example",
        )


@pytest.mark.parametrize(
    ("key", "algorithm", "key_id"), [(RSA_KEY, "RS256", "rsa"), (EC_KEY, "ES256", "ec")]
)
def test_published_key_admits(
    authorize: Authorize, key_set: KeySet, key: Any, algorithm: str, key_id: str
) -> None:
    """With a key set, tokens signed with its keys are good."""
    signed = jwt.encode(claims(), key, algorithm, headers={"kid": key_id})

    answer = authorize(event(signed), JWKS_URL=key_set.url)

    assert answer["principalId"] == "alice"


KEY_SET_REFUSED: dict[str, Callable[[], str]] = {
    "shared-secret": token,
    "shared-secret-with-known-kid": lambda: jwt.encode(
        claims(), KEY, "HS256", headers={"kid": "rsa"}
    ),
    "shared-key-of-the-set": lambda: jwt.encode(claims(), KEY, "HS256", headers={"kid": "oct"}),
    "public-key-as-secret": hs256_with_public_key,
    "alg-none": lambda: jwt.encode(claims(), "", "none", headers={"kid": "rsa"}),
    "other-rsa-algorithm": lambda: jwt.encode(claims(), RSA_KEY, "RS512", headers={"kid": "rsa"}),
}


@pytest.mark.parametrize("make", KEY_SET_REFUSED.values(), ids=KEY_SET_REFUSED.keys())
def test_other_algorithm_is_refused_before_the_key_set_is_fetched(
    authorize: Authorize, key_set: KeySet, make: Callable[[], str]
) -> None:
    """With a key set only RS256 and ES256 count; nothing is fetched for other tokens."""
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(event(make()), JWKS_URL=key_set.url)

    assert key_set.fetches == 0


KEY_MISMATCH: dict[str, Callable[[], str]] = {
    "another-rsa-key": lambda: jwt.encode(claims(), OTHER_RSA_KEY, "RS256", headers={"kid": "rsa"}),
    "ec-key-under-rsa-name": lambda: jwt.encode(claims(), EC_KEY, "ES256", headers={"kid": "rsa"}),
    "rsa-header-naming-the-shared-key": lambda: jwt.encode(
        claims(), RSA_KEY, "RS256", headers={"kid": "oct"}
    ),
    "unknown-key": lambda: jwt.encode(claims(), RSA_KEY, "RS256", headers={"kid": "nobody"}),
    "no-key-id": lambda: jwt.encode(claims(), RSA_KEY, "RS256"),
    "expired": lambda: jwt.encode(claims(exp=NOW - 1), RSA_KEY, "RS256", headers={"kid": "rsa"}),
}


@pytest.mark.parametrize("make", KEY_MISMATCH.values(), ids=KEY_MISMATCH.keys())
def test_token_that_does_not_fit_its_published_key_is_refused(
    authorize: Authorize, key_set: KeySet, make: Callable[[], str]
) -> None:
    """Key, algorithm and name must belong together."""
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(event(make()), JWKS_URL=key_set.url)


def test_unknown_keys_do_not_cause_a_fetch_each(key_set: KeySet) -> None:
    """Tokens with made-up key names fetch the set once, not once per token."""
    keys = PublishedKeys(key_set.url)
    made_up = [
        jwt.encode(claims(), RSA_KEY, "RS256", headers={"kid": f"made-up-{n}"}) for n in range(5)
    ]

    for text in made_up:
        with pytest.raises(jwt.InvalidTokenError):
            keys.key_for(text)

    assert key_set.fetches == 1


def test_rotated_key_is_found_once_the_cooldown_is_over(key_set: KeySet) -> None:
    """A key that was published after the last fetch is found by fetching again."""
    keys = PublishedKeys(key_set.url, cooldown_seconds=0)
    keys.key_for(jwt.encode(claims(), RSA_KEY, "RS256", headers={"kid": "rsa"}))
    key_set.keys.append(jwk(OTHER_RSA_KEY.public_key(), "new", jwt.algorithms.RSAAlgorithm))

    found = keys.key_for(jwt.encode(claims(), OTHER_RSA_KEY, "RS256", headers={"kid": "new"}))

    assert found.key_id == "new"
    assert key_set.fetches == 2


def test_unreachable_key_set_is_an_error_that_refuses(
    authorize: Authorize, key_set: KeySet
) -> None:
    """When the keys cannot be fetched nobody gets in, and the log can say why (500)."""
    key_set.status = 503
    signed = jwt.encode(claims(), RSA_KEY, "RS256", headers={"kid": "rsa"})

    with pytest.raises(jwt.PyJWKClientConnectionError):
        authorize(event(signed), JWKS_URL=key_set.url)


@pytest.mark.parametrize(
    "url", ["http://keys.example/jwks", "file:///etc/passwd", "ftp://localhost/x", "keys"]
)
def test_key_set_must_come_over_https(url: str) -> None:
    """An address that others on the way could answer for is not used."""
    with pytest.raises(ValueError, match="https"):
        PublishedKeys(url)


def test_secret_is_read_again_after_its_time_to_live(secret_arn: str) -> None:
    """A rotated secret is seen after five minutes; until then nothing is asked."""
    client: Any = boto3.client("secretsmanager")
    now = 1000.0
    secret = SharedSecret(client, secret_arn, monotonic_seconds=lambda: now)
    first = secret.key_for("")
    client.put_secret_value(SecretId=secret_arn, SecretString="n" * 64)

    now += SECRET_TTL_SECONDS - 1
    before = secret.key_for("")
    now += 1
    after = secret.key_for("")

    assert (first, before, after) == (KEY, KEY, "n" * 64)
