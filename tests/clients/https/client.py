"""A client of Python's by its name, for an address."""

import sys

name, url = sys.argv[1:]
if name == "urllib":
    import urllib.request

    print(urllib.request.urlopen(url).read().decode(), end="")
elif name == "requests":
    import requests

    print(requests.get(url).text, end="")
elif name == "requests-bare":
    # Neither the proxy nor the roots that a variable names: those of certifi, in this environment.
    import requests

    session = requests.Session()
    session.trust_env = False
    print(session.get(url).text, end="")
elif name == "httpx":
    import httpx

    print(httpx.get(url).text, end="")
elif name == "aiohttp":
    import aiohttp, asyncio

    async def ask():
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()

    print(asyncio.run(ask()), end="")
