// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * An OTLP/gRPC receiver made from the official .proto files: what it decodes has been decoded by code that is not ours.
 *
 *   node receiver.mjs --proto DIR --modules DIR --out FILE [--script STEP,…] [--cert PEM --key PEM [--ca PEM]]
 *
 * --modules is a folder whose node_modules has @grpc/grpc-js and @grpc/proto-loader. It listens on a free port of
 * 127.0.0.1, prints "port N" and ends when its standard input does. With --cert it speaks TLS; with --ca too it wants a
 * client certificate. FILE gets a line per request: {"signal", "step", "metadata", "encoding", "request"}, fields by
 * their names in the .proto files, 64-bit numbers as text, bytes in hex, enumerations by name.
 *
 * Requests take their STEPs one by one; when there are none left they succeed:
 *   ok   partial:N   delay:MS   unavailable   exhausted[:MS]   any other status name of gRPC, in small letters
 * exhausted:MS brings a RetryInfo, exhausted alone none; partial:N refuses N items.
 */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';

const text = { type: 'string' };
const { values: options } = parseArgs({
  options: { proto: text, modules: text, out: text, script: text, cert: text, key: text, ca: text },
});
const require = createRequire(path.join(path.resolve(options.modules), 'here.js'));
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const steps = (options.script ?? '').split(',').filter(Boolean);
const rejected = { traces: 'rejected_spans', metrics: 'rejected_data_points', logs: 'rejected_log_records' };

/* ---- google.rpc.Status with a RetryInfo, by hand: those .proto files are not among OTLP's ---- */

function varint(n) {
  const bytes = [];
  for (; n > 127; n = Math.floor(n / 128)) bytes.push((n % 128) | 128);
  return Buffer.from([...bytes, n]);
}

const number = (field, n) => Buffer.concat([varint(field * 8), varint(n)]);
const bytes = (field, data) => Buffer.concat([varint(field * 8 + 2), varint(data.length), Buffer.from(data)]);

function statusWithDelay(code, message, ms) {
  const delay = Buffer.concat([number(1, Math.floor(ms / 1000)), number(2, (ms % 1000) * 1000000)]);
  const any = [bytes(1, 'type.googleapis.com/google.rpc.RetryInfo'), bytes(2, bytes(1, delay))];
  return Buffer.concat([number(1, code), bytes(2, message), bytes(3, Buffer.concat(any))]);
}

/* ---- requests ---- */

function readable(key, value) {
  if (value?.type === 'Buffer' && Array.isArray(value.data)) return Buffer.from(value.data).toString('hex');
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

// grpc-js takes grpc-encoding out of the metadata and keeps it in the innermost call.
function encodingOf(call) {
  for (let inner = call.call; inner; inner = inner.nextCall) if (inner.incomingEncoding) return inner.incomingEncoding;
  return 'unknown';
}

function answer(signal, call, callback) {
  const [step, argument] = (steps.shift() ?? 'ok').split(':');
  const received = call.metadata.getMap();
  const line = { signal, step, metadata: received, encoding: encodingOf(call), request: call.request };
  fs.appendFileSync(options.out, `${JSON.stringify(line, readable)}\n`);
  if (step === 'ok') return callback(null, {});
  if (step === 'delay') return setTimeout(() => callback(null, {}), Number(argument));
  if (step === 'partial') {
    return callback(null, { partial_success: { [rejected[signal]]: argument, error_message: 'refused by the script' } });
  }
  const code = grpc.status[step === 'exhausted' ? 'RESOURCE_EXHAUSTED' : step.toUpperCase()] ?? grpc.status.UNKNOWN;
  const metadata = new grpc.Metadata();
  if (argument !== undefined) metadata.set('grpc-status-details-bin', statusWithDelay(code, step, Number(argument)));
  return callback({ code, details: `the script says ${step}`, metadata });
}

const files = ['trace', 'metrics', 'logs'].map((s) => `opentelemetry/proto/collector/${s}/v1/${s}_service.proto`);
const definition = loader.loadSync(files, { keepCase: true, longs: String, enums: String, includeDirs: [options.proto] });
const { collector } = grpc.loadPackageDefinition(definition).opentelemetry.proto;
const server = new grpc.Server({ 'grpc.max_receive_message_length': 64 << 20 });
for (const [signal, service] of [
  ['traces', collector.trace.v1.TraceService],
  ['metrics', collector.metrics.v1.MetricsService],
  ['logs', collector.logs.v1.LogsService],
]) {
  server.addService(service.service, { Export: (call, callback) => answer(signal, call, callback) });
}

const read = (file) => (file ? fs.readFileSync(file) : null);
const credentials = options.cert
  ? grpc.ServerCredentials.createSsl(
    read(options.ca), [{ cert_chain: read(options.cert), private_key: read(options.key) }], Boolean(options.ca))
  : grpc.ServerCredentials.createInsecure();
server.bindAsync('127.0.0.1:0', credentials, (error, port) => {
  if (error) throw error;
  console.log(`port ${port}`);
});
process.stdin.on('end', () => process.exit(0)).resume();
