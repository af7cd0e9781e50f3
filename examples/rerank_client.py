"""What a program does with Kai to find the text that answers a question best.

    python examples/rerank_client.py --model bge-reranker

The model is one whose provider ranks: vLLM, Cohere, Jina or Text Embeddings Inference
behind the adapter "openai" (docs/clients.md). OpenAI's SDK has no method for it, but
sends any request. README.md beside this file says how to install it.
"""

import argparse
import os
import sys

import openai
from openai import OpenAI

QUESTION = "What is a gateway?"
TEXTS = ["Bread needs flour, water, salt and time.", "A gateway sends each request to one of several providers."]


def main() -> int:
    parser = argparse.ArgumentParser(description="Uses Kai to rank texts.")
    parser.add_argument("--model", default=os.environ.get("KAI_MODEL"), required="KAI_MODEL" not in os.environ, help="default: $KAI_MODEL")
    parser.add_argument(
        "--base-url",
        default=os.environ.get("OPENAI_BASE_URL", "http://localhost:9000/v1"),
        help="default: $OPENAI_BASE_URL, else http://localhost:9000/v1",
    )
    args = parser.parse_args()
    client = OpenAI(base_url=args.base_url, api_key=os.environ.get("OPENAI_API_KEY", "not-needed"))
    try:
        answer = client.post("/rerank", cast_to=object, body={"model": args.model, "query": QUESTION, "documents": TEXTS, "top_n": 2})
    except openai.APIConnectionError:
        print(f"Nobody answers at {args.base_url}. Is Kai running? Start it with: make run", file=sys.stderr)
        return 1
    except openai.APIError as error:
        print(f"Kai answered with an error: {error}", file=sys.stderr)
        return 1
    for result in answer["results"]:
        print(f"{result['relevance_score']:.3f}  {TEXTS[result['index']]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
