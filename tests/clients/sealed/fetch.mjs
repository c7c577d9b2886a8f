// Node's own fetch. By the proxy it needs NODE_USE_ENV_PROXY, which Node knows from 24 on; by a base URL, nothing.
for (const path of ["/one", "/two"]) {
  const answer = await fetch(process.argv[2] + path, { method: "POST", body: JSON.stringify({ a: 1 }) });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  console.log(await answer.text());
}
