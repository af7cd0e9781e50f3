"""What a program does with Kai through Anthropic's Messages API.

    make run                                  # in another terminal: Kai on port 9000
    python examples/messages_client.py        # everything, with the model "demo"
    python examples/messages_client.py stream tools --model granite-local

The only thing that differs from a program for Anthropic is the base URL, which
has no /v1 here. Kai answers in this API whatever the model's provider speaks.
README.md beside this file says how to install the SDK.
"""

import argparse
import os
import sys

import anthropic
from anthropic import Anthropic


def answer(client: Anthropic, model: str) -> None:
    """One question, one answer."""
    message = client.messages.create(
        model=model,
        max_tokens=1000,
        system="You are a helpful assistant.",
        messages=[{"role": "user", "content": "What is an API gateway, in one sentence?"}],
    )
    print(text_of(message))
    print(f"[{message.usage.input_tokens} + {message.usage.output_tokens} tokens]")


def text_of(message) -> str:
    """A message may have thoughts and calls beside its text."""
    return "".join(block.text for block in message.content if block.type == "text")


def stream(client: Anthropic, model: str) -> None:
    """The answer word by word, and at its end what it cost."""
    with client.messages.stream(
        model=model,
        max_tokens=1000,
        messages=[{"role": "user", "content": "Count from one to five, in words."}],
    ) as events:
        for text in events.text_stream:
            print(text, end="", flush=True)
        print(f"\n[{events.get_final_message().usage.output_tokens} tokens]")


def get_weather(city: str) -> str:
    """A function of this program that the model may call."""
    return f"sunny and 21 °C in {city}"


WEATHER_TOOL = {
    "name": "get_weather",
    "description": "The current weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def tools(client: Anthropic, model: str) -> None:
    """The model asks for a function, the program calls it, the model goes on."""
    messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
    for _ in range(5):
        message = client.messages.create(model=model, max_tokens=1000, messages=messages, tools=[WEATHER_TOOL])
        if message.stop_reason != "tool_use":
            print(text_of(message))
            return
        results = []
        for block in message.content:
            if block.type == "tool_use":
                result = get_weather(**block.input)
                print(f"{block.name}({block.input}) gives: {result}")
                results.append({"type": "tool_result", "tool_use_id": block.id, "content": result})
        # Thoughts go back as they came: they have what the provider wants back.
        messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
    raise RuntimeError("the model kept calling tools")


def errors(client: Anthropic, model: str) -> None:
    """What goes wrong is one of the SDK's exceptions, with a text for people."""
    hello = [{"role": "user", "content": "Hello!"}]
    try:
        client.messages.create(model="no-such-model", max_tokens=1000, messages=hello)
    except anthropic.NotFoundError as error:
        print(f"{error.status_code}: {error.body['error']['message']}")
    else:
        raise RuntimeError("an unknown model gave no error")
    try:
        client.messages.create(model=model, max_tokens=1000, messages=[])
    except anthropic.BadRequestError as error:
        print(f"{error.status_code}: {error.body['error']['message']}")
    else:
        raise RuntimeError("a conversation without messages gave no error")


def models(client: Anthropic, model: str) -> None:
    """What there is to ask."""
    for entry in client.models.list():
        print(entry.id)
    client.models.retrieve(model)  # an exception if there is no such model


PARTS = {part.__name__: part for part in (answer, stream, tools, errors, models)}


def main() -> int:
    parser = argparse.ArgumentParser(description="Uses Kai through Anthropic's SDK.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"what to show: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--model", default=os.environ.get("KAI_MODEL", "demo"), help="default: $KAI_MODEL, else demo")
    parser.add_argument(
        "--base-url",
        default=os.environ.get("ANTHROPIC_BASE_URL", "http://localhost:9000"),
        help="default: $ANTHROPIC_BASE_URL, else http://localhost:9000",
    )
    args = parser.parse_args()
    for name in args.parts:
        if name not in PARTS:
            parser.error(f"there is no part {name!r}; there are {', '.join(PARTS)}")

    # Without auth in Kai's configuration any key will do, but the SDK wants one.
    client = Anthropic(base_url=args.base_url, api_key=os.environ.get("ANTHROPIC_API_KEY", "not-needed"))
    try:
        for name in args.parts or PARTS:
            print(f"--- {name}: {PARTS[name].__doc__}")
            PARTS[name](client, args.model)
            print()
    except anthropic.APIConnectionError:
        print(f"Nobody answers at {args.base_url}. Is Kai running? Start it with: make run", file=sys.stderr)
        return 1
    except anthropic.APIError as error:
        print(f"Kai answered with an error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
