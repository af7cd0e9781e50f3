"""Holds the gateway against OpenAI's SDK for everything but chats and embeddings:
completions, moderations, pictures, speech and transcriptions.
"""

import asyncio
import io
import json
import unittest

import openai
from openai import AsyncOpenAI, OpenAI
from openai.types import Completion, ImagesResponse, ModerationCreateResponse
from openai.types.audio import Transcription

from kai import OPEN, Mark

settings = {"base_url": OPEN, "api_key": "not-needed", "max_retries": 0, "timeout": 120}
client = OpenAI(**settings)

# What ../openaimore.go goes on with.
COMPLETED = " return a + b"
COMPLETING = ["openai/script", "router/script", "ollama/script"]
SOUND = b"ID3\x00 this stands for sound"


def checked(answer, shape):
    """The answer, if it is what the SDK's types say."""
    shape.model_validate(answer.to_dict(exclude_unset=True), strict=True)
    return answer


class Completions(unittest.TestCase):
    def test_whole(self):
        for model in COMPLETING:
            with self.subTest(model):
                mark = Mark()
                answer = checked(client.completions.create(model=model, prompt=mark.say("def f(a, b):"), max_tokens=16, stop=["\n\n"], seed=7), Completion)
                self.assertEqual((answer.object, answer.model), ("text_completion", model))
                self.assertRegex(answer.id, "^cmpl-.")
                self.assertEqual([(c.index, c.text, c.finish_reason, c.logprobs) for c in answer.choices], [(0, COMPLETED, "stop", None)])
                self.assertEqual((answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens), (12, 4, 16))
                self.assertEqual(len(mark.bodies()), 1)

    def test_streamed(self):
        for model in COMPLETING:
            with self.subTest(model):
                # Its types don't know that a chunk has no reason for the end before the last one.
                chunks = list(client.completions.create(model=model, prompt="def f(a, b):", stream=True, stream_options={"include_usage": True}))
                self.assertEqual({c.object for c in chunks}, {"text_completion"})
                self.assertEqual("".join(c.choices[0].text for c in chunks if c.choices), COMPLETED)
                self.assertEqual([c.choices[0].finish_reason for c in chunks if c.choices][-1], "stop")
                self.assertEqual((chunks[-1].choices, chunks[-1].usage.total_tokens), ([], 16))
                self.assertTrue(all(c.usage is None for c in chunks[:-1]))

    def test_the_demo(self):
        answer = client.completions.create(model="demo", prompt="Once upon a time", max_tokens=3, echo=True)
        self.assertTrue(answer.choices[0].text.startswith("Once upon a time "))
        self.assertEqual(answer.choices[0].finish_reason, "length")

    def test_several_prompts(self):
        for model in COMPLETING:
            for stream in (False, True):
                with self.subTest(model, stream=stream):
                    asked = {"model": model, "prompt": ["a", "b"], "echo": True}
                    texts = ["", ""]
                    if stream:
                        for chunk in client.completions.create(**asked, stream=True):
                            for choice in chunk.choices:
                                texts[choice.index] += choice.text
                    else:
                        for choice in client.completions.create(**asked).choices:
                            texts[choice.index] += choice.text
                    self.assertEqual(texts, ["a" + COMPLETED, "b" + COMPLETED])

    def test_what_only_some_take(self):
        answer = client.completions.create(model="openai/script", prompt=[[1, 2], [3]], n=2, best_of=3, logprobs=1, echo=True)
        self.assertEqual([c.index for c in answer.choices], [0, 1, 2, 3])
        self.assertEqual(answer.choices[3].logprobs.tokens, [COMPLETED])
        for wrong, param in [({"n": 2}, "n"), ({"prompt": [1]}, "prompt"), ({"best_of": 2}, "best_of"), ({"echo": True, "logprobs": 1}, "echo")]:
            with self.subTest(wrong), self.assertRaises(openai.BadRequestError) as caught:
                client.completions.create(**{"model": "ollama/script", "prompt": "a", **wrong})
            self.assertEqual(caught.exception.param, param)

    def test_suffix(self):
        mark = Mark()
        client.completions.create(model="ollama/script", prompt=mark.say("a"), suffix="c")
        sent = json.loads(mark.bodies()[0])
        self.assertEqual((sent["suffix"], "raw" in sent, sent["think"]), ("c", False, False))

    def test_models_that_only_chat(self):
        for model in ["anthropic/script", "gemini/script"]:
            with self.subTest(model), self.assertRaises(openai.BadRequestError) as caught:
                client.completions.create(model=model, prompt="a")
            self.assertEqual((caught.exception.param, caught.exception.code), ("model", "unsupported_operation"))

    def test_async(self):
        async def ask():
            async with AsyncOpenAI(**settings) as client:
                return "".join([c.choices[0].text async for c in await client.completions.create(model="openai/script", prompt="a", stream=True)])

        self.assertEqual(asyncio.run(ask()), COMPLETED)


class Others(unittest.TestCase):
    def test_moderations(self):
        mark = Mark()
        answer = client.moderations.create(model="openai/script", input=[mark.say("a")])
        self.assertIsInstance(answer, ModerationCreateResponse)
        self.assertEqual((answer.model, answer.results[0].flagged, answer.results[0].categories.violence), ("openai/script", True, True))
        self.assertEqual(json.loads(mark.bodies()[0])["model"], "script")

    def test_pictures(self):
        answer = checked(client.images.generate(model="openai/script", prompt="An otter"), ImagesResponse)
        self.assertTrue(answer.data[0].b64_json.startswith("iVBOR"))
        self.assertEqual(answer.usage.total_tokens, 7)

    def test_pictures_as_they_are_made(self):
        events = list(client.images.generate(model="openai/script", prompt="An otter", stream=True, partial_images=1))
        self.assertEqual([e.type for e in events], ["image_generation.partial_image", "image_generation.completed"])
        self.assertEqual(events[1].usage.total_tokens, 7)

    def test_speech(self):
        asked = {"model": "openai/script", "voice": "alloy", "input": "Hello!"}
        self.assertEqual(client.audio.speech.create(**asked).read(), SOUND)
        with client.audio.speech.with_streaming_response.create(**asked) as answer:
            self.assertEqual(b"".join(answer.iter_bytes(4)), SOUND)
            self.assertEqual(answer.headers["content-type"], "audio/mpeg")
        with client.audio.speech.with_streaming_response.create(**asked, stream_format="sse") as answer:
            data = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
            self.assertEqual([json.loads(d)["type"] for d in data], ["speech.audio.delta", "speech.audio.done"])

    def test_transcriptions(self):
        def file():
            return ("grüß.mp3", io.BytesIO(b"x" * 70_000), "audio/mpeg")

        answer = client.audio.transcriptions.create(model="openai/script", file=file(), language="en", timestamp_granularities=["word", "segment"])
        self.assertIsInstance(answer, Transcription)
        self.assertEqual((answer.text, answer.usage.seconds), ("grüß.mp3 has 70000 bytes.", 3))
        subtitles = client.audio.transcriptions.create(model="openai/script", file=file(), response_format="vtt")
        self.assertIn("grüß.mp3 has 70000 bytes.", subtitles)
        events = list(client.audio.transcriptions.create(model="openai/script", file=file(), stream=True))
        self.assertEqual("".join(e.delta for e in events if e.type == "transcript.text.delta"), "grüß.mp3 has 70000 bytes.")
        self.assertEqual((events[-1].type, events[-1].text), ("transcript.text.done", "grüß.mp3 has 70000 bytes."))

    def test_models_that_cannot(self):
        for ask in [
            lambda: client.moderations.create(model="demo", input="a"),
            lambda: client.images.generate(model="demo", prompt="a"),
            lambda: client.audio.speech.create(model="demo", voice="alloy", input="a"),
            lambda: client.audio.transcriptions.create(model="demo", file=("a.mp3", b"x")),
        ]:
            with self.assertRaises(openai.BadRequestError) as caught:
                ask()
            self.assertEqual((caught.exception.param, caught.exception.code), ("model", "unsupported_operation"))


if __name__ == "__main__":
    unittest.main()
