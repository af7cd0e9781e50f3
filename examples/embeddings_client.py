"""What a program does with Kai to compare texts by their meaning.

    make run                                  # in another terminal: Kai on port 9000
    python examples/embeddings_client.py      # everything, with the model "demo"
    python examples/embeddings_client.py search --model nomic

The only thing that differs from a program for OpenAI is the base URL. The vectors of
"demo" only know which words a text has; a model that is made for it knows what they
mean. README.md beside this file says how to install the SDK.
"""

import argparse
import os
import sys

import openai
from openai import OpenAI

TEXTS = [
    "A gateway sends each request to one of several providers.",
    "Bread needs flour, water, salt and time.",
    "The provider of a model sends its answer to the gateway.",
]


def vectors(client: OpenAI, model: str) -> None:
    """A vector for each text, in their order."""
    answer = client.embeddings.create(model=model, input=TEXTS)
    for item in answer.data:
        print(f"{item.index}: {len(item.embedding)} numbers, the first is {item.embedding[0]:.4f}")
    print(f"[{answer.usage.total_tokens} tokens]")


def search(client: OpenAI, model: str) -> None:
    """Which text is nearest to a question."""
    question = "Which provider gets a request of the gateway?"
    answer = client.embeddings.create(model=model, input=[question, *TEXTS])
    asked, *known = [item.embedding for item in answer.data]
    # All have the length 1, so this is the cosine of the angle between them.
    scores = [sum(a * b for a, b in zip(asked, vector)) for vector in known]
    for score, text in sorted(zip(scores, TEXTS), reverse=True):
        print(f"{score:.3f}  {text}")


def errors(client: OpenAI, model: str) -> None:
    """What goes wrong is one of the SDK's exceptions, with a text for people."""
    for wrong in ["", ["a", ""]]:
        try:
            client.embeddings.create(model=model, input=wrong)
        except openai.BadRequestError as error:
            print(f"{error.status_code} {error.param}: {error.body['message']}")
        else:
            raise RuntimeError(f"no error for {wrong!r}")


PARTS = {part.__name__: part for part in (vectors, search, errors)}


def main() -> int:
    parser = argparse.ArgumentParser(description="Uses Kai for embeddings through OpenAI's SDK.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"what to show: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--model", default=os.environ.get("KAI_MODEL", "demo"), help="default: $KAI_MODEL, else demo")
    parser.add_argument(
        "--base-url",
        default=os.environ.get("OPENAI_BASE_URL", "http://localhost:9000/v1"),
        help="default: $OPENAI_BASE_URL, else http://localhost:9000/v1",
    )
    args = parser.parse_args()
    for name in args.parts:
        if name not in PARTS:
            parser.error(f"there is no part {name!r}; there are {', '.join(PARTS)}")

    # Without auth in Kai's configuration any key will do, but the SDK wants one.
    client = OpenAI(base_url=args.base_url, api_key=os.environ.get("OPENAI_API_KEY", "not-needed"))
    try:
        for name in args.parts or PARTS:
            print(f"--- {name}: {PARTS[name].__doc__}")
            PARTS[name](client, args.model)
            print()
    except openai.APIConnectionError:
        print(f"Nobody answers at {args.base_url}. Is Kai running? Start it with: make run", file=sys.stderr)
        return 1
    except openai.APIError as error:
        print(f"Kai answered with an error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
