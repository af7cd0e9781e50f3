"""What a program does with Kai through OpenAI's Responses API.

    make run                                  # in another terminal: Kai on port 9000
    python examples/responses_client.py       # everything, with the model "demo"
    python examples/responses_client.py stream tools --model granite-local

The only thing that differs from a program for OpenAI is the base URL. Kai answers
in this API whatever the model's provider speaks. README.md beside this file says
how to install the SDK.
"""

import argparse
import json
import os
import sys

import openai
from openai import OpenAI
from pydantic import BaseModel


def answer(client: OpenAI, model: str) -> None:
    """One question, one answer."""
    response = client.responses.create(
        model=model, instructions="You are a helpful assistant.", input="What is an API gateway, in one sentence?")
    print(response.output_text)
    print(f"[{response.usage.total_tokens} tokens]")


def stream(client: OpenAI, model: str) -> None:
    """The answer word by word, and at its end what it cost."""
    with client.responses.stream(model=model, input="Count from one to five, in words.") as events:
        for event in events:
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
        print(f"\n[{events.get_final_response().usage.total_tokens} tokens]")


def get_weather(city: str) -> str:
    """A function of this program that the model may call."""
    return f"sunny and 21 °C in {city}"


WEATHER_TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The current weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def tools(client: OpenAI, model: str) -> None:
    """The model asks for a function, the program calls it, the model goes on."""
    items = [{"role": "user", "content": "What is the weather in Oslo?"}]
    for _ in range(5):
        response = client.responses.create(model=model, input=items, tools=[WEATHER_TOOL], store=False)
        items += response.output  # reasoning too: it has what the provider wants back
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            print(response.output_text)
            return
        for call in calls:
            arguments = json.loads(call.arguments)
            result = get_weather(**arguments)
            print(f"{call.name}({arguments}) gives: {result}")
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
    raise RuntimeError("the model kept calling tools")


def memory(client: OpenAI, model: str) -> None:
    """Kai remembers the conversation, for a while and within bounds."""
    first = client.responses.create(model=model, input="My name is Ada.")
    try:
        second = client.responses.create(model=model, input="What is my name?", previous_response_id=first.id)
    except openai.BadRequestError as error:
        if error.code != "previous_response_not_found":
            raise
        print("Kai has forgotten it, or was told to remember nothing. Then send the whole conversation.")
        return
    print(second.output_text)
    client.responses.delete(first.id)


class City(BaseModel):
    name: str
    country: str


def parsed(client: OpenAI, model: str) -> None:
    """An answer in the form that the program wants."""
    response = client.responses.parse(model=model, input="Oslo is the capital of Norway.", text_format=City)
    print(repr(response.output_parsed))


def errors(client: OpenAI, model: str) -> None:
    """What goes wrong is one of the SDK's exceptions, with a text for people."""
    for wrong in ({"model": "no-such-model"}, {"model": model, "temperature": 5}):
        try:
            client.responses.create(input="Hello!", **wrong)
        except openai.BadRequestError as error:
            print(f"{error.status_code} {error.type}: {error.body['message']}")
        else:
            raise RuntimeError(f"no error for {wrong}")


PARTS = {part.__name__: part for part in (answer, stream, tools, memory, parsed, errors)}


def main() -> int:
    parser = argparse.ArgumentParser(description="Uses Kai through OpenAI's SDK and the Responses API.")
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
