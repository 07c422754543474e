"""The script of the provider's own documentation: its SDK, ``asyncio.gather`` and a semaphore of five."""

import asyncio

from replicate.client import Client
from replicate.exceptions import ReplicateError

from bench.arena import MODEL, Case
from bench.contenders.baseline import Access, Baseline, Known, now, prompt
from cli.stack.stack import Stack

AT_ONCE = 5


def _render(_stack: Stack, access: Access, case: Case) -> Known:
    return asyncio.run(_all(access, case.clips))


async def _all(access: Access, clips: int) -> Known:
    client = Client(api_token=access.token, base_url=access.base_url)
    gate, known = asyncio.Semaphore(AT_ONCE), {}

    async def one(number: int) -> None:
        async with gate:
            # The SDK asks every half second. It repeats a GET after a 429, a POST never: such a clip is lost.
            await client.async_run(MODEL, input={"prompt": prompt(number), "duration": 2}, wait=False)
            known[number] = now()

    ended = await asyncio.gather(*(one(number) for number in range(clips)), return_exceptions=True)
    for error in ended:
        if isinstance(error, BaseException) and not isinstance(error, ReplicateError):
            raise error
    return known


SDK = Baseline(name="sdk", render=_render)
