// Publishes events as the platform's Main API does: XADD to `campaign-events`, pipelined, deterministic by `--seed`.
// Standard output says, line by line in JSON, what the service must have made of them in the end.
//
//   node producer.mjs --seed 7 --entries 20000 --redis redis://127.0.0.1:6379 --prefix ''
//
// `--batch` entries go into one round trip, with `--pause` milliseconds after it.
// Lines: {"type":"campaign",…} how a campaign must stand · {"type":"letter",…} what must be in the dead-letter queue ·
// {"type":"summary",…} counts, at the end.

import { setTimeout as sleep } from 'node:timers/promises';

import Redis from 'ioredis';

import { options, say, tell } from './lib/options.mjs';
import { plan } from './lib/plan.mjs';

const asked = options({
  redis: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379',
  prefix: process.env.LIFECYCLE_REDIS__PREFIX ?? '',
  seed: 1,
  entries: 20_000,
  batch: 500,
  pause: 0,
});

/** Appends `entries` in one round trip; answers the ids that Redis gave them. */
async function append(redis, stream, entries) {
  const pipeline = redis.pipeline();
  for (const entry of entries) pipeline.xadd(stream, '*', ...entry.fields.flat());
  const answers = await pipeline.exec();
  return answers.map(([error, id]) => {
    if (error) throw error;
    return id;
  });
}

async function run() {
  const { stream, campaigns, counts } = plan(asked.seed, asked.entries);
  say(`seed ${asked.seed}: ${stream.length} entries about ${campaigns.length} campaigns`);
  const redis = new Redis(asked.redis, { maxRetriesPerRequest: 1, enableOfflineQueue: true });
  redis.on('error', (error) => say(`Redis: ${error.message}`));
  const letters = [];
  const began = process.hrtime.bigint();
  let last;
  for (let done = 0; done < stream.length; done += asked.batch) {
    const batch = stream.slice(done, done + asked.batch);
    const ids = await append(redis, `${asked.prefix}campaign-events`, batch);
    last = ids.at(-1);
    batch.forEach((entry, n) => {
      if (entry.what === 'garbage') letters.push({ origin: ids[n], kind: entry.kind, tenant: entry.tenant, code: entry.code });
    });
    if (asked.pause > 0) await sleep(asked.pause);
    const tenth = (count) => Math.floor((count * 10) / stream.length);
    if (tenth(done) !== tenth(done + batch.length)) say(`${done + batch.length} of ${stream.length}`);
  }
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  await redis.quit();
  say(`all appended in ${seconds.toFixed(1)} s`);
  for (const campaign of campaigns) tell({ type: 'campaign', ...campaign });
  for (const letter of letters) tell({ type: 'letter', ...letter });
  tell({ type: 'summary', seed: asked.seed, ...counts, lastEntry: last, seconds });
}

await run();
