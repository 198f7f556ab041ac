// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * A gRPC client of vmafx-controller made from our .proto files by code that is not ours, told what to do line by line.
 *
 *   node fleet_client.mjs --proto DIR --modules DIR --target HOST:PORT [--cert PEM --key PEM --ca PEM]
 *
 * --modules is a folder whose node_modules has @grpc/grpc-js and @grpc/proto-loader. Each line of stdin is an order, a
 * JSON object with `do` and what that takes; each gets one line of JSON back, in order. Fields have their names of the
 * .proto files, 64-bit numbers are text, enumerations names, bytes base64.
 *
 *   call    service, method, request, metadata?      a unary call: { code, details, response }
 *   bytes   path, base64                             a unary call with these bytes as the request: { code, details }
 *   send    service, method, messages                a stream of these to one answer: { code, details, response }
 *   open    stream, service, method, request?, idle? begins a stream; without a request one in both directions; idle: one
 *                                                    that reads nothing
 *   write   stream, message | base64                 says something on it
 *   next    stream                                   its next message { message }, or its end { code, details }
 *   end     stream                                   this side has said all;  cancel: does not want any more
 *   pack    type, message                            the bytes of any message: { base64 }
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
const protobuf = require('protobufjs'); // what the loader itself stands on

const DEADLINE_MS = 120000;
const files = ['jobs', 'fleet'].map((s) => `vmafx/v1/${s}.proto`);
const shape = { keepCase: true, longs: String, enums: String, bytes: String, oneofs: true, defaults: true };
const definition = grpc.loadPackageDefinition(loader.loadSync(files, { ...shape, includeDirs: [options.proto] }));
const root = new protobuf.Root();
root.resolvePath = (_, target) => path.join(options.proto, target);
root.loadSync(files, { keepCase: true });

const read = (file) => fs.readFileSync(file);
const credentials = options.ca
  ? grpc.credentials.createSsl(read(options.ca), options.key ? read(options.key) : null, options.cert ? read(options.cert) : null)
  : grpc.credentials.createInsecure();
const clients = Object.fromEntries(
  ['Jobs', 'Fleet'].map((name) => [name, new definition.vmafx.v1[name](options.target, credentials)]));
const streams = {};

const metadataOf = (fields = {}) => {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(fields)) metadata.set(key, value);
  return metadata;
};
const status = (error, response) => (error ? { code: error.code, details: error.details } : { code: 0, details: '', response });

// Keeps what came until somebody asks, and who asked until something comes.
function follow(call) {
  const came = [], asking = [];
  const put = (item) => (asking.length ? asking.shift()(item) : came.push(item));
  call.on('data', (message) => put({ message }));
  call.on('error', () => {}); // the status says it
  call.on('status', ({ code, details }) => put({ code, details }));
  return { call, next: () => new Promise((resolve) => (came.length ? resolve(came.shift()) : asking.push(resolve))) };
}

const orders = {
  call: ({ service, method, request, metadata }) => new Promise((resolve) => {
    clients[service][method](request, metadataOf(metadata), { deadline: Date.now() + DEADLINE_MS },
      (error, response) => resolve(status(error, response)));
  }),
  send: ({ service, method, messages }) => new Promise((resolve) => {
    const call = clients[service][method](new grpc.Metadata(), { deadline: Date.now() + DEADLINE_MS },
      (error, response) => resolve(status(error, response)));
    call.on('error', () => {}); // the callback says it
    for (const message of messages) call.write(message);
    call.end();
  }),
  bytes: ({ path: method, base64 }) => new Promise((resolve) => {
    clients.Jobs.makeUnaryRequest(method, (b) => b, (b) => b.toString('base64'), Buffer.from(base64, 'base64'),
      (error, response) => resolve(status(error, response)));
  }),
  open: ({ stream, service, method, request, idle }) => {
    const options = { deadline: Date.now() + DEADLINE_MS };
    const client = clients[service];
    streams[stream] = follow(request ? client[method](request, options)
      : client.makeBidiStreamRequest(client[method].path, // bytes may stand in for a message
        (m) => (Buffer.isBuffer(m) ? m : client[method].requestSerialize(m)), client[method].responseDeserialize,
        new grpc.Metadata(), options));
    if (idle) streams[stream].call.pause();
    return {};
  },
  write: ({ stream, message, base64 }) => {
    streams[stream].call.write(base64 === undefined ? message : Buffer.from(base64, 'base64'));
    return {};
  },
  next: ({ stream }) => streams[stream].next(),
  end: ({ stream }) => { streams[stream].call.end(); return {}; },
  cancel: ({ stream }) => { streams[stream].call.cancel(); return {}; },
  pack: ({ type, message }) => {
    const found = root.lookupType(type);
    return { base64: Buffer.from(found.encode(found.fromObject(message)).finish()).toString('base64') };
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await orders[order.do](order))}\n`);
}
process.exit(0); // open channels would keep it alive
