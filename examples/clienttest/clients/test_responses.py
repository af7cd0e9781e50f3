"""Holds the gateway's Responses API against OpenAI's Python SDK."""

import json
import unittest
from typing import Literal

import openai
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response
from pydantic import BaseModel

from kai import GUARDED, OPEN, SCRIPTED, SIGNATURE, SIGNED, TEXT, Mark, call, tool_round


def client(**more) -> OpenAI:
    """No repeats unless a test is about them."""
    return OpenAI(**{"base_url": OPEN, "api_key": "not-needed", "max_retries": 0, "timeout": 120, **more})


def checked(response: Response) -> Response:
    """The response, if it is what OpenAI's types say. The SDK itself lets anything pass."""
    Response.model_validate(response.to_dict(exclude_unset=True), strict=True)
    assert response.id.startswith("resp_"), response.id
    sent = response.to_dict(exclude_unset=True)
    for field in ("error", "incomplete_details", "instructions", "metadata", "parallel_tool_calls", "temperature",
                  "tool_choice", "tools", "top_p", "status", "text", "usage", "store", "truncation"):
        assert field in sent, field
    if usage := response.usage:
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens, usage
    return response


class Event(BaseModel):
    name: str
    day: Literal["Monday", "Friday"]
    participants: list[str]


WEATHER = {"type": "function", "name": "get_weather", "strict": True, "parameters": {
    "type": "object", "additionalProperties": False, "properties": {"city": {"type": "string"}}, "required": ["city"]}}


class Answers(unittest.TestCase):
    def test_whole(self):
        for model in ["demo", *SCRIPTED]:
            with self.subTest(model):
                mark = Mark({"text": TEXT})
                response = checked(client().responses.create(model=model, input=mark.say()))
                self.assertEqual((response.model, response.status), (model, "completed"))
                self.assertTrue(response._request_id.startswith("req_"))
                if model == "demo":
                    self.assertIn("Kai", response.output_text)
                else:
                    self.assertEqual(response.output_text, TEXT)
                    self.assertEqual((response.usage.input_tokens, response.usage.output_tokens), (12, 34))

    def test_streamed(self):
        for model in ["demo", *SCRIPTED]:
            with self.subTest(model):
                mark = Mark({"reasoning": "I think.", "text": TEXT})
                events = list(client().responses.create(model=model, input=mark.say(), stream=True))
                self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
                self.assertEqual(events[-1].type, "response.completed")
                final = checked(events[-1].response)
                text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
                self.assertEqual(text, final.output_text)
                if model != "demo":
                    self.assertEqual(text, TEXT)
                    thought = "".join(e.delta for e in events if e.type == "response.reasoning_summary_text.delta")
                    self.assertEqual(thought, "I think.")

    def test_streamed_through_the_helper(self):
        for model in ["demo", *SCRIPTED]:
            with self.subTest(model):
                mark = Mark({"reasoning": "I think.", "text": TEXT})
                with client().responses.stream(model=model, input=mark.say()) as stream:
                    text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
                    final = checked(stream.get_final_response())
                self.assertEqual(final.output_text, text)

    def test_parsed(self):
        for model in ["demo", "ollama/json", "router/json"]:
            with self.subTest(model):
                api = client().responses
                self.assertIsInstance(api.parse(model=model, input="A fair", text_format=Event).output_parsed, Event)
                with api.stream(model=model, input="A fair", text_format=Event) as stream:
                    self.assertIsInstance(stream.get_final_response().output_parsed, Event)

    def test_cut_off(self):
        mark = Mark({"text": "Two words", "finish": "length"})
        response = checked(client().responses.create(model="anthropic/script", input=mark.say()))
        self.assertEqual((response.status, response.incomplete_details.reason), ("incomplete", "max_output_tokens"))
        self.assertEqual(response.output_text, "Two words")


class Tools(unittest.TestCase):
    def results(self, response):
        calls = [item for item in response.output if item.type == "function_call"]
        self.assertEqual([json.loads(c.arguments) for c in calls], [{"city": "Paris"}, {"city": "Rome"}])
        return [{"type": "function_call_output", "call_id": c.call_id, "output": f"mild in {json.loads(c.arguments)['city']}"}
                for c in calls]

    def check_history(self, mark, model):
        bodies = mark.bodies()
        self.assertEqual(len(bodies), 2)
        self.assertRegex(bodies[1], "Let me look.*mild in Paris.*mild in Rome")
        if model in SIGNED:
            self.assertIn(SIGNATURE, bodies[1])

    def test_the_conversation_sent_again(self):
        for model in SCRIPTED:
            with self.subTest(model):
                mark, api = tool_round(), client().responses
                items = [{"role": "user", "content": mark.say()}]
                first = checked(api.create(model=model, input=items, tools=[WEATHER], store=False))
                items += [*first.output, *self.results(first)]  # as the SDK's documentation does
                second = checked(api.create(model=model, input=items, tools=[WEATHER], store=False))
                self.assertEqual(second.output_text, "Mild.")
                self.check_history(mark, model)

    def test_the_id_of_the_response_before(self):
        for model in SCRIPTED:
            with self.subTest(model):
                mark, api = tool_round(), client().responses
                with api.stream(model=model, input=mark.say(), tools=[WEATHER]) as stream:
                    first = checked(stream.get_final_response())
                second = api.create(model=model, previous_response_id=first.id, input=self.results(first), tools=[WEATHER])
                self.assertEqual(checked(second).output_text, "Mild.")
                self.check_history(mark, model)

    def test_a_custom_tool(self):
        mark = Mark({"calls": [call("call_1", "run", input="print(1)")]})
        response = checked(client().responses.create(model="gemini/script", input=mark.say(), tools=[{"type": "custom", "name": "run"}]))
        made = [item for item in response.output if item.type == "custom_tool_call"]
        self.assertEqual([(item.name, item.input) for item in made], [("run", "print(1)")])

    def test_local_shell(self):
        mark = Mark({"calls": [call("call_1", "local_shell", command=["ls"], env={})]}, {"text": "Empty."})
        api, items = client().responses, [{"role": "user", "content": mark.say()}]
        first = checked(api.create(model="openai/script", input=items, tools=[{"type": "local_shell"}]))
        made = next(item for item in first.output if item.type == "local_shell_call")
        self.assertEqual(made.action.command, ["ls"])
        items += [*first.output, {"type": "local_shell_call_output", "id": made.call_id, "call_id": made.call_id, "output": "nothing"}]
        self.assertEqual(api.create(model="openai/script", input=items, tools=[{"type": "local_shell"}]).output_text, "Empty.")


class Memory(unittest.TestCase):
    def test_found_and_forgotten(self):
        api = client().responses
        made = api.create(model="demo", input="Hello!")
        self.assertTrue(made.to_dict()["store"])
        self.assertEqual(checked(api.retrieve(made.id)).output_text, made.output_text)
        api.delete(made.id)
        with self.assertRaises(openai.NotFoundError):
            api.retrieve(made.id)
        with self.assertRaises(openai.BadRequestError) as caught:
            api.create(model="demo", input="And?", previous_response_id=made.id)
        self.assertEqual(caught.exception.code, "previous_response_not_found")

    def test_not_kept(self):
        api = client().responses
        made = api.create(model="demo", input="Hello!", store=False)
        with self.assertRaises(openai.NotFoundError):
            api.retrieve(made.id)

    def test_each_keys_own(self):
        mine, theirs = (client(base_url=GUARDED, api_key=key).responses for key in ("sk-everything", "sk-demo"))
        made = mine.create(model="demo", input="Hello!")
        self.assertEqual(mine.retrieve(made.id).id, made.id)
        with self.assertRaises(openai.NotFoundError):
            theirs.retrieve(made.id)


class Errors(unittest.TestCase):
    def test_before_the_answer(self):
        for stream in [False, True]:
            def ask(model, **more):
                return client().responses.create(**{"model": model, "input": "Hi", "stream": stream, **more})
            for kind, param, more in [
                (openai.BadRequestError, None, {"model": "no-such-model"}),
                (openai.BadRequestError, "background", {"model": "demo", "background": True}),
                (openai.BadRequestError, "temperature", {"model": "demo", "temperature": 5}),
                (openai.BadRequestError, None, {"model": "ollama/400"}),
                (openai.RateLimitError, None, {"model": "router/429"}),
                (openai.InternalServerError, None, {"model": "router/500"}),
            ]:
                with self.subTest(more, stream=stream), self.assertRaises(kind) as caught:
                    ask(**more)
                if param:
                    self.assertEqual(caught.exception.param, param)
                self.assertTrue(caught.exception.request_id.startswith("req_"))

    def test_within_the_answer(self):
        for model in ["ollama/broken", "router/broken", "ollama/cut", "router/cut"]:
            with self.subTest(model):
                text = ""
                with self.assertRaises(openai.APIError) as caught:
                    for event in client().responses.create(model=model, input="Hi", stream=True):
                        text += event.delta if event.type == "response.output_text.delta" else ""
                self.assertEqual(text, "Two words")
                if model.endswith("broken"):
                    self.assertIn("the mock broke off", caught.exception.message)
                with self.assertRaises(openai.APIError), client().responses.stream(model=model, input="Hi") as stream:
                    stream.get_final_response()

    def test_repeats(self):
        for model in ["router/once-429", "ollama/once-503"]:
            mark = Mark()
            checked(client(max_retries=1).responses.create(model=model, input=mark.say()))
            self.assertEqual(mark.seen()["requests"], 2)


class HangUps(unittest.TestCase):
    def test_within_a_stream(self):
        for model in ["ollama/endless", "router/endless"]:
            mark = Mark()
            with client().responses.create(model=model, input=mark.say(), stream=True) as stream:
                for event in stream:
                    if event.type == "response.output_text.delta":
                        break
            self.assertEqual(mark.seen(hung_up=1)["hung_up"], 1)


class Async(unittest.IsolatedAsyncioTestCase):
    async def test_a_stream(self):
        async with AsyncOpenAI(base_url=OPEN, api_key="not-needed", max_retries=0) as api:
            async with api.responses.stream(model="router/text", input="Hi") as stream:
                async for _ in stream:
                    pass
                self.assertEqual((await stream.get_final_response()).output_text, TEXT)


if __name__ == "__main__":
    unittest.main()
