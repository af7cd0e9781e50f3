"""Holds what passes natively against the SDKs whose API it is: tools that the provider
runs, sources, stored responses, and what no SDK knows.
"""

import unittest

import anthropic
import openai
from anthropic import Anthropic
from openai import OpenAI

from kai import GUARDED, OPEN, Mark, root

SEARCH = {"type": "web_search"}
FIND = {"type": "web_search_20250305", "name": "web_search"}


def responses(key="not-needed", url=OPEN):
    return OpenAI(base_url=url, api_key=key, max_retries=0, timeout=120).responses


def messages(key="not-needed", url=OPEN):
    return Anthropic(base_url=root(url), api_key=key, max_retries=0, timeout=120).messages


class Responses(unittest.TestCase):
    def check(self, response):
        self.assertEqual((response.model, response.status), ("openai/native", "completed"))
        self.assertEqual([item.type for item in response.output], ["web_search_call", "message"])
        self.assertEqual(response.output[0].action.query, "kai")
        self.assertEqual(response.output[1].content[0].annotations[0].url, "https://example.com/")
        self.assertEqual(response.novel_field, {"kept": 1})
        self.assertEqual((response.usage.input_tokens_details.cached_tokens, response.usage.total_tokens), (4, 46))

    def test_whole(self):
        mark = Mark()
        response = responses().create(model="openai/native", input=mark.say(), tools=[SEARCH])
        self.check(response)
        self.assertEqual(response.output_text, "Searched.")
        self.assertTrue(response._request_id.startswith("req_"))
        self.assertEqual((mark.seen()["last"]["model"], mark.seen()["last"]["tools"]), ("gpt", [SEARCH]))

    def test_streamed(self):
        events = list(responses().create(model="openai/native", input="Something novel", tools=[SEARCH], stream=True))
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
        types = [event.type for event in events]
        self.assertIn("response.web_search_call.searching", types)
        novel = events[types.index("response.novel_event")]
        self.assertEqual((novel.model, novel.novel), ("kept", [1.5, None]))
        self.check(events[-1].response)

    def test_streamed_through_the_helper(self):
        with responses().stream(model="openai/native", input="Hello!", tools=[SEARCH]) as stream:
            text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
            self.check(stream.get_final_response())
        self.assertEqual(text, "Searched.")

    def test_stored(self):
        api = responses()
        first = api.create(model="openai/native", input="My name is Kim.", tools=[SEARCH])
        second = api.create(model="openai/native", input="And mine?", tools=[SEARCH], previous_response_id=first.id)
        self.assertEqual(second.output_text, "Before: My name is Kim.")
        self.check(api.retrieve(first.id))
        self.assertEqual(api.input_items.list(first.id).data[0].content[0].text, "My name is Kim.")
        api.delete(first.id)
        with self.assertRaises(openai.NotFoundError):
            api.retrieve(first.id)

    def test_of_another_caller(self):
        mine, other = responses("sk-everything", GUARDED), responses("sk-other", GUARDED)
        made = mine.create(model="openai/native", input="My name is Kim.", tools=[SEARCH])
        for ask in [other.retrieve, other.delete, other.input_items.list]:
            with self.assertRaises(openai.NotFoundError):
                ask(made.id)
        mark = Mark()
        with self.assertRaises(openai.APIStatusError) as refused:
            other.create(model="openai/native", input=mark.say(), tools=[SEARCH], previous_response_id=made.id)
        self.assertIn(refused.exception.status_code, (400, 404))
        self.assertEqual(mark.seen()["requests"], 0)
        self.check(mine.retrieve(made.id))


class Messages(unittest.TestCase):
    def ask(self, text="Hello!", **more):
        return {"model": "anthropic/native", "max_tokens": 100, "messages": [{"role": "user", "content": text}], "tools": [FIND], **more}

    def check(self, message):
        self.assertEqual((message.model, message.stop_reason), ("anthropic/native", "end_turn"))
        self.assertEqual([block.type for block in message.content], ["server_tool_use", "web_search_tool_result", "text", "novel_block"])
        self.assertEqual(message.content[0].input, {"query": "kai"})
        self.assertEqual(message.content[1].content[0].encrypted_content, "c2VjcmV0")
        self.assertEqual((message.content[2].text, message.content[2].citations[0].cited_text), ("Found it.", "It is said."))
        self.assertEqual(message.content[3].novel, [1.5, None])
        self.assertEqual((message.usage.output_tokens, message.usage.server_tool_use.web_search_requests), (34, 1))

    def test_whole(self):
        mark = Mark()
        message = messages().create(**self.ask(mark.say()))
        self.check(message)
        self.assertEqual(message.novel_field, {"kept": 1})
        last = mark.seen()["last"]
        self.assertEqual((last["model"], last["tools"]), ("claude", [FIND]))

    def test_streamed(self):
        with messages().stream(**self.ask()) as stream:
            text = "".join(stream.text_stream)
            self.check(stream.get_final_message())
        self.assertEqual(text, "Found it.")

    def test_a_round_sends_all_back(self):
        mark = Mark()
        first = messages().create(**self.ask(mark.say()))
        blocks = [block.to_dict() for block in first.content]
        more = [{"role": "user", "content": mark.say()}, {"role": "assistant", "content": blocks}, {"role": "user", "content": "Go on."}]
        self.check(messages().create(**self.ask(messages=more)))
        self.assertEqual(mark.seen()["last"]["messages"][1]["content"], blocks)

    def test_counted(self):
        question = {k: v for k, v in self.ask().items() if k != "max_tokens"}
        self.assertEqual(messages().count_tokens(**question).input_tokens, 42)

    def test_the_container_of_another_caller(self):
        mine, other = messages("sk-everything", GUARDED), messages("sk-other", GUARDED)
        again = {"extra_body": {"container": "container_native"}}
        mine.create(**self.ask())
        self.check(mine.create(**self.ask(), **again))
        mark = Mark()
        with self.assertRaises(anthropic.APIStatusError) as refused:
            other.create(**self.ask(mark.say()), **again)
        self.assertIn(refused.exception.status_code, (400, 404))
        self.assertEqual(mark.seen()["requests"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
