"""Google's Gemini API as its own door behaves: what is asked is held against the published fields, what is answered has
its wire format. The same bodies at Vertex AI's addresses, with a token endpoint that checks the JWT it is shown.

Fields: https://ai.google.dev/api/generate-content, .../api/embeddings; https://cloud.google.com/vertex-ai/docs/reference/rest
"""

import base64
import json
import re
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.scene import snapshot_of
from tests.support.schemas import ANYTHING, Schema, faults
from tests.support.upstream import Received, ScriptedUpstream
from tests.support.wire import End, Step, answer, event, stream
from tidegate.live.snapshot import Snapshot

__all__ = ["GENERATE", "FakeGemini", "FakeVertex", "candidate", "generated", "rpc_error"]

MEDIA: Final = {"mimeType": str, "data": str}
PART: Final[Schema] = {
    "text": str,
    "thought": bool,
    "thoughtSignature": str,
    "inlineData": MEDIA,
    "fileData": {"mimeType": str, "fileUri": str},
    "functionCall": {"id": str, "name": str, "args": dict},
    "functionResponse": {"id": str, "name": str, "response": dict},
}
CONTENT: Final[Schema] = {"role": frozenset({"user", "model"}), "parts": [PART]}
GENERATE: Final[Schema] = {
    "contents": [CONTENT],
    "systemInstruction": {"role": str, "parts": [PART]},
    "tools": [{"functionDeclarations": [{"name": str, "description": str, "parametersJsonSchema": dict}]}],
    "toolConfig": {
        "functionCallingConfig": {
            "mode": frozenset({"AUTO", "ANY", "NONE", "VALIDATED"}),
            "allowedFunctionNames": [str],
        }
    },
    "safetySettings": [{"category": str, "threshold": str}],
    "cachedContent": str,
    "labels": {"*": str},
    "generationConfig": {
        "stopSequences": [str],
        "responseMimeType": str,
        "responseSchema": dict,
        "responseJsonSchema": ANYTHING,
        "candidateCount": int,
        "maxOutputTokens": int,
        "temperature": float,
        "topP": float,
        "topK": float,
        "seed": int,
        "presencePenalty": float,
        "frequencyPenalty": float,
        "responseLogprobs": bool,
        "logprobs": int,
        "thinkingConfig": {
            "includeThoughts": bool,
            "thinkingBudget": int,
            "thinkingLevel": frozenset({"MINIMAL", "LOW", "MEDIUM", "HIGH"}),
        },
    },
}
EMBED: Final[Schema] = {
    "requests": [{"model": str, "content": CONTENT, "taskType": str, "title": str, "outputDimensionality": int}]
}
PREDICT: Final[Schema] = {
    "instances": [{"content": str, "task_type": str, "title": str}],
    "parameters": {"outputDimensionality": int, "autoTruncate": bool},
}
USAGE: Final = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}
METHOD = re.compile(r"(.*)/models/([^/:]+):(\w+)(?:\?(.*))?")


def candidate(*parts: Mapping[str, Any], index: int = 0, finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    """One candidate."""
    ending = {"finishReason": finish} if finish else {}
    return {"content": {"parts": list(parts), "role": "model"}, **ending, "index": index, **more}


def generated(*candidates: Mapping[str, Any], usage: Mapping[str, Any] = USAGE, **more: Any) -> dict[str, Any]:
    """A GenerateContentResponse."""
    told = {"usageMetadata": dict(usage)} if usage else {}
    return {"candidates": list(candidates), **told, "modelVersion": "gemini-2.5-flash", "responseId": "r-1", **more}


def rpc_error(status: int, word: str, message: str, *details: Mapping[str, Any]) -> tuple[Step, ...]:
    """A google.rpc.Status as an answer."""
    told = {"details": list(details)} if details else {}
    return answer(
        {"error": {"code": status, "message": message, "status": word, **told}},
        status,
        content_type="application/json; charset=UTF-8",
    )


class FakeGemini(ScriptedUpstream):
    """`say_whole` and `say_events` are for the next requests; without them it greets."""

    KEY = "AIza-test"
    BASE = "/v1beta"

    def __init__(self) -> None:
        super().__init__()
        self.respond = self._checked
        self.complaints: list[str] = []
        self._next: list[tuple[Step, ...]] = []

    @property
    def environ(self) -> dict[str, str]:
        """What a gateway in front of it needs."""
        return {"GEMINI_API_KEY": self.KEY}

    @property
    def root(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def snapshot(self, **deployment: Any) -> Snapshot:
        """A world with it as the only upstream."""
        given = {"provider": "gemini", "api_key_env": "GEMINI_API_KEY", "upstream_model": "gemini-2.5-flash"}
        return snapshot_of(self.root + self.BASE, **(given | deployment))

    @property
    def asked(self) -> dict[str, Any]:
        """The newest body."""
        return self.last.json

    def then(self, *steps: tuple[Step, ...]) -> None:
        """Answer the next good requests so."""
        self._next.extend(steps)

    def say_whole(self, *candidates: Mapping[str, Any], **more: Any) -> None:
        """Answer the next good request with these candidates."""
        self.then(answer(generated(*candidates, **more)))

    def say_events(self, *bodies: Mapping[str, Any], split: int | None = None, end: End | None = None) -> None:
        """Answer the next good request with these events; lines end in CRLF, as Google's do."""
        self.then(stream([event(body) for body in bodies], newline=b"\r\n", split=split, end=end))

    def _checked(self, received: Received) -> Sequence[Step]:
        refusal = self._refusal(received)
        if refusal is not None:
            return refusal
        if self._next:
            return self._next.pop(0)
        if received.path.endswith(":batchEmbedContents"):
            return answer({"embeddings": [{"values": [0.5, -0.25]} for _ in received.json["requests"]]})
        if received.path.endswith(":predict"):
            one = {"embeddings": {"values": [0.5, -0.25], "statistics": {"truncated": False, "token_count": 4}}}
            return answer({"predictions": [one for _ in received.json["instances"]], "metadata": {}})
        if "streamGenerateContent" in received.path:
            words = [generated(candidate({"text": word}, finish=None), usage={}) for word in ("Hello", " there")]
            last = generated(candidate({"text": "."}))
            return stream([event(body) for body in (*words, last)], newline=b"\r\n")
        return answer(generated(candidate({"text": "Hello there."})))

    def _refusal(self, received: Received) -> tuple[Step, ...] | None:
        found = METHOD.fullmatch(received.path)
        if found is None or received.method != "POST" or found[1] != self._start():
            return self._wrong(404, "NOT_FOUND", f"no such path: {received.path}")
        query = parse_qs(found[4] or "")
        wanted = {"alt": ["sse"]} if found[3] == "streamGenerateContent" else {}
        if query != wanted:
            return self._wrong(400, "INVALID_ARGUMENT", f"the query of {received.path}")
        denied = self._denied(received)
        if denied is not None:
            return denied
        return self._unread(received, found[3], unquote(found[2]))

    def _unread(self, received: Received, method: str, model: str) -> tuple[Step, ...] | None:
        schemas: dict[str, Schema] = {"batchEmbedContents": EMBED, "predict": PREDICT}
        for where, what in faults(received.json, schemas.get(method, GENERATE)):
            return self._wrong(400, "INVALID_ARGUMENT", f"Invalid JSON payload received at '{where}': {what}")
        for one in received.json.get("requests", ()):
            if one["model"] != f"models/{model}":
                return self._wrong(400, "INVALID_ARGUMENT", f"the model {one['model']}")
        roles = [turn["role"] for turn in received.json.get("contents", ())]
        if any(a == b for a, b in pairwise(roles)):
            return self._wrong(400, "INVALID_ARGUMENT", "two turns of one role")
        return None

    def _start(self) -> str:
        return self.BASE

    def _denied(self, received: Received) -> tuple[Step, ...] | None:
        if received.headers.get("x-goog-api-key") == self.KEY:
            return None
        reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        return rpc_error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", reason)

    def _wrong(self, status: int, word: str, message: str) -> tuple[Step, ...]:
        self.complaints.append(message)
        return rpc_error(status, word, message)


class FakeVertex(FakeGemini):
    """The same words at Vertex AI's addresses. Tokens live `life_s`; each one is counted."""

    PROJECT, LOCATION = "my-project", "europe-west4"
    BASE = "/v1"

    def __init__(self, life_s: int = 3600) -> None:
        super().__init__()
        self.life_s = life_s
        self.tokens: list[str] = []
        self.token_faults = 0
        self._key = generate_private_key(65537, 2048)

    @property
    def environ(self) -> dict[str, str]:
        return {}

    def account(self) -> dict[str, str]:
        """A service account's key file."""
        private = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return {
            "type": "service_account",
            "project_id": self.PROJECT,
            "private_key_id": "key-7",
            "private_key": private,
            "client_email": "gateway@my-project.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.root}/token",
        }

    def snapshot(self, **deployment: Any) -> Snapshot:
        options = {"project": self.PROJECT, "location": self.LOCATION}
        given = {"provider": "vertex", "upstream_model": "gemini-2.5-flash", "options": options}
        return snapshot_of(self.root + self.BASE, **(given | deployment))

    @property
    def calls(self) -> list[Received]:
        """The requests but those for tokens."""
        return [one for one in self.received if one.path != "/token"]

    @property
    def asked(self) -> dict[str, Any]:
        return self.calls[-1].json

    def _start(self) -> str:
        return f"{self.BASE}/projects/{self.PROJECT}/locations/{self.LOCATION}/publishers/google"

    def _checked(self, received: Received) -> Sequence[Step]:
        return self._token(received) if received.path == "/token" else super()._checked(received)

    def _denied(self, received: Received) -> tuple[Step, ...] | None:
        if received.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens:
            return None
        return rpc_error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")

    def _token(self, received: Received) -> Sequence[Step]:
        if self.token_faults:
            self.token_faults -= 1
            return answer({"error": "internal_failure"}, 500)
        form = parse_qs(received.body.decode())
        if form.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            return answer({"error": "unsupported_grant_type"}, 400)
        if not self._proven(form["assertion"][0]):
            return answer({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        self.tokens.append(f"ya29.{len(self.tokens)}")
        return answer({"access_token": self.tokens[-1], "expires_in": self.life_s, "token_type": "Bearer"})

    def _proven(self, assertion: str) -> bool:
        signed, _, signature = assertion.rpartition(".")
        head, claims = (json.loads(_decoded(part)) for part in signed.split("."))
        try:
            self._key.public_key().verify(_decoded(signature), signed.encode(), PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        now = time.time()
        return bool(
            head == {"alg": "RS256", "typ": "JWT", "kid": "key-7"}
            and claims["iss"] == self.account()["client_email"]
            and claims["aud"] == f"{self.root}/token"
            and claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
            and now - 60 < claims["iat"] <= now
            and claims["exp"] - claims["iat"] <= 3600
        )


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
