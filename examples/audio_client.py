"""What a program does with Kai to speak, and to write down what was said.

    python examples/audio_client.py --model gpt-4o-mini-tts --transcriber whisper-1

The models are of OpenAI, or of a server like it, behind the adapter "openai"
(docs/clients.md). README.md beside this file says how to install the SDK.
"""

import argparse
import os
import sys
import tempfile

import openai
from openai import OpenAI


def speak(client: OpenAI, model: str, path: str) -> None:
    """Writes the sound to a file while it is made."""
    with client.audio.speech.with_streaming_response.create(model=model, voice="alloy", input="Hello from Kai!") as sound:
        sound.stream_to_file(path)
    print(f"{os.path.getsize(path)} bytes of sound")


def transcribe(client: OpenAI, model: str, path: str) -> None:
    """Shows the words as they are heard."""
    with open(path, "rb") as file:
        for event in client.audio.transcriptions.create(model=model, file=file, stream=True):
            if event.type == "transcript.text.delta":
                print(event.delta, end="", flush=True)
    print()


def main() -> int:
    parser = argparse.ArgumentParser(description="Uses Kai to speak and to transcribe through OpenAI's SDK.")
    parser.add_argument("--model", default=os.environ.get("KAI_MODEL"), required="KAI_MODEL" not in os.environ, help="which speaks; default: $KAI_MODEL")
    parser.add_argument("--transcriber", help="which transcribes; default: the same")
    parser.add_argument(
        "--base-url",
        default=os.environ.get("OPENAI_BASE_URL", "http://localhost:9000/v1"),
        help="default: $OPENAI_BASE_URL, else http://localhost:9000/v1",
    )
    args = parser.parse_args()
    client = OpenAI(base_url=args.base_url, api_key=os.environ.get("OPENAI_API_KEY", "not-needed"))
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "hello.mp3")
            speak(client, args.model, path)
            transcribe(client, args.transcriber or args.model, path)
    except openai.APIConnectionError:
        print(f"Nobody answers at {args.base_url}. Is Kai running? Start it with: make run", file=sys.stderr)
        return 1
    except openai.APIError as error:
        print(f"Kai answered with an error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
