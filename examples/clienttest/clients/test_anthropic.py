"""Holds the gateway's Messages API against Anthropic's Python SDK: the current
major, which sends its key as a token, and the one before, which sends x-api-key.
"""

import json
import unittest

import anthropic
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import Message

from kai import GUARDED, OPEN, SCRIPTED, SIGNATURE, SIGNED, TEXT, Mark, root, tool_round


def client(**more) -> Anthropic:
    """No repeats unless a test is about them."""
    return Anthropic(**{"base_url": root(OPEN), "api_key": "not-needed", "max_retries": 0, "timeout": 120, **more})


def ask(model, text="Hello!", **more):
    return {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": text}], **more}


def checked(message: Message) -> Message:
    """The message, if it is what Anthropic's types say. The SDK itself lets anything pass."""
    Message.model_validate(message.to_dict(exclude_unset=True), strict=True)
    assert message.id.startswith("msg_"), message.id
    return message


def text_of(message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


WEATHER = {"name": "get_weather", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


class Answers(unittest.TestCase):
    def check(self, model, message):
        checked(message)
        self.assertEqual((message.model, message.stop_reason), (model, "end_turn"))
        if model == "demo":
            self.assertIn("Kai", text_of(message))
            return
        self.assertEqual([block.type for block in message.content], ["thinking", "text"])
        self.assertEqual(message.content[0].thinking, "I think.")
        self.assertEqual(text_of(message), TEXT)
        self.assertEqual((message.usage.input_tokens, message.usage.output_tokens), (12, 34))

    def test_whole_and_streamed(self):
        for model in ["demo", *SCRIPTED]:
            with self.subTest(model):
                question = ask(model, Mark({"reasoning": "I think.", "text": TEXT}).say(), thinking={"type": "adaptive"})
                whole = client().messages.create(**question)
                self.check(model, whole)
                self.assertTrue(whole._request_id.startswith("req_"))
                with client().messages.stream(**question) as stream:
                    text = "".join(stream.text_stream)
                    final = stream.get_final_message()
                self.check(model, final)
                self.assertEqual(text_of(final), text)

    def test_structured_output(self):
        schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False}
        for model in ["demo", "ollama/json", "router/json"]:
            with self.subTest(model):
                message = client().messages.create(**ask(model), output_config={"format": {"type": "json_schema", "schema": schema}})
                self.assertIn("name", json.loads(text_of(message)))

    def test_sampling(self):
        mark = Mark({"text": TEXT})
        extra = {"extra_headers": {"anthropic-version": "2026-10-21"}}
        client().messages.create(**ask("ollama/script", mark.say()), extra_body={"temperature": 0.5, "top_k": 7}, **extra)
        self.assertEqual(mark.seen()["last"]["options"]["temperature"], 0.5)


class Tools(unittest.TestCase):
    def test_a_round(self):
        for model in SCRIPTED:
            for streamed in [False, True]:
                with self.subTest(model, streamed=streamed):
                    mark = tool_round()
                    question = ask(model, mark.say(), tools=[WEATHER], thinking={"type": "adaptive"})
                    first = checked(self.turn(question, streamed))
                    self.assertEqual(first.stop_reason, "tool_use")
                    uses = [block for block in first.content if block.type == "tool_use"]
                    self.assertEqual([use.input for use in uses], [{"city": "Paris"}, {"city": "Rome"}])
                    question["messages"] += [
                        {"role": "assistant", "content": first.content},  # as the SDK's documentation does
                        {"role": "user", "content": [
                            {"type": "tool_result", "tool_use_id": use.id, "content": f"mild in {use.input['city']}"} for use in uses]},
                    ]
                    self.assertEqual(text_of(self.turn(question, streamed)), "Mild.")
                    bodies = mark.bodies()
                    self.assertRegex(bodies[1], "Let me look.*mild in Paris.*mild in Rome")
                    if model in SIGNED:
                        self.assertIn(SIGNATURE, bodies[1])

    def turn(self, question, streamed):
        if not streamed:
            return client().messages.create(**question)
        with client().messages.stream(**question) as stream:
            return stream.get_final_message()

    def test_the_demo(self):
        message = checked(client().messages.create(**ask("demo", "What is the weather in Oslo?", tools=[WEATHER])))
        self.assertEqual([block.name for block in message.content if block.type == "tool_use"], ["get_weather"])


class Errors(unittest.TestCase):
    def test_before_the_answer(self):
        for stream in [False, True]:
            for kind, typ, question in [
                (anthropic.NotFoundError, "not_found_error", ask("no-such-model")),
                (anthropic.BadRequestError, "invalid_request_error", ask("demo", messages=[])),
                (anthropic.BadRequestError, "invalid_request_error", ask("router/400")),
                (anthropic.RateLimitError, "rate_limit_error", ask("router/429")),
                (anthropic.InternalServerError, "api_error", ask("ollama/500")),
            ]:
                with self.subTest(question["model"], stream=stream), self.assertRaises(kind) as caught:
                    client().messages.create(**question, stream=stream)
                self.assertEqual(caught.exception.body["type"], "error")
                self.assertEqual(caught.exception.body["error"]["type"], typ)
                self.assertTrue(caught.exception.request_id.startswith("req_"))

    def test_within_the_answer(self):
        for model in ["ollama/broken", "router/broken", "ollama/cut", "router/cut"]:
            with self.subTest(model):
                text = ""
                with self.assertRaises(anthropic.APIStatusError), client().messages.stream(**ask(model)) as stream:
                    for piece in stream.text_stream:
                        text += piece
                self.assertEqual(text, "Two words")

    def test_repeats(self):
        for model in ["router/once-429", "ollama/once-503"]:
            mark = Mark()
            checked(client(max_retries=1).messages.create(**ask(model, mark.say())))
            self.assertEqual(mark.seen()["requests"], 2)

    def test_keys(self):
        checked(client(base_url=root(GUARDED), api_key="sk-everything").messages.create(**ask("demo")))
        with self.assertRaises(anthropic.AuthenticationError):
            client(base_url=root(GUARDED), api_key="sk-wrong").messages.create(**ask("demo"))


class Others(unittest.TestCase):
    def test_models(self):
        models = list(client().models.list())
        self.assertGreater(len(models), 20)
        self.assertEqual((models[0].type, models[0].id, models[0].display_name), ("model", "demo", "demo"))
        self.assertEqual(client().models.retrieve("demo").id, "demo")

    def test_counts_of_tokens_exact_or_none(self):
        def count(model):
            return client().messages.count_tokens(model=model, messages=[{"role": "user", "content": "Hi"}], tools=[WEATHER])

        for model in ["anthropic/script", "gemini/script"]:
            self.assertEqual(count(model).input_tokens, 42)
        with self.assertRaises(anthropic.NotFoundError):
            count("ollama/script")

    def test_a_stream_that_is_given_up_ends_upstream_too(self):
        mark = Mark()
        with client().messages.stream(**ask("ollama/endless", mark.say())) as stream:
            next(iter(stream.text_stream))
        self.assertEqual(mark.seen(hung_up=1)["hung_up"], 1)


class Async(unittest.IsolatedAsyncioTestCase):
    async def test_a_stream(self):
        async with AsyncAnthropic(base_url=root(OPEN), api_key="not-needed", max_retries=0) as api:
            async with api.messages.stream(**ask("router/text")) as stream:
                self.assertEqual(text_of(await stream.get_final_message()), TEXT)


if __name__ == "__main__":
    unittest.main()
