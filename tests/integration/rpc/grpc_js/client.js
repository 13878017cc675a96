// SPDX-License-Identifier: Apache-2.0
// Usage: node client.js SOCKET PID-OF-SERVER
//
// Learns the server's services by reflection and then uses them as a stock client does.
'use strict';

const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');
require('protobufjs/ext/descriptor');

const [socket, serverPid] = [process.argv[2], Number(process.argv[3])];
const target = `unix:${socket}`;
const insecure = grpc.credentials.createInsecure();
let failed = 0;

function check(good, sentence, seen) {
  if (!good) failed++;
  console.log(`${good ? 'ok' : 'not ok'} - ${sentence}`);
  if (!good) console.log(`# ${seen instanceof Error ? seen.stack : JSON.stringify(seen)}`);
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// ---- Reflection: the only interface that a client brings along --------------------------

const reflectionProto = (version) => `
  syntax = "proto3";
  package grpc.reflection.${version};
  message ServerReflectionRequest {
    string host = 1;
    oneof message_request {
      string file_by_filename = 3;
      string file_containing_symbol = 4;
      string list_services = 7;
    }
  }
  message ServerReflectionResponse {
    FileDescriptorResponse file_descriptor_response = 4;
    ListServiceResponse list_services_response = 6;
    ErrorResponse error_response = 7;
  }
  message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
  message ListServiceResponse { repeated ServiceResponse service = 1; }
  message ServiceResponse { string name = 1; }
  message ErrorResponse { int32 error_code = 1; string error_message = 2; }`;

class Reflection {
  constructor(version) {
    const root = protobuf.parse(reflectionProto(version), { keepCase: true }).root;
    const name = `grpc.reflection.${version}`;
    const request = root.lookupType(`${name}.ServerReflectionRequest`);
    const response = root.lookupType(`${name}.ServerReflectionResponse`);
    const Client = grpc.makeGenericClientConstructor({
      info: {
        path: `/${name}.ServerReflection/ServerReflectionInfo`,
        requestStream: true,
        responseStream: true,
        requestSerialize: (value) => Buffer.from(request.encode(request.fromObject(value)).finish()),
        responseDeserialize: (bytes) => response.decode(bytes),
      },
    }, 'ServerReflection');
    this.client = new Client(target, insecure);
    this.stream = this.client.info();
    this.answers = [];
    this.stream.on('data', (answer) => this.answers.shift()(answer));
    this.stream.on('error', () => {});
  }

  ask(question) {
    return new Promise((resolve) => {
      this.answers.push(resolve);
      this.stream.write(question);
    });
  }

  async services() {
    const answer = await this.ask({ list_services: '' });
    return answer.list_services_response.service.map((service) => service.name).sort();
  }

  // Serialized FileDescriptorProtos, imports included.
  async files(symbol) {
    const answer = await this.ask({ file_containing_symbol: symbol });
    if (answer.error_response) throw new Error(answer.error_response.error_message);
    return answer.file_descriptor_response.file_descriptor_proto;
  }

  close() {
    this.stream.end();
    this.client.close();
  }
}

// Field 1 of FileDescriptorSet, once for each file.
function descriptorSet(files) {
  const seen = new Map(files.map((file) => [Buffer.from(file).toString('base64'), file]));
  const writer = protobuf.Writer.create();
  for (const file of seen.values()) writer.uint32((1 << 3) | 2).bytes(file);
  return Buffer.from(writer.finish());
}

async function learn(version, symbols) {
  const reflection = new Reflection(version);
  const services = await reflection.services();
  const files = [];
  for (const symbol of symbols) files.push(...await reflection.files(symbol));
  const unknown = await reflection.files('no.such.Symbol').catch((error) => error);
  reflection.close();
  return { services, set: descriptorSet(files), unknown };
}

// ---- Calls ------------------------------------------------------------------------------

function unary(client, method, request, options) {
  return new Promise((resolve) => {
    client[method](request, options || {}, (error, value) => resolve({ error, value }));
  });
}

function read(stream, onData) {
  return new Promise((resolve) => {
    const seen = [];
    stream.on('data', (message) => {
      seen.push(message);
      if (onData) onData(seen);
    });
    stream.on('error', (error) => resolve({ seen, error }));
    stream.on('end', () => resolve({ seen }));
  });
}

async function unaryCalls(echo) {
  let r = await unary(echo, 'Echo', { text: 'h\u00e9llo', payload: Buffer.from([0, 255]) },
    { deadline: Date.now() + 5000 });
  check(!r.error && r.value.text === 'h\u00e9llo' && r.value.payload.equals(Buffer.from([0, 255])),
    'a unary call gets its reply', r);
  check(!r.error && r.value.peer === 'tester' && Number(r.value.time_left_ms) > 4000,
    'the server sees who calls and the deadline', r);

  r = await unary(echo, 'Echo', { delay_ms: 3000 }, { deadline: Date.now() + 200 });
  check(r.error && r.error.code === grpc.status.DEADLINE_EXCEEDED, 'a deadline passes', r);

  const start = Date.now();
  const cancelled = await new Promise((resolve) => {
    const call = echo.Echo({ delay_ms: 10000 }, (error) => resolve(error));
    setTimeout(() => call.cancel(), 100);
  });
  check(cancelled && cancelled.code === grpc.status.CANCELLED && Date.now() - start < 8000,
    'a call is cancelled', cancelled);

  r = await unary(echo, 'Missing', {});
  check(r.error && r.error.code === grpc.status.UNIMPLEMENTED, 'a missing method is UNIMPLEMENTED', r);
  r = await unary(echo, 'Forbidden', {});
  check(r.error && r.error.code === grpc.status.PERMISSION_DENIED, 'a role is needed', r);
  r = await unary(echo, 'Echo', { payload: Buffer.alloc(2 << 20) });
  check(r.error && r.error.code === grpc.status.RESOURCE_EXHAUSTED, 'a request may be too large', r);
  r = await unary(echo, 'Echo', { reply_bytes: 3 << 20 });
  check(!r.error && r.value.payload.length === 3 << 20, 'a reply may be large', r.error);

  const many = await Promise.all([...Array(2000).keys()].map(
    (i) => unary(echo, 'Echo', { text: `p${i}` })));
  const bad = many.filter((x, i) => x.error || x.value.text !== `p${i}`);
  check(bad.length === 0, '2,000 calls at once all get their own reply', bad.slice(0, 3));
}

async function richError(echo, set) {
  const root = protobuf.Root.fromDescriptor(set);
  const { error } = await unary(echo, 'Echo', { fail_reason: 'insufficient_capacity', text: 'no room' });
  const bytes = error && error.metadata.get('grpc-status-details-bin')[0];
  const status = bytes && root.lookupType('google.rpc.Status').decode(bytes);
  const detail = (index, type) => root.lookupType(type).decode(status.details[index].value);

  check(error && error.code === grpc.status.RESOURCE_EXHAUSTED
    && error.details === 'asked to fail: no room, 100% of \u00e4', 'a failure has code and text', error);
  check(status && status.code === error.code && status.message === error.details,
    'its details repeat them', status);
  const info = detail(0, 'google.rpc.ErrorInfo');
  // protobufjs reads a map of a descriptor as the list of entries that it is on the wire.
  check(info.reason === 'insufficient_capacity' && info.domain === 'hypeman'
    && info.metadata.length === 1 && info.metadata[0].key === 'field'
    && info.metadata[0].value === 'echo.text', 'ErrorInfo names reason, domain and field', info);
  const failure = detail(1, 'google.rpc.PreconditionFailure');
  check(failure.violations.length === 16 && failure.violations[3].type === 'size_locked'
    && failure.violations[3].subject === 'part-3', 'PreconditionFailure lists the parts', failure);
}

async function streams(echo) {
  let r = await read(echo.Count({ count: 500, payload_bytes: 1000 }));
  check(!r.error && r.seen.length === 500 && r.seen.every((m, i) => m.number === i),
    'a server streams in order', r.error);

  r = await read(echo.Count({ count: 10, fail_after: 4 }));
  check(r.error && r.error.code === grpc.status.ABORTED && r.seen.length === 4,
    'a stream fails after data', r);

  const call = echo.Count({ count: 100, interval_ms: 50 });
  r = await read(call, (seen) => seen.length === 3 && call.cancel());
  check(r.error && r.error.code === grpc.status.CANCELLED && r.seen.length === 3,
    'a stream is cancelled', r);

  r = await read(echo.Count({ count: 100, interval_ms: 100 }, { deadline: Date.now() + 1000 }));
  check(r.error && r.error.code === grpc.status.DEADLINE_EXCEEDED && r.seen.length >= 1,
    'a stream has a deadline', r);

  const chat = echo.Chat();
  const lines = [...Array(20).keys()].map((i) => `line ${i}`);
  const answers = read(chat, (seen) => seen.length === 20 && chat.end());
  lines.forEach((text) => chat.write({ text }));
  r = await answers;
  check(!r.error && r.seen.map((m) => m.text).join() === lines.join(), 'both sides stream', r);

  r = await new Promise((resolve) => {
    const collect = echo.Collect((error, value) => resolve({ error, value }));
    for (let i = 0; i < 100; i++) collect.write({ text: 'x' });
    collect.end();
  });
  check(!r.error && Number(r.value.count) === 100, 'a client streams', r);
}

async function health(client) {
  let r = await unary(client, 'Check', { service: 'hypeman.test.v1.EchoService' });
  check(!r.error && r.value.status === 'SERVING', 'health Check of a service', r);
  r = await unary(client, 'Check', {});
  check(!r.error && r.value.status === 'SERVING', 'health Check of the server', r);
  r = await unary(client, 'Check', { service: 'no.such.Service' });
  check(r.error && r.error.code === grpc.status.NOT_FOUND, 'health Check of an unknown service', r);

  const watch = client.Watch({ service: 'hypeman.test.v1.EchoService' });
  const seen = [];
  watch.on('data', (message) => seen.push(message.status));
  watch.on('error', () => {});
  for (let wanted = 1; wanted <= 3; wanted++) {
    for (let i = 0; i < 100 && seen.length < wanted; i++) await sleep(20);
    if (wanted < 3) process.kill(serverPid, 'SIGUSR1');
  }
  watch.cancel();
  check(seen.join() === 'SERVING,NOT_SERVING,SERVING', 'health Watch tells each change', seen);
}

async function main() {
  const symbols = ['hypeman.test.v1.EchoService', 'grpc.health.v1.Health', 'google.rpc.Status',
    'google.rpc.ErrorInfo'];
  const all = ['grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection',
    'grpc.reflection.v1alpha.ServerReflection', 'hypeman.test.v1.EchoService'];
  let learnt;

  for (const version of ['v1alpha', 'v1']) {
    learnt = await learn(version, symbols);
    check(learnt.services.join() === all.join(), `reflection ${version} lists the services`, learnt.services);
    check(learnt.unknown instanceof Error, `reflection ${version} says what it does not know`, learnt.unknown);
  }
  const packages = grpc.loadPackageDefinition(loader.loadFileDescriptorSetFromBuffer(learnt.set,
    { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true }));
  const echo = new packages.hypeman.test.v1.EchoService(target, insecure);
  const checker = new packages.grpc.health.v1.Health(target, insecure);

  await unaryCalls(echo);
  await richError(echo, learnt.set);
  await streams(echo);
  await health(checker);
  echo.close();
  checker.close();
}

main().catch((error) => check(false, 'the client runs to its end', error))
  .finally(() => process.exit(failed ? 1 : 0));
