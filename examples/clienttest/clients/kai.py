"""What the tests of the clients share: the gateways' addresses and the mock of the
providers. See ../main.go and ../provider.go.
"""

import json
import os
import urllib.request
import uuid

OPEN = os.environ["KAI_OPEN"]
GUARDED = os.environ["KAI_GUARDED"]
UPSTREAM = os.environ["KAI_UPSTREAM"]

TEXT = "Hello from the mock — grüß dich 👋."

# The models that play scripts, one of each shipped adapter, and those whose
# provider signs what it says and wants that back.
SCRIPTED = ["ollama/script", "router/script", "openai/script", "anthropic/script", "gemini/script"]
SIGNED = ["router/script", "anthropic/script", "gemini/script"]

# Those that make embeddings.
EMBEDDING = ["ollama/script", "router/script", "openai/script", "gemini/script"]

SIGNATURE = "c2lnbmF0dXJl"


def root(url: str) -> str:
    """Anthropic's clients want addresses without /v1."""
    return url.removesuffix("/v1")


def call(id: str, name: str, **arguments) -> dict:
    """A tool call as scripts have it."""
    return {"id": id, "name": name, "arguments": json.dumps(arguments)}


class Mark:
    """Marks a test's requests. What the models named PROVIDER/script say is a
    script: the answers to the first, second … request with the mark."""

    def __init__(self, *script: dict):
        self.id = uuid.uuid4().hex
        if script:
            url = f"{UPSTREAM}/script?mark={self.id}"
            urllib.request.urlopen(url, data=json.dumps(script).encode(), timeout=120).close()

    def say(self, text="Hello!") -> str:
        return f"{text} (mark:{self.id})"

    def seen(self, hung_up=0) -> dict:
        with urllib.request.urlopen(f"{UPSTREAM}/seen?mark={self.id}&hung_up={hung_up}", timeout=120) as answer:
            return json.load(answer)

    def bodies(self) -> list[str]:
        """The requests that reached the provider."""
        return [json.dumps(body, ensure_ascii=False) for body in self.seen()["bodies"]]


def tool_round(*more: dict) -> Mark:
    """A script of two calls in parallel, after reasoning and text, and an answer."""
    return Mark(
        {"reasoning": "I look.", "signature": SIGNATURE, "text": "Let me look.",
         "calls": [call("call_1", "get_weather", city="Paris"), call("call_2", "get_weather", city="Rome")]},
        {"text": "Mild."}, *more,
    )
