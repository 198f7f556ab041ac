// SPDX-License-Identifier: BSD-2-Clause-Patent
// The official client of the older era (@modelcontextprotocol/sdk) against vmafx-mcp: what it makes of our answers, as a
// line of JSON. It checks structured contents against the schemas of the tools by itself.
//
//     mcp_client_v1.mjs --modules DIR --reference FILE --distorted FILE --slow-reference FILE --slow-distorted FILE (--url URL [--token TOKEN] | --program FILE)
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import path from "node:path";
import { pathToFileURL } from "node:url";

const { values } = parseArgs({ options: Object.fromEntries(
  ["modules", "reference", "distorted", "slow-reference", "slow-distorted", "url", "token", "program"].map((name) => [name, { type: "string" }])) });
const require = createRequire(path.join(values.modules, "package.json"));
const load = async (name) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/${name}`)));
const { Client } = await load("client/index.js");

async function transport() {
  if (values.url) {
    const { StreamableHTTPClientTransport } = await load("client/streamableHttp.js");
    const headers = values.token ? { Authorization: `Bearer ${values.token}` } : {};
    return new StreamableHTTPClientTransport(new URL(values.url), { requestInit: { headers } });
  }
  const { StdioClientTransport } = await load("client/stdio.js");
  return new StdioClientTransport({ command: values.program, args: [], env: process.env, stderr: "inherit" });
}

const client = new Client({ name: "conformance-v1", version: "1" }, { capabilities: {} });
await client.connect(await transport());
await client.ping();
const progress = [];
const call = (name, args = {}) => client.callTool({ name, arguments: args }, undefined,
  { onprogress: (p) => progress.push(p.progress), timeout: 60000 });
const tools = (await client.listTools()).tools;
const scored = await call("score_videos", { reference: values.reference, distorted: values.distorted });
// One with progress on the way: the client drops a notification that it reads in one piece with the answer.
await call("score_videos", { reference: values["slow-reference"], distorted: values["slow-distorted"] });
const id = scored.structuredContent?.job_id;
const jobs = await call("list_jobs");
const worst = await call("worst_frames", { job_id: id, count: 3 });
const explained = await call("explain_score", { job_id: id });
const result = await call("job_result", { job_id: id });
const compared = await call("compare_encodes", { reference: values.reference, distorted: [values.distorted, values.reference] });
const others = {};
for (const name of ["list_models", "list_nodes", "health", "doctor"]) others[name] = (await call(name)).structuredContent;
const refused = await call("score_videos", { reference: "/etc/passwd", distorted: "/etc/passwd" });
const resources = (await client.listResources()).resources;
const templates = (await client.listResourceTemplates()).resourceTemplates;
const csv = (await client.readResource({ uri: `vmafx://jobs/${id}/frames.csv` })).contents[0];
const document = JSON.parse((await client.readResource({ uri: `vmafx://jobs/${id}/result` })).contents[0].text);
const prompts = (await client.listPrompts()).prompts;
const prompt = await client.getPrompt({ name: "is_it_good_enough", arguments: { reference: "a.mp4", distorted: "b.mp4" } });
const completion = await client.complete({ ref: { type: "ref/prompt", name: "why_is_the_score_low" },
                                           argument: { name: "job_id", value: id.slice(0, 4) } });
await client.setLoggingLevel("warning");
let unknown = 0;
try { await call("no_such_tool"); } catch (error) { unknown = error.code; }
console.log(JSON.stringify({ server: client.getServerVersion(), instructions: !!client.getInstructions(),
  tools: tools.map((t) => t.name), scored, jobs: jobs.structuredContent, worst: worst.structuredContent,
  explained: explained.structuredContent, result: result.structuredContent, compared: compared.structuredContent, others,
  refused, resources: resources.map((r) => r.uri), templates: templates.map((t) => t.uriTemplate), csv: csv.text, document,
  prompts: prompts.map((p) => p.name), prompt: prompt.messages[0].content.text, completion: completion.completion.values,
  progress, unknown }));
await client.close();
