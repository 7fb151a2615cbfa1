// Reads everything that the service has written to its streams and holds it against the AsyncAPI document: every entry's
// fields against the headers of its message, the JSON text in it against the payload.
//
//   node conformance.mjs --document asyncapi.json --redis redis://127.0.0.1:6379 --prefix ''

import { readFile } from 'node:fs/promises';

import Ajv from 'ajv';
import Redis from 'ioredis';

import { options, say, tell } from './lib/options.mjs';

const asked = options({
  redis: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379',
  prefix: process.env.LIFECYCLE_REDIS__PREFIX ?? '',
  document: 'docs/asyncapi.json',
});

const PAGE = 1_000;
const SHOWN = 5;

const document = JSON.parse(await readFile(asked.document, 'utf8'));
const follow = (value) => (value?.$ref ? value.$ref.slice(2).split('/').reduce((at, name) => at[name], document) : value);

const isTime = (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text) && !Number.isNaN(Date.parse(text));
const isUuid = (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
// Formats of integers say how long they may be; the limits beside them say the rest.
const formats = { 'date-time': isTime, uuid: isUuid, uint32: true, uint64: true, int64: true };
const ajv = new Ajv({ strict: false, allErrors: true, formats });

/** How to check a channel's entries: the field that names the message, and a checker for each message. */
function checkers(channel) {
  const messages = Object.values(channel.messages).map(follow);
  const byName = new Map(messages.map(({ name, headers, payload }) => {
    return [name, { headers: ajv.compile(follow(headers)), payload: ajv.compile(payload) }];
  }));
  // A channel with one message does not name it: its entries are all of that kind.
  const only = messages.length === 1 ? byName.get(messages[0].name) : undefined;
  return (fields) => only ?? byName.get(fields.eventType ?? fields.event);
}

async function check(redis, channel, wrong) {
  const stream = `${asked.prefix}${channel.address}`;
  const checkerOf = checkers(channel);
  const { payloadField } = channel['x-redis-stream'];
  let count = 0;
  for (let from = '-'; ;) {
    const entries = await redis.xrange(stream, from, '+', 'COUNT', PAGE);
    for (const [id, flat] of entries) {
      count += 1;
      const fields = {};
      for (let n = 0; n < flat.length; n += 2) fields[flat[n]] = flat[n + 1];
      const { [payloadField]: payload, ...headers } = fields;
      const checker = checkerOf(fields);
      const fault = (what) => wrong.push({ stream: channel.address, id, what });
      if (!checker) fault(`no message is called ${fields.eventType ?? fields.event}`);
      else if (!checker.headers(headers)) fault(`headers: ${ajv.errorsText(checker.headers.errors)}`);
      else if (!checker.payload(JSON.parse(payload))) fault(`payload: ${ajv.errorsText(checker.payload.errors)}`);
    }
    if (entries.length < PAGE) return count;
    from = `(${entries.at(-1)[0]}`;
  }
}

const redis = new Redis(asked.redis, { maxRetriesPerRequest: 1 });
redis.on('error', (error) => say(`Redis: ${error.message}`));
const wrong = [];
const checked = {};
for (const { action, channel: reference } of Object.values(document.operations)) {
  const channel = follow(reference);
  if (action === 'send' && channel['x-redis-stream']) {
    checked[reference.$ref.split('/').at(-1)] = await check(redis, channel, wrong);
  }
}
await redis.quit();
tell({ type: 'summary', checked, count: wrong.length, wrong: wrong.slice(0, SHOWN) });
