"""Knows nothing but what the SDK reads by itself: OPENAI_API_KEY and OPENAI_BASE_URL, or the proxy."""
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1]) if len(sys.argv) > 1 else openai.OpenAI()
ask = [{"role": "user", "content": "hello"}]
print(client.chat.completions.create(model="m", messages=ask).choices[0].message.content)
text = ""
for event in client.chat.completions.create(model="m", messages=ask, stream=True):
    text += event.choices[0].delta.content or ""
print("streamed:", text)
assert text.startswith("You sent ") and text.endswith("and hello."), text
