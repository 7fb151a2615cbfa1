// Watches campaigns over WebSocket as a dashboard does: every frame becomes one line of JSON on standard output.
// Cut off, it connects again and resumes each channel where it was; at the end it reports what it missed or got twice.
//
//   TOKEN=<jwt> node watcher.mjs --url ws://127.0.0.1:8080/ws --campaign summer-1 --entry header
//
// `--entry` is how the token goes in: `header` or `subprotocol`. It ends when its standard input ends, or after the first
// frame that `--until` describes (`event=campaign.status.updated,campaignId=c,toStatus=CANCELLED`). The line `cut` on
// standard input cuts the connection.
// Lines: {"type":"connected",…} · {"type":"frame","frame":{…}} · {"type":"cut",…} · {"type":"summary",…} at the end.

import { createInterface } from 'node:readline';

import WebSocket from 'ws';

import { Progress } from './lib/cursors.mjs';
import { options, say, tell } from './lib/options.mjs';

const asked = options({ url: 'ws://127.0.0.1:8080/ws', campaign: null, entry: 'header', until: null, patience: 30_000 });
const token = process.env.TOKEN;
if (!token) throw new Error('TOKEN must hold a JSON Web Token');

const ANSWERS = new Set(['authenticated', 'subscribed', 'recovered', 'unsubscribed', 'pong', 'error']);
/** How long it waits before it connects again, in milliseconds. */
const PAUSE = 100;

const channels = new Map([['tenant', new Progress()]]);
if (asked.campaign) channels.set(`campaign:${asked.campaign}`, new Progress());
const wanted = asked.until?.split(',').map((pair) => pair.split('='));

let socket;
let connections = 0;
let frames = 0;
let resumed = 0;
let startedOver = 0;
let ending = false;
let ended = false;
let lastContact = Date.now();

function connect() {
  const headers = asked.entry === 'header' ? { authorization: `Bearer ${token}` } : {};
  const protocols = asked.entry === 'subprotocol' ? ['bearer', token] : [];
  socket = new WebSocket(asked.url, protocols, { headers, handshakeTimeout: 5_000 });
  socket.on('open', () => {
    connections += 1;
    lastContact = Date.now();
    tell({ type: 'connected', entry: asked.entry, protocol: socket.protocol, connection: connections });
    for (const [channel, progress] of channels) {
      const since = progress.cursor ?? undefined;
      socket.send(JSON.stringify({ action: 'subscribe', channel, since }));
    }
  });
  socket.on('message', (text) => hear(JSON.parse(text.toString())));
  socket.on('error', (error) => say(`WebSocket: ${error.message}`));
  socket.on('close', (code, reason) => {
    tell({ type: 'cut', code, reason: reason.toString() });
    if (ending) return end();
    if (Date.now() - lastContact > asked.patience) {
      say(`no connection for ${asked.patience} ms`);
      process.exitCode = 1;
      return end();
    }
    setTimeout(connect, PAUSE);
  });
}

function hear(frame) {
  lastContact = Date.now();
  tell({ type: 'frame', frame });
  const progress = channels.get(frame.channel);
  if (progress) keepUp(progress, frame);
  if (wanted && isWanted(frame)) stop();
}

function keepUp(progress, frame) {
  switch (frame.event) {
    case 'subscribed':
      // With data it is a fresh beginning; without, what was missed follows.
      if (frame.data) progress.restart(frame.cursor, frame.data);
      break;
    case 'recovered':
      if (frame.data.recovered) {
        resumed += 1;
        progress.advance(frame.cursor);
      } else {
        startedOver += 1;
        progress.restart(frame.cursor, frame.data.snapshot);
      }
      break;
    default:
      if (ANSWERS.has(frame.event)) break;
      frames += 1;
      progress.take(frame);
  }
}

function isWanted(frame) {
  const facts = { ...frame.data, event: frame.event, channel: frame.channel };
  return wanted.every(([name, value]) => String(facts[name]) === value);
}

function stop() {
  ending = true;
  if (socket.readyState === WebSocket.OPEN) socket.close(1000);
  else end();
}

function end() {
  if (ended) return;
  ended = true;
  const faults = [...channels].flatMap(([channel, progress]) => progress.faults.map((fault) => ({ channel, ...fault })));
  const cursors = Object.fromEntries([...channels].map(([channel, progress]) => [channel, progress.cursor]));
  tell({ type: 'summary', connections, frames, resumed, startedOver, cursors, faults });
  input.close();
  process.stdin.destroy();
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  if (line.trim() === 'cut') socket.terminate();
});
input.on('close', () => {
  if (!ending) stop();
});
connect();
