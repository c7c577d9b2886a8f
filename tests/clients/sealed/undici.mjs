// Any Node, with the proxy agent of undici.
import { EnvHttpProxyAgent, setGlobalDispatcher, fetch } from "undici";
setGlobalDispatcher(new EnvHttpProxyAgent());
const answer = await fetch(process.argv[2] + "/undici");
if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
console.log(await answer.text());
