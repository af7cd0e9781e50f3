"""Holds the gateway against OpenAI's Agents SDK for Python, which speaks the
Responses API, and chat completions when it is told to.
"""

import asyncio
import unittest

import openai
from agents import Agent, AgentsException, OpenAIProvider, RunConfig, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from pydantic import BaseModel

from kai import OPEN, SCRIPTED, SIGNATURE, SIGNED, Mark, tool_round

set_tracing_disabled(True)


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"mild in {city}"


class Event(BaseModel):
    name: str
    day: str
    participants: list[str]


class Responses(unittest.IsolatedAsyncioTestCase):
    responses = True

    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # it tells what takes long
        client = AsyncOpenAI(base_url=OPEN, api_key="not-needed", max_retries=0)
        self.addAsyncCleanup(client.close)
        provider = OpenAIProvider(openai_client=client, use_responses=self.responses)
        self.config = RunConfig(model_provider=provider, tracing_disabled=True)

    async def run_agent(self, agent, question, streamed, **more):
        if not streamed:
            return await Runner.run(agent, question, run_config=self.config, max_turns=4, **more)
        result = Runner.run_streamed(agent, question, run_config=self.config, max_turns=4, **more)
        async for _ in result.stream_events():
            pass
        return result

    async def test_the_demo(self):
        for streamed in [False, True]:
            agent = Agent(name="a", instructions="Be brief.", model="demo", tools=[get_weather])
            result = await self.run_agent(agent, "What is the weather in Oslo?", streamed)
            self.assertRegex(result.final_output, "get_weather answered: mild in")

    async def test_a_tool_round_and_a_second_turn(self):
        for model in SCRIPTED:
            for streamed in [False, True]:
                with self.subTest(model, streamed=streamed):
                    mark = tool_round({"text": "You are welcome."})
                    agent = Agent(name="a", instructions="Be brief.", model=model, tools=[get_weather])
                    first = await self.run_agent(agent, mark.say("Weather?"), streamed)
                    self.assertEqual(first.final_output, "Mild.")
                    question = [*first.to_input_list(), {"role": "user", "content": "Thank you"}]
                    second = await self.run_agent(agent, question, streamed)
                    self.assertEqual(second.final_output, "You are welcome.")
                    bodies = mark.bodies()
                    self.assertEqual(len(bodies), 3)
                    self.assertRegex(bodies[1], "mild in Paris.*mild in Rome")
                    self.assertRegex(bodies[2], "mild in Rome.*Mild.*Thank you")
                    if self.responses and model in SIGNED:
                        self.assertIn(SIGNATURE, bodies[1])
                        self.assertIn(SIGNATURE, bodies[2])

    async def test_structured_output(self):
        for model in ["demo", "router/json"]:
            for streamed in [False, True]:
                result = await self.run_agent(Agent(name="a", model=model, output_type=Event), "A fair on Friday", streamed)
                self.assertIsInstance(result.final_output, Event)

    async def test_errors(self):
        with self.assertRaises(openai.BadRequestError):
            await self.run_agent(Agent(name="a", model="no-such-model"), "Hi", False)
        with self.assertRaisesRegex((openai.APIError, AgentsException), "the mock broke off"):
            await self.run_agent(Agent(name="a", model="router/broken"), "Hi", True)

    async def test_a_second_turn_with_the_id_of_the_response_before(self):
        if not self.responses:
            self.skipTest("chat completions know no such ids")
        mark = Mark({"text": "First."}, {"text": "Second."})
        agent = Agent(name="a", model="openai/script")
        first = await self.run_agent(agent, mark.say(), False)
        second = await self.run_agent(agent, "Go on", False, previous_response_id=first.last_response_id)
        self.assertEqual(second.final_output, "Second.")
        self.assertRegex(mark.bodies()[1], "First.*Go on")


class ChatCompletions(Responses):
    responses = False


if __name__ == "__main__":
    unittest.main()
