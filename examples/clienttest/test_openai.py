"""Holds the gateway against OpenAI's Python SDK.

`make test-clients` runs this. The servers it talks to are started by main.go,
which puts their addresses into the environment; what the models named ollama/…
and router/… do is explained in provider.go.
"""

import asyncio
import base64
import json
import os
import unittest
import urllib.parse
import urllib.request
import uuid
from typing import Literal

import openai
from openai import AsyncOpenAI, OpenAI
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

OPEN = os.environ["KAI_OPEN"]
GUARDED = os.environ["KAI_GUARDED"]
UPSTREAM = os.environ["KAI_UPSTREAM"]

MOCK_TEXT = "Hello from the mock — grüß dich 👋."
TEXT_MODELS = ["demo", "ollama/text", "router/text"]
TOOL_MODELS = ["demo", "ollama/tools", "router/tools"]


def options(**more):
    """What every client has: no repeats unless a test is about them."""
    return {"base_url": OPEN, "api_key": "not-needed", "max_retries": 0, "timeout": 120, **more}


def client(**more) -> OpenAI:
    return OpenAI(**options(**more))


def guarded(key: str = "sk-everything", **more) -> OpenAI:
    return client(base_url=GUARDED, api_key=key, **more)


class Mark:
    """Marks a test's requests, to see what of them reached the provider."""

    def __init__(self):
        self.id = uuid.uuid4().hex

    def say(self, text="Hello!"):
        return say(f"{text} (mark:{self.id})")

    def seen(self, hung_up=0):
        query = urllib.parse.urlencode({"mark": self.id, "hung_up": hung_up})
        with urllib.request.urlopen(f"{UPSTREAM}/seen?{query}", timeout=120) as answer:
            return json.load(answer)

    def release(self):
        urllib.request.urlopen(f"{UPSTREAM}/release?mark={self.id}", data=b"", timeout=120).close()


def say(text="Hello!"):
    return [{"role": "user", "content": text}]


def checked(answer: ChatCompletion) -> ChatCompletion:
    """The answer, if it is what OpenAI's types say. The SDK itself lets anything pass."""
    ChatCompletion.model_validate(answer.to_dict(exclude_unset=True), strict=True)
    assert answer.id.startswith("chatcmpl-"), answer.id
    assert answer.created > 1_700_000_000, answer.created
    assert answer.usage and answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id and answer._request_id.startswith("req_"), answer._request_id
    for choice in answer.choices:
        sent = choice.message.to_dict(exclude_unset=True)
        assert "content" in sent and "refusal" in sent, sent
        assert "logprobs" in choice.to_dict(exclude_unset=True), choice
    return answer


def collected(chunks):
    """The chunks of a stream, each checked."""
    chunks = list(chunks)
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.to_dict(exclude_unset=True), strict=True)
        assert chunk.object == "chat.completion.chunk", chunk
        assert (chunk.id, chunk.created, chunk.model) == (chunks[0].id, chunks[0].created, chunks[0].model)
    with_choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert with_choices[0].delta.role == "assistant", with_choices[0]
    assert all(choice.finish_reason is None for choice in with_choices[:-1]), with_choices
    assert with_choices[-1].finish_reason is not None, with_choices[-1]
    return chunks


def text_of(chunks) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


class Chat(unittest.TestCase):
    def test_answers(self):
        for model in TEXT_MODELS:
            with self.subTest(model):
                answer = checked(client().chat.completions.create(model=model, messages=say()))
                self.assertEqual(answer.model, model)
                self.assertEqual(answer.choices[0].finish_reason, "stop")
                self.assertEqual(answer.choices[0].message.role, "assistant")
                self.assertIsNone(answer.choices[0].message.refusal)
                self.assertIsNone(answer.choices[0].message.tool_calls)
                if model == "demo":
                    self.assertIn("Kai", answer.choices[0].message.content)
                else:
                    self.assertEqual(answer.choices[0].message.content, MOCK_TEXT)

    def test_passes_the_conversation_and_its_parameters_on(self):
        mark = Mark()
        client().chat.completions.create(
            model="router/text",
            messages=[{"role": "system", "content": "Be brief."}, *mark.say()],
            temperature=0.5, max_tokens=100, stop=["END"], seed=7, user="somebody",
            extra_body={"reasoning": {"effort": "low"}},
        )
        last = mark.seen()["last"]
        self.assertEqual([m["role"] for m in last["messages"]], ["system", "user"])
        self.assertEqual(
            {k: last[k] for k in ("model", "temperature", "max_tokens", "stop", "seed", "user", "reasoning")},
            {"model": "text", "temperature": 0.5, "max_tokens": 100, "stop": ["END"], "seed": 7, "user": "somebody",
             "reasoning": {"effort": "low"}},
        )

    def test_chooses_no_provider_beyond_the_configuration(self):
        with self.assertRaises(openai.PermissionDeniedError) as caught:
            client().chat.completions.create(
                model="router/text", messages=say(), extra_body={"provider": {"order": ["mock"]}},
            )
        self.assertEqual(caught.exception.param, "provider")

    def test_several_choices(self):
        answer = checked(client().chat.completions.create(model="demo", messages=say(), n=2))
        self.assertEqual([choice.index for choice in answer.choices], [0, 1])

    def test_long_text(self):
        mark = Mark()
        long = "a long text with \"quotes\", \\ and 👋; " * 5000
        client().chat.completions.create(model="ollama/text", messages=[{"role": "system", "content": long}, *mark.say()])
        self.assertEqual(mark.seen()["last"]["messages"][0]["content"], long)

    def test_the_default_model(self):
        with self.assertRaises(openai.BadRequestError) as caught:  # this configuration has none
            client().post("/chat/completions", body={"messages": say()}, cast_to=ChatCompletion)
        self.assertEqual(caught.exception.param, "model")


class Streams(unittest.TestCase):
    def test_words(self):
        for model in TEXT_MODELS:
            with self.subTest(model), client().chat.completions.create(model=model, messages=say(), stream=True) as stream:
                chunks = collected(stream)
                self.assertGreater(len(chunks), 5)
                self.assertEqual(chunks[0].model, model)
                if model == "demo":
                    whole = client().chat.completions.create(model=model, messages=say())
                    self.assertEqual(text_of(chunks), whole.choices[0].message.content)
                else:
                    self.assertEqual(text_of(chunks), MOCK_TEXT)

    def test_the_helper_that_accumulates(self):
        for model in TEXT_MODELS:
            with self.subTest(model), client().chat.completions.stream(model=model, messages=say()) as stream:
                deltas = [event.delta for event in stream if event.type == "content.delta"]
                final = stream.get_final_completion()
                self.assertEqual(final.choices[0].message.content, "".join(deltas))
                self.assertEqual(final.choices[0].finish_reason, "stop")

    def test_several_choices(self):
        stream = client().chat.completions.create(model="demo", messages=say(), n=2, stream=True)
        texts = {0: "", 1: ""}
        for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
        self.assertEqual(texts[0], texts[1])
        self.assertIn("Kai", texts[0])

    def test_comments_while_nothing_comes(self):
        mark = Mark()
        ask = guarded().chat.completions
        with ask.with_streaming_response.create(model="router/held", messages=mark.say(), stream=True) as response:
            lines = response.iter_lines()
            self.assertEqual(next(lines), ": keep-alive")
            mark.release()
            self.assertIn("data: [DONE]", list(lines))

    def test_comments_mean_nothing(self):
        for model in ["ollama/held", "router/held"]:
            with self.subTest(model):
                mark = Mark()
                stream = guarded().chat.completions.create(model=model, messages=mark.say(), stream=True)
                mark.release()  # the head is here, and with it a comment
                self.assertEqual(text_of(collected(stream)), MOCK_TEXT)


class Usage(unittest.TestCase):
    def test_whole(self):
        for model in ["ollama/text", "router/text"]:
            with self.subTest(model):
                usage = client().chat.completions.create(model=model, messages=say()).usage
                self.assertEqual((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (12, 34, 46))

    def test_streamed_when_asked_for(self):
        for model in TEXT_MODELS:
            with self.subTest(model):
                chunks = collected(client().chat.completions.create(
                    model=model, messages=say(), stream=True, stream_options={"include_usage": True}))
                self.assertEqual(chunks[-1].choices, [])
                for chunk in chunks[:-1]:
                    self.assertEqual(len(chunk.choices), 1)
                    self.assertIn("usage", chunk.to_dict(exclude_unset=True))
                    self.assertIsNone(chunk.usage)
                usage = chunks[-1].usage
                if model != "demo":
                    self.assertEqual((usage.prompt_tokens, usage.completion_tokens), (12, 34))
                self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)

    def test_not_streamed_otherwise(self):
        for model in TEXT_MODELS:
            with self.subTest(model):
                for chunk in collected(client().chat.completions.create(model=model, messages=say(), stream=True)):
                    self.assertNotIn("usage", chunk.to_dict(exclude_unset=True))
                    self.assertEqual(len(chunk.choices), 1)


def function(name, *parameters):
    return {"type": "function", "function": {
        "name": name,
        "parameters": {
            "type": "object", "additionalProperties": False,
            "properties": {p: {"type": "string"} for p in parameters}, "required": list(parameters),
        },
        "strict": True,
    }}


TOOLS = [function("get_weather", "city", "unit"), function("get_time", "zone")]


class Tools(unittest.TestCase):
    def check(self, message, names):
        self.assertIsNone(message.content)
        calls = message.tool_calls
        self.assertEqual([call.function.name for call in calls], names)
        self.assertEqual(len({call.id for call in calls}), len(calls))
        for call in calls:
            self.assertEqual(call.type, "function")
            self.assertIsInstance(json.loads(call.function.arguments), dict)

    def test_one(self):
        answer = checked(client().chat.completions.create(
            model="demo", messages=say("What is the weather in Oslo?"), tools=TOOLS))
        self.assertEqual(answer.choices[0].finish_reason, "tool_calls")
        self.check(answer.choices[0].message, ["get_weather"])

    def test_a_named_one_and_none(self):
        ask = client().chat.completions
        named = ask.create(model="demo", messages=say(), tools=TOOLS,
                           tool_choice={"type": "function", "function": {"name": "get_time"}})
        self.check(named.choices[0].message, ["get_time"])
        none = ask.create(model="demo", messages=say("weather?"), tools=TOOLS, tool_choice="none")
        self.assertEqual(none.choices[0].finish_reason, "stop")
        self.assertIsNone(none.choices[0].message.tool_calls)

    # The mock calls get_weather twice, the demo what the question mentions.
    PARALLEL = {"demo": ["get_weather", "get_time"], "ollama/tools": ["get_weather"] * 2, "router/tools": ["get_weather"] * 2}

    def test_in_parallel(self):
        for model, names in self.PARALLEL.items():
            with self.subTest(model):
                answer = checked(client().chat.completions.create(
                    model=model, messages=say("The weather and the time in Oslo?"), tools=TOOLS))
                self.assertEqual(answer.choices[0].finish_reason, "tool_calls")
                self.check(answer.choices[0].message, names)

    def test_streamed(self):
        for model, names in self.PARALLEL.items():
            with self.subTest(model):
                chunks = collected(client().chat.completions.create(
                    model=model, messages=say("The weather and the time in Oslo?"), tools=TOOLS, stream=True))
                calls = {}
                for delta in (d for chunk in chunks for d in chunk.choices[0].delta.tool_calls or []):
                    sent = delta.to_dict(exclude_unset=True)
                    if delta.index not in calls:
                        self.assertEqual(set(sent), {"index", "id", "type", "function"})
                        self.assertEqual(set(sent["function"]), {"name", "arguments"})
                        calls[delta.index] = ""
                    else:
                        self.assertEqual(set(sent), {"index", "function"})
                        self.assertEqual(set(sent["function"]), {"arguments"})
                    calls[delta.index] += delta.function.arguments
                self.assertEqual(sorted(calls), list(range(len(names))))
                for arguments in calls.values():
                    self.assertIsInstance(json.loads(arguments), dict)
                self.assertEqual(chunks[-1].choices[0].finish_reason, "tool_calls")

    def test_streamed_through_the_helper(self):
        for model, names in self.PARALLEL.items():
            with self.subTest(model), client().chat.completions.stream(
                    model=model, messages=say("The weather and the time in Oslo?"), tools=TOOLS) as stream:
                done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
                self.assertEqual([event.name for event in done], names)
                self.check(stream.get_final_completion().choices[0].message, names)

    def test_round_trip(self):
        for model in TOOL_MODELS:
            for streamed in [False, True]:
                with self.subTest(model, streamed=streamed):
                    ask = client().chat.completions
                    messages = say("The weather and the time in Oslo?")
                    message = ask.create(model=model, messages=messages, tools=TOOLS).choices[0].message
                    messages.append(message)  # as the SDK's documentation does
                    for number, call in enumerate(message.tool_calls):
                        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"result {number}"})
                    answer = ask.create(model=model, messages=messages, tools=TOOLS, stream=streamed)
                    text = text_of(collected(answer)) if streamed else answer.choices[0].message.content
                    self.assertIn("result 0", text)
                    self.assertIn("result 1", text)


class Event(BaseModel):
    name: str
    day: Literal["Monday", "Friday"]
    participants: list[str]


class StructuredOutput(unittest.TestCase):
    MODELS = ["demo", "ollama/json", "router/json"]
    ASK = "Alice and Bob go to a science fair on Friday."

    def test_parsed(self):
        for model in self.MODELS:
            with self.subTest(model):
                answer = client().chat.completions.parse(model=model, messages=say(self.ASK), response_format=Event)
                self.assertIsInstance(answer.choices[0].message.parsed, Event)

    def test_parsed_from_a_stream(self):
        for model in self.MODELS:
            with self.subTest(model), client().chat.completions.stream(
                    model=model, messages=say(self.ASK), response_format=Event) as stream:
                self.assertIsInstance(stream.get_final_completion().choices[0].message.parsed, Event)

    def test_tools_parsed(self):
        class GetWeather(BaseModel):
            city: str

        answer = client().chat.completions.parse(
            model="demo", messages=say("weather in Oslo?"), tools=[openai.pydantic_function_tool(GetWeather)])
        self.assertIsInstance(answer.choices[0].message.tool_calls[0].function.parsed_arguments, GetWeather)

    def test_the_schema_reaches_the_provider(self):
        for model, where in {"ollama/json": lambda q: q["format"],
                             "router/json": lambda q: q["response_format"]["json_schema"]["schema"]}.items():
            with self.subTest(model):
                mark = Mark()
                client().chat.completions.parse(model=model, messages=mark.say(), response_format=Event)
                self.assertEqual(list(where(mark.seen()["last"])["properties"]), ["name", "day", "participants"])

    def test_json_object(self):
        for model in self.MODELS:
            with self.subTest(model):
                answer = checked(client().chat.completions.create(
                    model=model, messages=say("Reply in JSON."), response_format={"type": "json_object"}))
                self.assertIsInstance(json.loads(answer.choices[0].message.content), dict)


class Vision(unittest.TestCase):
    IMAGE = base64.b64encode(bytes(range(256)) * 100).decode()

    def ask(self, model, mark):
        text = mark.say("What is this?")[0]["content"]
        return checked(client().chat.completions.create(model=model, messages=[{"role": "user", "content": [
            {"type": "text", "text": text},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64," + self.IMAGE, "detail": "low"}},
        ]}]))

    def test_demo(self):
        self.assertIn("1 image", self.ask("demo", Mark()).choices[0].message.content)

    def test_the_image_reaches_the_provider(self):
        mark = Mark()
        self.ask("ollama/text", mark)
        self.assertEqual(mark.seen()["last"]["messages"][0]["images"], [self.IMAGE])
        mark = Mark()
        self.ask("router/text", mark)
        part = mark.seen()["last"]["messages"][0]["content"][1]
        self.assertEqual(part["image_url"], {"url": "data:image/png;base64," + self.IMAGE, "detail": "low"})


class Reasoning(unittest.TestCase):
    WANT = "Two and two make four."

    def test_whole_and_streamed(self):
        for model in ["ollama/reasoning", "router/reasoning"]:
            with self.subTest(model):
                ask = client().chat.completions
                message = checked(ask.create(model=model, messages=say(), reasoning_effort="low")).choices[0].message
                chunks = collected(ask.create(model=model, messages=say(), stream=True))
                for field in ["reasoning_content", "reasoning"]:
                    self.assertEqual(getattr(message, field), self.WANT)
                    streamed = "".join(getattr(chunk.choices[0].delta, field, "") for chunk in chunks)
                    self.assertEqual(streamed, self.WANT)
                self.assertEqual(message.content, "It is 4.")
                self.assertEqual(text_of(chunks), "It is 4.")


class Errors(unittest.TestCase):
    def check(self, kind, status, model="demo", *, typ, code=None, param=None, message="", api=None, **more):
        """Asks twice, whole and streamed, and gives the second error."""
        for stream in [False, True]:
            with self.subTest(model, stream=stream), self.assertRaises(kind) as caught:
                (api or client()).chat.completions.create(**{"model": model, "messages": say(), "stream": stream, **more})
            error = caught.exception
            self.assertEqual(
                (error.status_code, error.type, error.code, error.param), (status, typ, code, param), error.message)
            self.assertEqual(set(error.body), {"message", "type", "code", "param"})
            self.assertIn(message, error.message)
            self.assertTrue(error.request_id.startswith("req_"), error.request_id)
        return error

    def test_400(self):
        kind, typ = openai.BadRequestError, "invalid_request_error"
        self.check(kind, 400, temperature=5, typ=typ, param="temperature")
        self.check(kind, 400, messages=[], typ=typ, param="messages")
        self.check(kind, 400, messages=[{"role": "nobody", "content": ""}], typ=typ, param="messages[0].role")
        self.check(kind, 400, "router/400", typ=typ, message="the mock says 400")
        self.check(kind, 400, "ollama/400", typ=typ, message="the mock says 400")
        error = self.check(kind, 400, "no-such-model", typ=typ)
        self.assertTrue(error.body["message"].startswith("Model 'no-such-model' not found in configuration"))

    def test_401_and_403(self):
        error = self.check(openai.AuthenticationError, 401, api=guarded("sk-wrong"),
                           typ="authentication_error", code="invalid_api_key")
        self.assertEqual(error.response.headers["www-authenticate"], "Bearer")
        self.assertNotIn("sk-wrong", error.message)
        self.check(openai.PermissionDeniedError, 403, "router/text", api=guarded("sk-demo"),
                   typ="permission_error", code="model_not_allowed")

    def test_404(self):
        self.check(openai.NotFoundError, 404, "ollama/404", typ="not_found_error", code="model_not_found", param="model")
        with self.assertRaises(openai.NotFoundError) as caught:
            client().batches.list()
        self.assertEqual(caught.exception.type, "not_found_error")
        self.assertIn("/v1/chat/completions", caught.exception.message)

    def test_413(self):
        self.check(openai.APIStatusError, 413, api=guarded(), messages=say("x" * 100_000),
                   typ="invalid_request_error", code="request_too_large")

    def test_429(self):
        error = self.check(openai.RateLimitError, 429, "router/429", typ="rate_limit_error", code="rate_limit_exceeded")
        self.assertEqual(error.response.headers["retry-after"], "1")
        self.check(openai.RateLimitError, 429, "ollama/429", typ="rate_limit_error")

    def test_5xx(self):
        kind, typ = openai.InternalServerError, "server_error"
        self.check(kind, 502, "router/500", typ=typ, code="upstream_error", message="the mock says 500")
        self.check(kind, 502, "ollama/500", typ=typ, code="upstream_error", message="the mock says 500")
        self.check(kind, 502, "router/401", typ=typ, code="upstream_auth")
        self.check(kind, 503, "locked", typ=typ, code="provider_not_configured", message="KAI_CLIENTTEST_NOT_SET")
        with self.assertRaises(kind) as caught:
            client().chat.completions.create(model="down", messages=say())
        self.assertIn(caught.exception.status_code, (502, 503))
        self.assertIn("'down'", caught.exception.message)

    def test_within_a_stream(self):
        for model in ["ollama/broken", "router/broken", "ollama/cut", "router/cut"]:
            with self.subTest(model):
                text = ""
                with self.assertRaises(openai.APIError) as caught:
                    for chunk in client().chat.completions.create(model=model, messages=say(), stream=True):
                        text += chunk.choices[0].delta.content or ""
                self.assertEqual(text, "Two words")
                error = caught.exception
                self.assertEqual((error.type, error.code), ("server_error", "upstream_error"))
                if model.endswith("broken"):
                    self.assertIn("the mock broke off", error.message)


class Repeats(unittest.TestCase):
    def requests(self, model, retries, fails):
        """How many requests reached the provider."""
        mark = Mark()
        ask = client(max_retries=retries).chat.completions
        if fails:
            with self.assertRaises(openai.APIStatusError):
                ask.create(model=model, messages=mark.say())
        else:
            checked(ask.create(model=model, messages=mark.say()))
        return mark.seen()["requests"]

    def test_what_may_pass_is_repeated(self):
        self.assertEqual(self.requests("router/once-429", 1, fails=False), 2)
        self.assertEqual(self.requests("ollama/once-503", 1, fails=False), 2)
        self.assertEqual(self.requests("router/500", 1, fails=True), 2)

    def test_what_stays_is_not(self):
        for model in ["router/401", "router/400", "ollama/400", "ollama/404"]:
            with self.subTest(model):
                self.assertEqual(self.requests(model, 2, fails=True), 1)

    def test_the_gateway_repeats_nothing(self):
        for model in ["router/429", "router/500", "ollama/500", "ollama/cut"]:
            with self.subTest(model):
                self.assertEqual(self.requests(model, 0, fails=model != "ollama/cut"), 1)


class HangUps(unittest.TestCase):
    def test_within_a_stream(self):
        for model in ["ollama/endless", "router/endless"]:
            with self.subTest(model):
                mark = Mark()
                with client().chat.completions.create(model=model, messages=mark.say(), stream=True) as stream:
                    for _, chunk in zip(range(5), stream):
                        self.assertEqual(len(chunk.choices), 1)
                seen = mark.seen(hung_up=1)
                self.assertEqual((seen["requests"], seen["hung_up"]), (1, 1))

    def test_at_a_timeout(self):
        for model in ["ollama/held", "router/held"]:
            for stream in [False, True]:
                with self.subTest(model, stream=stream):
                    mark = Mark()
                    with self.assertRaises(openai.APITimeoutError):
                        client(timeout=2).chat.completions.create(model=model, messages=mark.say(), stream=stream)
                    self.assertEqual(mark.seen(hung_up=1)["hung_up"], 1)


class Models(unittest.TestCase):
    def test_list(self):
        models = list(client().models.list())
        for model in models:
            Model.model_validate(model.to_dict(exclude_unset=True), strict=True)
            self.assertEqual((model.object, model.owned_by), ("model", "kai"))
        ids = [model.id for model in models]
        self.assertEqual(ids[:4], ["demo", "locked", "down", "ollama/text"])  # as configured

    def test_retrieve(self):
        for name in ["demo", "router/once-429"]:
            self.assertEqual(client().models.retrieve(name).id, name)
        with self.assertRaises(openai.NotFoundError) as caught:
            client().models.retrieve("gpt-9")
        self.assertEqual((caught.exception.type, caught.exception.code), ("not_found_error", "model_not_found"))


class Keys(unittest.TestCase):
    def test_on(self):
        checked(guarded().chat.completions.create(model="demo", messages=say()))
        self.assertGreater(len(list(guarded().models.list())), 10)
        guest = guarded("sk-demo")
        checked(guest.chat.completions.create(model="demo", messages=say()))
        self.assertEqual([model.id for model in guest.models.list()], ["demo"])
        with self.assertRaises(openai.NotFoundError):
            guest.models.retrieve("router/text")
        with self.assertRaises(openai.AuthenticationError):
            guarded("sk-wrong").models.list()

    def test_off(self):
        for key in ["not-needed", "sk-wrong"]:
            checked(client(api_key=key).chat.completions.create(model="demo", messages=say()))

    def test_the_clients_key_is_not_passed_on(self):
        mark = Mark()
        client(api_key="sk-client-secret").chat.completions.create(model="router/text", messages=mark.say())
        self.assertNotIn("sk-client-secret", json.dumps(mark.seen()))


class Async(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.client = AsyncOpenAI(**options())

    async def asyncTearDown(self):
        await self.client.close()

    async def test_chat(self):
        for model in TEXT_MODELS:
            with self.subTest(model):
                checked(await self.client.chat.completions.create(model=model, messages=say()))

    async def test_many_streams_at_once(self):
        async def one(model):
            stream = await self.client.chat.completions.create(model=model, messages=say(), stream=True)
            return text_of(collected([chunk async for chunk in stream]))

        texts = await asyncio.gather(*(one(model) for model in ["ollama/text", "router/text"] * 25))
        self.assertEqual(set(texts), {MOCK_TEXT})

    async def test_tools_through_the_helper(self):
        async with self.client.chat.completions.stream(model="router/tools", messages=say(), tools=TOOLS) as stream:
            final = await stream.get_final_completion()
        self.assertEqual(len(final.choices[0].message.tool_calls), 2)

    async def test_typed_errors(self):
        with self.assertRaises(openai.RateLimitError):
            await self.client.chat.completions.create(model="router/429", messages=say())

    async def test_hang_up_within_a_stream(self):
        mark = Mark()
        async with await self.client.chat.completions.create(
                model="router/endless", messages=mark.say(), stream=True) as stream:
            async for _ in stream:
                break
        seen = await asyncio.to_thread(mark.seen, hung_up=1)
        self.assertEqual(seen["hung_up"], 1)

    async def test_cancelled_task(self):
        for model in ["ollama/held", "router/held"]:
            with self.subTest(model):
                mark = Mark()
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(self.client.chat.completions.create(model=model, messages=mark.say()), 2)
                seen = await asyncio.to_thread(mark.seen, hung_up=1)
                self.assertEqual(seen["hung_up"], 1)


if __name__ == "__main__":
    unittest.main()
