"""What a program does with Kai: exactly what it does with OpenAI.

    make run                                  # in another terminal: Kai on port 9000
    python examples/openai_client.py          # everything, with the model "demo"
    python examples/openai_client.py stream tools --model granite-local

The only thing that differs from a program for OpenAI is the base URL. "demo"
answers from within Kai, without a key or a model; any other model of
config/api.yaml does as well. README.md beside this file says how to install the
SDK.
"""

import argparse
import json
import os
import sys

import openai
from openai import OpenAI


def chat(client: OpenAI, model: str) -> None:
    """One question, one answer."""
    completion = client.chat.completions.create(
        model=model,
        messages=[
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "What is an API gateway, in one sentence?"},
        ],
    )
    print(completion.choices[0].message.content)
    print(f"[{completion.usage.total_tokens} tokens]")


def stream(client: OpenAI, model: str) -> None:
    """The answer word by word, and at its end what it cost."""
    chunks = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Count from one to five, in words."}],
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in chunks:
        if chunk.choices:  # the last chunk has usage instead
            print(chunk.choices[0].delta.content or "", end="", flush=True)
        elif chunk.usage:
            print(f"\n[{chunk.usage.total_tokens} tokens]")


def get_weather(city: str) -> str:
    """A function of this program that the model may call."""
    return f"sunny and 21 °C in {city}"


WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The current weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def tools(client: OpenAI, model: str) -> None:
    """The model asks for a function, the program calls it, the model goes on."""
    messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
    for _ in range(5):
        message = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER_TOOL]).choices[0].message
        if not message.tool_calls:
            print(message.content)
            return
        messages.append(message)
        for call in message.tool_calls:
            arguments = json.loads(call.function.arguments)
            result = get_weather(**arguments)
            print(f"{call.function.name}({arguments}) gives: {result}")
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise RuntimeError("the model kept calling tools")


def errors(client: OpenAI, model: str) -> None:
    """What goes wrong is one of the SDK's exceptions, with a text for people."""
    hello = [{"role": "user", "content": "Hello!"}]
    try:
        client.chat.completions.create(model="no-such-model", messages=hello)
    except openai.BadRequestError as error:
        print(f"{error.status_code} {error.type}: {error.body['message']}")
    else:
        raise RuntimeError("an unknown model gave no error")
    try:
        client.chat.completions.create(model=model, messages=hello, temperature=5)
    except openai.BadRequestError as error:
        print(f"{error.status_code} {error.type}, parameter {error.param}: {error.body['message']}")
    else:
        raise RuntimeError("a temperature of 5 gave no error")


def models(client: OpenAI, model: str) -> None:
    """What there is to ask."""
    for entry in client.models.list():
        print(entry.id)
    client.models.retrieve(model)  # an exception if there is no such model


PARTS = {part.__name__: part for part in (chat, stream, tools, errors, models)}


def main() -> int:
    parser = argparse.ArgumentParser(description="Uses Kai through OpenAI's SDK.")
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
