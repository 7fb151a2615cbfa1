// Fan-out on `ws`: one room of N clients, to which the server sends M messages of about 600 bytes at R a second. The clients
// are the load generator's; each has to send {"type":"subscribe"}.
//
//   node ws-fanout.mjs --clients 1000 --messages 200 --rate 10
//
// Lines of JSON on standard output: {"listening":PORT} at once, the reading when everything was handed to the kernel. Then the
// clients are closed with code 1000. `sentAt` in each message is the instant its broadcast began, in microseconds of the epoch.
// Exit code 1 when a client was lost.
//
// Settings, and who recommends them:
// * perMessageDeflate off, which is the default: it "adds a significant overhead in terms of performance and memory"
//   https://github.com/websockets/ws#websocket-compression
// * a message is serialised and encoded once and sent as a buffer with `binary: false`, client by client, as in
//   https://github.com/websockets/ws#server-broadcast
// * a backlog that takes all clients at once
//   https://github.com/websockets/ws/blob/master/doc/ws.md#new-websocketserveroptions-callback
// Not used: `bufferutil`, which helps with masking, and servers do not mask.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { WebSocket, WebSocketServer } from 'ws';

import { now, say } from './lib/run.mjs';

const SIZE = 600;
/** How long clients may take to connect and to be sent what is buffered for them, in milliseconds. */
const PATIENCE = 120_000;
const MIB = 1_048_576;

const { clients, messages, rate } = options();
const room = new Set();
let peak = 0;
let latest = 0;

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, backlog: 65_535 });
server.on('listening', () => tell({ listening: server.address().port }));
server.on('connection', (socket) => {
  socket.on('message', (data) => {
    if (JSON.parse(data).type === 'subscribe') room.add(socket);
  });
  socket.on('error', (error) => say(`ws: ${error.message}`));
  socket.on('close', () => room.delete(socket));
});

try {
  await until(() => room.size === clients, 'not all clients have subscribed');
  await sleep(1_000); // Whatever their arrival left behind is over.
  const idle = process.memoryUsage.rss();
  say(`ws: ${clients} clients; ${messages} messages at ${rate} a second`);
  await broadcastAll();
  await until(() => [...room].every((socket) => socket.bufferedAmount === 0), 'clients do not take what they are sent');
  if (room.size !== clients) throw new Error(`${clients - room.size} of ${clients} clients were lost`);
  const { version } = JSON.parse(readFileSync(new URL('node_modules/ws/package.json', import.meta.url)));
  const [rssMiB, idleRssMiB] = [peak, idle].map((bytes) => Math.round((bytes * 10) / MIB) / 10);
  tell({ peer: 'ws', version, clients, messages, rssMiB, idleRssMiB, latestBroadcastMs: Math.round(latest * 100) / 100 });
} catch (error) {
  say(`ws: ${error.stack}`);
  process.exitCode = 1;
} finally {
  for (const socket of server.clients) socket.close(1000);
  server.close();
  // A client that does not answer the closing handshake is given up by `ws` after 30 s.
}

/** Sends all messages, each when its turn has come, or at once when it is behind. */
async function broadcastAll() {
  const begun = now();
  for (let n = 0; n < messages; n += 1) {
    const due = begun + (n * 1_000) / rate;
    // Always a turn of the event loop, so that sockets are written and clients that leave are noticed.
    await sleep(Math.max(0, due - now()));
    latest = Math.max(latest, now() - due);
    broadcast(n);
    peak = Math.max(peak, process.memoryUsage.rss());
  }
}

function broadcast(n) {
  const message = {
    event: 'campaign.status.updated',
    channel: 'tenant',
    sequence: n,
    sentAt: Math.round(now() * 1_000),
    data: { campaignId: `campaign-${n}`, fromStatus: 'CREATED', toStatus: 'RUNNING' },
  };
  message.filling = 'x'.repeat(SIZE - JSON.stringify(message).length - 13);
  const text = Buffer.from(JSON.stringify(message));
  for (const socket of room) {
    if (socket.readyState === WebSocket.OPEN) socket.send(text, { binary: false });
  }
}

async function until(condition, complaint) {
  const deadline = now() + PATIENCE;
  while (!condition()) {
    if (now() > deadline) throw new Error(complaint);
    await sleep(10);
  }
}

function options() {
  const names = ['clients', 'messages', 'rate'];
  const { values } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, { type: 'string' }])) });
  return Object.fromEntries(
    names.map((name) => {
      const number = Number(values[name]);
      if (!(number > 0)) throw new Error('usage: --clients N --messages M --rate R');
      return [name, number];
    }),
  );
}

function tell(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
