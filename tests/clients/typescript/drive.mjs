// Drives the built binary with the official TypeScript client, over stdio and over HTTP.
// Usage: node drive.mjs BINARY HOME TOKEN_FILE URL
import { readFileSync } from 'node:fs';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [binary, home, tokenFile, url] = process.argv.slice(2);
const value = 'sk-typescript-4Hn8RwQz2';
let passed = 0;
let failed = 0;
const check = (what, good, detail = '') => {
  if (good) passed += 1;
  else failed += 1;
  console.log(`${good ? 'ok   ' : 'FAIL '} ${what}${good ? '' : '  ' + JSON.stringify(detail)}`);
};

async function session(name, transport) {
  const client = new Client({ name: 'authy-mcp-test', version: '1.0.0' });
  await client.connect(transport);
  const { tools } = await client.listTools();
  check(`${name}: three tools`, tools.length === 3, tools.map((tool) => tool.name));
  const listed = await client.callTool({ name: 'list_allowed', arguments: {} });
  const rules = listed.structuredContent?.rules ?? [];
  check(`${name}: list_allowed`, !listed.isError && rules.length >= 1, listed);
  const said = [];
  const ran = await client.callTool(
    { name: 'run_with_secrets', arguments: rules[0].example },
    { onprogress: (progress) => said.push(progress.message) },
  );
  const text = JSON.stringify(ran);
  check(`${name}: the example runs, masked`, text.includes('[redacted:ts/key]') && !text.includes(value), ran);
  check(`${name}: progress`, said.length >= 1 && !said.join('').includes(value), said);
  const refused = await client.callTool({ name: 'run_with_secrets', arguments: { command: ['env'], secrets: ['ts/key'] } });
  check(`${name}: a denied run`, refused.isError && refused.structuredContent.code === 'command_not_allowed', refused);
  const abort = new AbortController();
  const call = client.callTool(
    { name: 'run_with_secrets', arguments: { command: ['sleep', '86398.5'], secrets: ['ts/key'] } },
    { signal: abort.signal },
  );
  setTimeout(() => abort.abort('enough'), 1000);
  check(`${name}: a cancelled run`, await call.then(() => false, () => true));
  const again = await client.callTool({ name: 'list_allowed', arguments: {} });
  check(`${name}: and the session goes on`, !again.isError);
  await client.close();
}

const env = { AUTHY_MCP_HOME: home, PATH: process.env.PATH };
await session('stdio', new StdioClientTransport({ command: binary, args: ['serve', '--token-file', tokenFile], env }));
const headers = { Authorization: `Bearer ${readFileSync(tokenFile, 'utf8')}` };
await session('http', new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
