// Reads `lifecycle-events` as another service does: in a consumer group of its own, at least once, repeats told by
// `eventId`. Checks that ids ascend strictly and that every campaign's story has no gap; prints a summary.
//
//   node reader.mjs --redis redis://127.0.0.1:6379 --prefix '' --group billing --idle 2000
//
// It ends when `--count` different events are read, or when nothing came for `--idle` milliseconds.

import Redis from 'ioredis';

import { options, say, tell } from './lib/options.mjs';

const asked = options({
  redis: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379',
  prefix: process.env.LIFECYCLE_REDIS__PREFIX ?? '',
  group: 'billing',
  consumer: 'billing-1',
  idle: 2_000,
  count: 0,
});

const ALWAYS = ['eventId', 'eventType', 'timestamp', 'source', 'tenant', 'position', 'data'];

const stream = `${asked.prefix}lifecycle-events`;
const redis = new Redis(asked.redis, { maxRetriesPerRequest: 1 });
redis.on('error', (error) => say(`Redis: ${error.message}`));

const seen = new Set();
const sequences = new Map();
const summary = {
  type: 'summary', entries: 0, distinct: 0, repeats: 0, notAscending: [], malformed: [], sequenceGaps: [],
  joined: 0, campaigns: 0, byType: {}, rejected: {}, first: null, last: null,
};

function ascends(before, id) {
  const [[time, n], [otherTime, otherN]] = [before, id].map((text) => text.split('-').map(BigInt));
  return time < otherTime || (time === otherTime && n < otherN);
}

function handle(id, flat) {
  const event = {};
  for (let n = 0; n < flat.length; n += 2) event[flat[n]] = flat[n + 1];
  summary.entries += 1;
  if (summary.last !== null && !ascends(summary.last, id)) summary.notAscending.push([summary.last, id]);
  summary.first ??= id;
  summary.last = id;
  const missing = ALWAYS.filter((name) => event[name] === undefined);
  if (missing.length > 0 || event.eventId !== id) summary.malformed.push({ id, missing });
  if (seen.has(event.eventId)) {
    summary.repeats += 1;
    return;
  }
  seen.add(event.eventId);
  summary.byType[event.eventType] = (summary.byType[event.eventType] ?? 0) + 1;
  const data = JSON.parse(event.data);
  if (event.eventType === 'command.rejected') summary.rejected[data.code] = (summary.rejected[data.code] ?? 0) + 1;
  follow(`${event.tenant}/${data.campaignId}`, data.sequence, id);
}

/** A campaign's story begins with 1 and goes on by one. A group that begins late joins stories in their middle. */
function follow(campaign, sequence, id) {
  if (sequence === undefined) return;
  const before = sequences.get(campaign);
  if (before === undefined && sequence > 1) summary.joined += 1;
  if (before !== undefined && sequence !== before + 1) summary.sequenceGaps.push({ campaign, id, before, sequence });
  sequences.set(campaign, sequence);
}

/** One read: what this consumer has not acknowledged yet (`from` is an id), or what is new (`>`). */
async function read(from) {
  const block = from === '>' ? ['BLOCK', asked.idle] : [];
  const answer = await redis.xreadgroup('GROUP', asked.group, asked.consumer, 'COUNT', 500, ...block, 'STREAMS', stream, from);
  const entries = answer?.[0]?.[1] ?? [];
  for (const [id, fields] of entries) {
    // An entry that was trimmed away before it was acknowledged has no fields any more.
    if (fields) handle(id, fields);
  }
  if (entries.length > 0) await redis.xack(stream, asked.group, ...entries.map(([id]) => id));
  return entries.length;
}

async function run() {
  await redis.xgroup('CREATE', stream, asked.group, '0', 'MKSTREAM').catch((error) => {
    if (!error.message.startsWith('BUSYGROUP')) throw error;
  });
  while ((await read('0')) > 0);
  while ((asked.count === 0 || seen.size < asked.count) && (await read('>')) > 0);
  summary.distinct = seen.size;
  summary.campaigns = sequences.size;
  const pending = await redis.xpending(stream, asked.group);
  tell({ ...summary, pending: pending[0] });
  await redis.quit();
}

await run();
