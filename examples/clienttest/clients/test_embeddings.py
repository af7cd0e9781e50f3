"""Holds the gateway against clients that ask for embeddings: OpenAI's SDK, which asks for
base64 unless told otherwise, and LangChain. All get the same vectors.
"""

import json
import math
import os
import unittest

import openai
from langchain_openai import OpenAIEmbeddings
from openai import OpenAI
from openai.types import CreateEmbeddingResponse

from kai import EMBEDDING, OPEN, Mark

os.environ["LANGSMITH_TRACING"] = "false"

client = OpenAI(base_url=OPEN, api_key="not-needed", max_retries=0, timeout=120)


def langchain(model: str, **more) -> OpenAIEmbeddings:
    return OpenAIEmbeddings(model=model, base_url=OPEN, api_key="not-needed", max_retries=0, **more)


def expected(text: str) -> list[float]:
    """What ../embeddings.go makes of a text."""
    total = sum(text.encode())
    numbers = [math.sin(total + i) for i in range(16)]
    length = math.hypot(*numbers)
    return [n / length for n in numbers]


class Embeddings(unittest.TestCase):
    def assertNear(self, got: list[list[float]], texts: list[str]):
        self.assertEqual(len(got), len(texts))
        for vector, text in zip(got, texts):
            self.assertEqual(len(vector), 16)
            for a, b in zip(vector, expected(text)):
                self.assertAlmostEqual(a, b, places=6)

    def test_all_clients_get_the_same_vectors(self):
        for model in EMBEDDING:
            with self.subTest(model):
                mark = Mark()
                texts = [mark.say("first"), "grüß dich 👋", "third"]
                ask = {
                    "base64, the default": lambda: [d.embedding for d in client.embeddings.create(model=model, input=texts).data],
                    "float": lambda: [d.embedding for d in client.embeddings.create(model=model, input=texts, encoding_format="float").data],
                    "LangChain": lambda: langchain(model, check_embedding_ctx_length=False).embed_documents(texts),
                }
                for name, vectors in ask.items():
                    with self.subTest(name):
                        self.assertNear(vectors(), texts)
                self.assertEqual(len(mark.bodies()), 3)

    def test_base64_as_it_is(self):
        raw = client.embeddings.create(model="openai/script", input="a", encoding_format="base64")
        self.assertIsInstance(raw.data[0].embedding, str)

    def test_the_answer_is_what_the_types_say(self):
        answer = client.embeddings.create(model="openai/script", input=["a", "b"])
        CreateEmbeddingResponse.model_validate(answer.to_dict(exclude_unset=True), strict=True)
        self.assertEqual((answer.model, answer.usage.prompt_tokens, answer.usage.total_tokens), ("openai/script", 12, 12))
        self.assertEqual([d.index for d in answer.data], [0, 1])

    def test_langchain_one_text(self):
        for model in [*EMBEDDING, "demo"]:
            with self.subTest(model):
                vector = langchain(model, check_embedding_ctx_length=False).embed_query("a")
                if model == "demo":
                    self.assertEqual(len(vector), 8)
                else:
                    self.assertNear([vector], ["a"])

    def test_texts_that_go_by_reference(self):
        mark = Mark()
        texts = [mark.say("long " * 1000), "short", "longer " * 1000]
        got = client.embeddings.create(model="gemini/script", input=texts)
        self.assertNear([d.embedding for d in got.data], texts)
        self.assertEqual([r["content"]["parts"][0]["text"] for r in json.loads(mark.bodies()[0])["requests"]], texts)

    def test_errors(self):
        for wrong, param in [({"input": ""}, "input"), ({"input": ["a", ""]}, "input[1]"), ({"input": [[1], [2]]}, "input")]:
            with self.subTest(wrong), self.assertRaises(openai.BadRequestError) as caught:
                client.embeddings.create(model="ollama/script", **wrong)
            self.assertEqual(caught.exception.param, param)
        with self.assertRaises(openai.BadRequestError) as caught:
            client.embeddings.create(model="anthropic/script", input="a")
        self.assertEqual(caught.exception.param, "model")
        self.assertIn("can't make embeddings", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
