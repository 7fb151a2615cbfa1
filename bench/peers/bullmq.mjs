// Campaign timers on BullMQ: a START is a delayed job in Redis, its work a PostgreSQL transaction by node-postgres, and the
// timer that follows is a new delayed job once the transaction is committed.
//
//   DATABASE_URL=postgres://… REDIS_URL=redis://… node bullmq.mjs --burst 20000 | --steady 300 20
//
// One line of JSON on standard output; exit code 1 when anything but one transition of each campaign was made.
//
// Settings, and who recommends them:
// * concurrency 100: "something between 100 and 300 is a quite standard setting" for work that waits; more made no difference
//   https://docs.bullmq.io/guide/parallelism-and-concurrency
// * jobs added in bulk before the run, in calls of 1,000: https://docs.bullmq.io/guide/queues/adding-bulks
// * completed jobs removed, maxRetriesPerRequest null for the worker, a queue that fails fast, and in Redis an append-only file
//   flushed every second (its default policy, noeviction, too): https://docs.bullmq.io/guide/going-to-production
// * 20 connections to PostgreSQL, with 50 and 100 no faster, pipelining and prepared statements: lib/campaigns.mjs
// * a job id made of kind and campaign, so that a repeat adds nothing: https://docs.bullmq.io/guide/jobs/job-ids
// Not used: ioredis' automatic pipelining, with which users saw jobs fail (https://github.com/taskforcesh/bullmq/issues/457).

import { readFileSync } from 'node:fs';

import { Queue, Worker } from 'bullmq';
import pg from 'pg';

import { create, isDurable, nextDue, start, verify } from './lib/campaigns.mjs';
import { Run, giveUp, required, say, scenario } from './lib/run.mjs';

const SCHEMA = 'peer_bullmq';
const QUEUE = 'campaign-timers';
const CONCURRENCY = 100;
const POOL = 20;
const BULK = 1_000;

const plan = scenario();
const database = { connectionString: required('DATABASE_URL'), options: `-c search_path=${SCHEMA}` };
const url = required('REDIS_URL');
const prefix = 'peer-bullmq';
const run = new Run(plan);

const pool = new pg.Pool({ ...database, max: POOL, pipeline: true });
const admin = new pg.Pool({ ...database, max: 1 });
const queue = new Queue(QUEUE, {
  connection: { url, enableOfflineQueue: false },
  prefix,
  defaultJobOptions: { removeOnComplete: true },
});
const worker = new Worker(QUEUE, fire, {
  connection: { url, maxRetriesPerRequest: null },
  prefix,
  concurrency: CONCURRENCY,
  removeOnComplete: { count: 0 },
  autorun: false,
});
worker.on('failed', (job, error) => run.fail(error));
for (const source of [worker, queue, pool, admin]) source.on('error', giveUp);

async function fire({ data }) {
  const client = await pool.connect();
  let moved;
  try {
    moved = await start(client, data);
  } finally {
    client.release();
  }
  if (moved) run.committed(data.campaign);
  // Also when it was moved before: then this is a repeat, and what was to follow may be missing. The id holds it to one.
  const next = { ...data, version: data.version + 1, due: nextDue(data.due) };
  await queue.add('END', next, delayed('END', next));
}

function delayed(kind, { campaign, due }) {
  const timestamp = Date.now();
  return { jobId: `${kind}-${campaign}`, timestamp, delay: Math.max(0, due - timestamp) };
}

try {
  say(`BullMQ: ${plan.count} campaigns`);
  await queue.waitUntilReady();
  await queue.obliterate({ force: true, count: BULK });
  await create(admin, SCHEMA, run);
  const [, appending] = await (await queue.client).config('GET', 'appendonly');
  const durable = (await isDurable(admin)) && appending === 'yes';
  if (!durable) say('these servers do not keep what they are given: the figures mean nothing');
  const running = worker.run();
  running.catch((error) => run.fail(error));
  for (const campaigns of run.slices(BULK)) {
    const jobs = campaigns.map((campaign) => ({ campaign, version: 1, due: run.due(campaign) }));
    await queue.addBulk(jobs.map((data) => ({ name: 'START', data, opts: delayed('START', data) })));
  }
  await run.wait();
  await worker.close(); // Waits for the jobs at work, which add what follows.
  await verify(admin, plan.count);
  const { delayed: ahead, ...others } = await queue.getJobCounts('delayed', 'wait', 'active', 'failed');
  if (ahead !== plan.count || Object.values(others).some(Boolean)) {
    throw new Error(`of ${plan.count} following jobs ${ahead} are delayed; besides: ${JSON.stringify(others)}`);
  }
  const { version } = JSON.parse(readFileSync(new URL('node_modules/bullmq/package.json', import.meta.url)));
  console.log(JSON.stringify({ peer: 'bullmq', version, ...run.reading(), durable, checked: true }));
} catch (error) {
  say(`BullMQ: ${error.stack}`);
  process.exitCode = 1;
} finally {
  await worker.close();
  await queue.obliterate({ force: true, count: BULK });
  await admin.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
  await Promise.all([queue.close(), pool.end(), admin.end()]);
}
