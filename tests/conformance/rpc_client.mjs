// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * A gRPC client made from our .proto files by code that is not ours.
 *
 *   node rpc_client.mjs --proto DIR --modules DIR --target HOST:PORT --do STEP [--cert PEM --key PEM --ca PEM]
 *
 * --modules is a folder whose node_modules has @grpc/grpc-js and @grpc/proto-loader. Does one STEP and prints what came
 * of it as a line of JSON: fields by their names in the .proto files, 64-bit numbers as text, enumerations by name.
 */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const text = { type: 'string' };
const { values: options } = parseArgs({
  options: { proto: text, modules: text, target: text, do: text, cert: text, key: text, ca: text },
});
const require = createRequire(path.join(path.resolve(options.modules), 'here.js'));
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const shape = { keepCase: true, longs: String, enums: String, oneofs: true, defaults: true };

const read = (file) => fs.readFileSync(file);
const credentials = options.cert
  ? grpc.credentials.createSsl(read(options.ca), read(options.key), read(options.cert))
  : options.ca
    ? grpc.credentials.createSsl(read(options.ca))
    : grpc.credentials.createInsecure();

function client(definition, name) {
  const Service = name.split('.').reduce((at, part) => at[part], grpc.loadPackageDefinition(definition));
  return new Service(options.target, credentials);
}
const ours = (name) => client(
  loader.loadSync(['jobs', 'fleet'].map((s) => `vmafx/v1/${s}.proto`), { ...shape, includeDirs: [options.proto] }), name);

/* ---- what gRPC itself specifies, as far as it is needed here ---- */

const standard = {
  'health.proto': `syntax = "proto3"; package grpc.health.v1;
    message HealthCheckRequest { string service = 1; }
    message HealthCheckResponse {
      enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
      ServingStatus status = 1;
    }
    service Health {
      rpc Check(HealthCheckRequest) returns (HealthCheckResponse);
      rpc Watch(HealthCheckRequest) returns (stream HealthCheckResponse);
    }`,
  'reflection.proto': ['v1alpha', 'v1'].includes(options.do.split(':')[1]) && `syntax = "proto3";
    package grpc.reflection.${options.do.split(':')[1]};
    message ServerReflectionRequest {
      string host = 1;
      oneof message_request {
        string file_by_filename = 3; string file_containing_symbol = 4; string list_services = 7;
      }
    }
    message ServerReflectionResponse {
      string valid_host = 1;
      ServerReflectionRequest original_request = 2;
      oneof message_response {
        FileDescriptorResponse file_descriptor_response = 4;
        ListServiceResponse list_services_response = 6;
        ErrorResponse error_response = 7;
      }
    }
    message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
    message ListServiceResponse { repeated ServiceResponse service = 1; }
    message ServiceResponse { string name = 1; }
    message ErrorResponse { int32 error_code = 1; string error_message = 2; }
    service ServerReflection {
      rpc ServerReflectionInfo(stream ServerReflectionRequest) returns (stream ServerReflectionResponse);
    }`,
};

function standardClient(file, name) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rpc-'));
  fs.writeFileSync(path.join(folder, file), standard[file]);
  const definition = loader.loadSync(file, { ...shape, includeDirs: [folder] });
  fs.rmSync(folder, { recursive: true });
  return client(definition, name);
}

/* ---- steps ---- */

const unary = (stub, method, request, metadata = new grpc.Metadata(), call = {}) => new Promise((resolve) => {
  stub[method](request, metadata, { deadline: Date.now() + 30000, ...call }, (error, response) =>
    resolve(error ? { code: error.code, details: error.details } : { code: 0, response }));
});

// All messages of a stream, and its status; `each` may say more or cancel.
const stream = (call, each = () => {}) => new Promise((resolve) => {
  const messages = [];
  call.on('data', (message) => { messages.push(message); each(message, messages.length); });
  call.on('error', () => {});
  call.on('status', ({ code, details }) => resolve({ code, details, messages }));
});

async function reflected(version) {
  const stub = standardClient('reflection.proto', `grpc.reflection.${version}.ServerReflection`);
  const ask = async (request) => {
    const call = stub.ServerReflectionInfo();
    call.write(request);
    call.end();
    return (await stream(call)).messages[0];
  };
  const services = (await ask({ list_services: '' })).list_services_response.service.map((s) => s.name);
  const files = [];
  for (const name of ['vmafx/v1/jobs.proto', 'vmafx/v1/fleet.proto']) {
    files.push(...(await ask({ file_by_filename: name })).file_descriptor_response.file_descriptor_proto);
  }
  // A FileDescriptorSet of what came; the client made of it knows our methods from the server alone.
  const length = (n) => { const b = []; for (; n > 127; n >>= 7) b.push((n & 127) | 128); return Buffer.from([...b, n]); };
  const set = Buffer.concat(files.flatMap((f) => [Buffer.from([10]), length(f.length), f]));
  const made = client(loader.loadFileDescriptorSetFromBuffer(set, shape), 'vmafx.v1.Jobs');
  const missing = await ask({ file_containing_symbol: 'vmafx.v1.Nothing' });
  return { services, missing: missing.error_response, call: await unary(made, 'GetJob', { id: 'reflected' }) };
}

// A client that compresses what it sends.
function packer(packing, service = 'vmafx.v1.Jobs') {
  const stub = ours(service);
  const algorithm = { deflate: 1, gzip: 2 }[packing];
  return new stub.constructor(options.target, credentials, { 'grpc.default_compression_algorithm': algorithm });
}

const steps = {
  async submit() {
    const metadata = new grpc.Metadata();
    metadata.set('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
    return unary(ours('vmafx.v1.Jobs'), 'SubmitJob', {
      job: { reference: { uri: '/clips/größe.y4m' }, encode: { encoder: 'libx264', crf: 0 }, priority: -5,
        labels: [{ key: 'k', value: 'v' }], timeout_ms: '9007199254740993' } }, metadata);
  },
  get: (id) => unary(ours('vmafx.v1.Jobs'), 'GetJob', { id }),
  deadline: () => unary(ours('vmafx.v1.Jobs'), 'GetJob', { id: 'slow' }, undefined, { deadline: Date.now() + 300 }),
  // A method that the .proto files have and the server has not.
  unknown: () => unary(ours('vmafx.v1.Jobs'), 'CancelJob', { id: 'x' }),
  // A message of another kind: what is a text in ours is a number.
  malformed: () => new Promise((resolve) => {
    const stub = ours('vmafx.v1.Jobs');
    stub.makeUnaryRequest('/vmafx.v1.Jobs/GetJob', (b) => b, (b) => b, Buffer.from([0x08, 0x01]), (error) =>
      resolve({ code: error?.code ?? 0, details: error?.details }));
  }),
  large: () => unary(ours('vmafx.v1.Jobs'), 'GetJob', { id: 'x'.repeat(5 << 20) }),
  packed: (packing) => unary(packer(packing), 'GetJob', { id: 'compressed' }),
  bomb: (packing) => unary(packer(packing), 'GetJob', { id: 'x'.repeat(5 << 20) }),
  watch: (n) => stream(ours('vmafx.v1.Jobs').WatchJob({ id: n })),
  cancel: () => {
    const call = ours('vmafx.v1.Jobs').WatchJob({ id: '10000' });
    return stream(call, () => call.cancel()).then(({ code }) => ({ code }));
  },
  connect: (packing) => {
    const call = (packing ? packer(packing, 'vmafx.v1.Fleet') : ours('vmafx.v1.Fleet')).Connect();
    call.write({ hello: { protocol_version: 1, name: 'node-1', slots: 2 } });
    return stream(call, (message, n) => {
      if (n <= 100) call.write({ heartbeat: { sequence: n } });
      else call.end();
    });
  },
  async health() {
    const stub = standardClient('health.proto', 'grpc.health.v1.Health');
    const call = stub.Watch({ service: '' });
    const watched = await stream(call, () => call.cancel());
    return { all: await unary(stub, 'Check', {}), jobs: await unary(stub, 'Check', { service: 'vmafx.v1.Jobs' }),
      other: await unary(stub, 'Check', { service: 'other' }), watched: watched.messages[0] };
  },
  reflection: reflected,
};

const [step, argument] = options.do.split(':');
const line = `${JSON.stringify(await steps[step](argument))}\n`;
process.stdout.write(line, () => process.exit(0)); // open channels would keep it alive
