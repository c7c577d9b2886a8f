import asyncio, sys, httpx
print(httpx.get(sys.argv[1] + "/sync", timeout=20).raise_for_status().text)
async def main():
    async with httpx.AsyncClient(timeout=20) as client:
        answers = await asyncio.gather(*(client.get(f"{sys.argv[1]}/async{n}") for n in range(8)))
        print(*(answer.raise_for_status().status_code for answer in answers))
asyncio.run(main())
