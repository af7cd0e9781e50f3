"""What a program does with Kai to have a model go on with a text.

    make run                                  # in another terminal: Kai on port 9000
    python examples/completions_client.py     # everything, with the model "demo"
    python examples/completions_client.py gap --model qwen-coder

The only thing that differs from a program for OpenAI is the base URL. README.md beside
this file says how to install the SDK.
"""

import argparse
import os
import sys

import openai
from openai import OpenAI


def text(client: OpenAI, model: str) -> None:
    """A text, and how it goes on."""
    answer = client.completions.create(model=model, prompt="Once upon a time", max_tokens=12, echo=True)
    print(answer.choices[0].text)
    print(f"[{answer.choices[0].finish_reason}, {answer.usage.total_tokens} tokens]")


def stream(client: OpenAI, model: str) -> None:
    """The same word by word."""
    for chunk in client.completions.create(model=model, prompt="Once upon a time", max_tokens=12, stream=True):
        for choice in chunk.choices:
            print(choice.text, end="", flush=True)
    print()


def gap(client: OpenAI, model: str) -> None:
    """What stands between two texts, as editors ask for it."""
    answer = client.completions.create(model=model, prompt="def add(a, b):\n    return", suffix="\n\nprint(add(1, 2))", max_tokens=12)
    print(repr(answer.choices[0].text))


def several(client: OpenAI, model: str) -> None:
    """Several texts in one request."""
    answer = client.completions.create(model=model, prompt=["Bread needs", "A gateway is"], max_tokens=6)
    for choice in answer.choices:
        print(choice.index, choice.text)


def errors(client: OpenAI, model: str) -> None:
    """What goes wrong is one of the SDK's exceptions, with a text for people."""
    try:
        client.completions.create(model=model, prompt=[])
    except openai.BadRequestError as error:
        print(f"{error.status_code} {error.param}: {error.body['message']}")
    else:
        raise RuntimeError("no error for no prompt")


PARTS = {part.__name__: part for part in (text, stream, gap, several, errors)}


def main() -> int:
    parser = argparse.ArgumentParser(description="Uses Kai for completions through OpenAI's SDK.")
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
