// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * A gRPC client of vmafx-server made from our .proto files by code that is not ours, told what to do line by line.
 *
 *   node server_client.mjs --proto DIR --modules DIR --target HOST:PORT [--cert PEM --key PEM --ca PEM]
 *
 * As fleet_client.mjs: each line of stdin is an order, a JSON object with `do` and what that takes; each gets one line of
 * JSON back. Fields have their names of the .proto files, 64-bit numbers are text, enumerations names.
 *
 *   call    method, request, metadata?       a unary call: { code, details, response }
 *   open    stream, method, request?         begins a stream; without a request one in both directions
 *   setup   stream, setup                    the first message of ScoreStream
 *   data    stream, video, file, from, to    bytes of a file as data of "reference" or "distorted", in pieces
 *   finish  stream, reference?, distorted?   VideoEnd
 *   next    stream                           its next message { message }, or its end { code, details, trailer }
 *   end     stream                           this side has said all;  cancel: does not want any more
 *   idle    n, method                        opens n streams in both directions and says nothing: { open }
 *   rate    method?, request, n, parallel    n calls of Score, so many at a time: { seconds, failed }
 *   pace    setup, reference, distorted, header, size, frames   a frame of each, then its score, and so on:
 *                                            { micros: [from the last byte sent to the frame's scores, …] }
 */
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { parseArgs } from 'node:util';

const text = { type: 'string' };
const { values: options } = parseArgs({
  options: { proto: text, modules: text, target: text, cert: text, key: text, ca: text },
});
const require = createRequire(path.join(path.resolve(options.modules), 'here.js'));
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const DEADLINE_MS = 120000;
const PIECE = 256 * 1024;
const shape = { keepCase: true, longs: String, enums: String, bytes: String, oneofs: true, defaults: true };
const definition = grpc.loadPackageDefinition(
  loader.loadSync(['vmafx/v1/scoring.proto'], { ...shape, includeDirs: [options.proto] }));

const read = (file) => fs.readFileSync(file);
const credentials = options.ca
  ? grpc.credentials.createSsl(read(options.ca), options.key ? read(options.key) : null, options.cert ? read(options.cert) : null)
  : grpc.credentials.createInsecure();
const client = new definition.vmafx.v1.Scoring(options.target, credentials, { 'grpc.max_receive_message_length': 64 << 20 });
const streams = {}, files = {};

const metadataOf = (fields = {}) => {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(fields)) metadata.set(key, value);
  return metadata;
};

// Keeps what came until somebody asks, and who asked until something comes.
function follow(call) {
  const came = [], asking = [];
  const put = (item) => (asking.length ? asking.shift()(item) : came.push(item));
  call.on('data', (message) => put({ message }));
  call.on('error', () => {}); // the status says it
  call.on('status', ({ code, details, metadata }) => put({ code, details, trailer: metadata.getMap() }));
  return { call, next: () => new Promise((resolve) => (came.length ? resolve(came.shift()) : asking.push(resolve))) };
}

// The piece of a file that is wanted; files are read once.
const slice = (file, from, to) => (files[file] ??= read(file)).subarray(from, to ?? undefined);

// Says it, and goes on when there is room to say more.
const write = (call, message) => new Promise((resolve) => {
  if (call.write(message)) resolve();
  else call.once('drain', resolve);
});

async function score(request) {
  const stream = follow(client.Score(request, { deadline: Date.now() + DEADLINE_MS }));
  for (;;) {
    const item = await stream.next();
    if ('code' in item) return item.code;
  }
}

const orders = {
  call: ({ method, request, metadata }) => new Promise((resolve) => {
    client[method](request ?? {}, metadataOf(metadata), { deadline: Date.now() + DEADLINE_MS }, (error, response) => resolve(
      error ? { code: error.code, details: error.details } : { code: 0, details: '', response }));
  }),
  open: ({ stream, method, request, metadata }) => {
    const options = { deadline: Date.now() + DEADLINE_MS };
    streams[stream] = follow(request ? client[method](request, metadataOf(metadata), options)
      : client[method](metadataOf(metadata), options));
    return {};
  },
  setup: ({ stream, setup }) => (streams[stream].call.write({ setup }), {}),
  data: async ({ stream, video, file, from = 0, to, wait = true }) => {
    const bytes = slice(file, from, to);
    for (let at = 0; at < bytes.length; at += PIECE) {
      const message = { [video]: bytes.subarray(at, at + PIECE) };
      if (wait) await write(streams[stream].call, message);
      else streams[stream].call.write(message);
    }
    return { bytes: bytes.length };
  },
  finish: ({ stream, reference = false, distorted = false }) => (
    streams[stream].call.write({ end: { reference, distorted } }), {}),
  next: ({ stream }) => streams[stream].next(),
  end: ({ stream }) => (streams[stream].call.end(), {}),
  cancel: ({ stream }) => (streams[stream].call.cancel(), {}),
  idle: async ({ n, method }) => {
    const calls = Array.from({ length: n }, () => client[method](metadataOf(), {}));
    for (const call of calls) call.on('error', () => {}).on('data', () => {});
    await Promise.all(calls.map((call) => new Promise((resolve) => call.once('metadata', resolve))));
    streams[`idle ${n}`] = { call: { cancel: () => calls.forEach((call) => call.cancel()) } };
    return { open: n };
  },
  rate: async ({ request, n, parallel }) => {
    let left = n, failed = 0;
    const began = process.hrtime.bigint();
    await Promise.all(Array.from({ length: parallel }, async () => {
      while (left-- > 0) failed += (await score(request)) !== 0;
    }));
    return { seconds: Number(process.hrtime.bigint() - began) / 1e9, failed };
  },
  pace: async ({ setup, reference, distorted, header, size, frames }) => {
    const stream = follow(client.ScoreStream(metadataOf(), { deadline: Date.now() + DEADLINE_MS }));
    const both = async (from, to) => {
      for (const [video, file] of [['reference', reference], ['distorted', distorted]]) {
        const bytes = slice(file, from, to);
        for (let at = 0; at < bytes.length; at += PIECE) await write(stream.call, { [video]: bytes.subarray(at, at + PIECE) });
      }
    };
    const sent = [], micros = [];
    let scored = 0;
    stream.call.write({ setup });
    await both(0, header);
    for (let i = 0; i < frames; i++) {
      await both(header + i * size, header + (i + 1) * size);
      sent.push(process.hrtime.bigint());
      // a frame is final with the next one: wait for the one before this, so that two are under way at most
      while (scored < i) {
        const { message, code, details } = await stream.next();
        if (code !== undefined) return { code, details };
        if (message.kind !== 'frames') continue;
        const now = process.hrtime.bigint();
        const n = message.frames.columns[0].values.length;
        for (let k = 0; k < n; k++) micros.push(Number(now - sent[Math.min(scored + k + 1, i)]) / 1e3);
        scored += n;
      }
    }
    stream.call.end();
    for (;;) {
      const item = await stream.next();
      if ('code' in item) return { code: item.code, details: item.details, micros };
    }
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  let answer;
  try {
    answer = await orders[order.do](order);
  } catch (error) {
    answer = { failed: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}
process.exit(0);
