// SPDX-License-Identifier: BSD-2-Clause-Patent
// The official client of the newer era (@modelcontextprotocol/client 2.x) against vmafx-mcp: what it makes of our
// answers, as a line of JSON.
//
//     mcp_client_v2.mjs --modules DIR --reference FILE --distorted FILE --slow-reference FILE --slow-distorted FILE (--url URL [--token TOKEN] | --program FILE)
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import path from "node:path";
import { pathToFileURL } from "node:url";

const { values } = parseArgs({ options: Object.fromEntries(
  ["modules", "reference", "distorted", "slow-reference", "slow-distorted", "url", "token", "program"].map((name) => [name, { type: "string" }])) });
const require = createRequire(path.join(values.modules, "package.json"));
const load = async (name) => import(pathToFileURL(require.resolve(name)));
const { Client, StreamableHTTPClientTransport } = await load("@modelcontextprotocol/client");

async function transport() {
  if (values.url) {
    const headers = values.token ? { Authorization: `Bearer ${values.token}` } : {};
    return new StreamableHTTPClientTransport(new URL(values.url), { requestInit: { headers } });
  }
  const { StdioClientTransport } = await load("@modelcontextprotocol/client/stdio");
  return new StdioClientTransport({ command: values.program, args: [], env: process.env, stderr: "inherit" });
}

const client = new Client({ name: "conformance-v2", version: "1" },
  { capabilities: {}, versionNegotiation: { mode: "auto" } });
await client.connect(await transport());
const progress = [];
const call = (name, args = {}) => client.callTool({ name, arguments: args },
  { onprogress: (p) => progress.push(p.progress), timeout: 60000 });
const tools = (await client.listTools()).tools;
const scored = await call("score_videos", { reference: values.reference, distorted: values.distorted });
// One with progress on the way: the client drops a notification that it reads in one piece with the answer.
await call("score_videos", { reference: values["slow-reference"], distorted: values["slow-distorted"] });
const id = scored.structuredContent?.job_id;
const worst = await call("worst_frames", { job_id: id, count: 3 });
const explained = await call("explain_score", { job_id: id });
const refused = await call("score_videos", { reference: "/etc/passwd", distorted: "/etc/passwd" });
const resources = (await client.listResources()).resources;
const templates = (await client.listResourceTemplates()).resourceTemplates;
const csv = (await client.readResource({ uri: `vmafx://jobs/${id}/frames.csv` })).contents[0];
const prompts = (await client.listPrompts()).prompts;
const prompt = await client.getPrompt({ name: "is_it_good_enough", arguments: { reference: "a.mp4", distorted: "b.mp4" } });
let unknown = 0;
try { await call("no_such_tool"); } catch (error) { unknown = error.code; }
console.log(JSON.stringify({ revision: client.getNegotiatedProtocolVersion?.(), server: client.getServerVersion(),
  tools: tools.map((t) => t.name), scored, worst: worst.structuredContent, explained: explained.structuredContent, refused,
  resources: resources.map((r) => r.uri), templates: templates.map((t) => t.uriTemplate), csv: csv.text,
  prompts: prompts.map((p) => p.name), prompt: prompt.messages[0].content.text, progress, unknown }));
await client.close();
