// Campaign timers on graphile-worker: a START is a job with `run_at` in PostgreSQL, and its work one transaction, in which the
// timer that follows is a new job by `add_job`.
//
//   DATABASE_URL=postgres://… node graphile-worker.mjs --burst 20000 | --steady 100 20
//
// One line of JSON on standard output; exit code 1 when anything but one transition of each campaign was made.
//
// Settings, and who recommends them:
// * concurrentJobs 24, localQueue of 500, completeJobBatchDelay 0, failJobBatchDelay 0: what its authors reached their best
//   figures with, https://worker.graphile.org/docs/performance
// * a pool with a connection for each job at work and a few for the library's own statements (the document has one); it is the
//   library's pool, and tasks use it by `withPgClient`; prepared statements are on, which is the default
//   https://worker.graphile.org/docs/library/run#runneroptions
// * jobs added in bulk before the run by `addJobs`: https://worker.graphile.org/docs/library/add-jobs
// * pollInterval 10 ms instead of 2,000: jobs of the future are found by polling, so on average they are late by half of it.
//   No document says how low is right; at 10 ms lateness was lowest and a burst no slower
//   https://worker.graphile.org/docs/config
// * pipelining within the transaction: lib/campaigns.mjs
// What limits it: `add_job` notifies, and PostgreSQL lets transactions that notify commit only one after the other, each with a
// flush of its own. So a burst goes no faster than the disk flushes. The library has no other way into the same transaction.
// The package is the newest that runs on Node.js 20; later ones ask for 22.

import { readFileSync } from 'node:fs';

import { Logger, makeWorkerUtils, run as runWorker } from 'graphile-worker';
import pg from 'pg';

import { create, isDurable, nextDue, start, verify } from './lib/campaigns.mjs';
import { Run, giveUp, required, say, scenario } from './lib/run.mjs';

const SCHEMA = 'peer_graphile';
/** The library's own tables. */
const WORKER_SCHEMA = 'peer_graphile_worker';
const CONCURRENCY = 24;
const POOL = CONCURRENCY + 4;
const LOCAL_QUEUE = 500;
const POLL = 10;
const BULK = 1_000;
const ADD_JOB = `SELECT FROM ${WORKER_SCHEMA}.add_job('fire', $1::json, run_at => to_timestamp($2 / 1000.0))`;

const plan = scenario();
const database = { connectionString: required('DATABASE_URL'), options: `-c search_path=${SCHEMA}` };
const run = new Run(plan);

const pgPool = new pg.Pool({ ...database, max: POOL, pipeline: true });
const admin = new pg.Pool({ ...database, max: 1 });
for (const pool of [pgPool, admin]) {
  pool.on('error', giveUp);
  pool.on('connect', (client) => client.on('error', giveUp));
}
const logger = new Logger(() => (level, message) => {
  if (level === 'error' || level === 'warning') say(`graphile-worker: ${message}`);
});
const preset = {
  worker: {
    schema: WORKER_SCHEMA,
    concurrentJobs: CONCURRENCY,
    localQueue: { size: LOCAL_QUEUE },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
    pollInterval: POLL,
    logger,
  },
};

async function fire(timer, { withPgClient }) {
  const moved = await withPgClient((client) =>
    start(client, timer, (send) => {
      const next = { ...timer, version: timer.version + 1, due: nextDue(timer.due) };
      return [send('add-job', ADD_JOB, [JSON.stringify(next), next.due])];
    }),
  );
  if (moved) run.committed(timer.campaign);
}

async function addAll() {
  const utils = await makeWorkerUtils({ pgPool: admin, schema: WORKER_SCHEMA, logger });
  try {
    for (const campaigns of run.slices(BULK)) {
      await utils.addJobs(
        campaigns.map((campaign) => {
          const due = run.due(campaign);
          return { identifier: 'fire', payload: { campaign, version: 1, due }, runAt: new Date(due) };
        }),
      );
    }
  } finally {
    await utils.release();
  }
}

async function drop() {
  await admin.query(`DROP SCHEMA IF EXISTS ${SCHEMA}, ${WORKER_SCHEMA} CASCADE`);
}

let worker;
try {
  say(`graphile-worker: ${plan.count} campaigns`);
  await drop();
  await create(admin, SCHEMA, run);
  const durable = await isDurable(admin);
  if (!durable) say('this server does not keep what it is given: the figures mean nothing');
  worker = await runWorker({ pgPool, preset, taskList: { fire }, crontab: '', noHandleSignals: true });
  worker.promise.catch((error) => run.fail(error));
  worker.events.on('job:error', ({ error }) => run.fail(error));
  await addAll();
  await run.wait();
  await worker.stop(); // Waits for the jobs at work and for what is still to be told complete.
  worker = undefined;
  await verify(admin, plan.count);
  const { rows } = await admin.query(
    `SELECT count(*)::int AS ahead FROM ${WORKER_SCHEMA}.jobs WHERE run_at > now() AND attempts = 0 AND locked_at IS NULL
     UNION ALL SELECT count(*)::int FROM ${WORKER_SCHEMA}.jobs`,
  );
  if (rows.some(({ ahead }) => ahead !== plan.count)) {
    throw new Error(`of ${plan.count} following jobs ${rows[0].ahead} are ahead, among ${rows[1].ahead} in all`);
  }
  const { version } = JSON.parse(readFileSync(new URL('node_modules/graphile-worker/package.json', import.meta.url)));
  console.log(JSON.stringify({ peer: 'graphile-worker', version, ...run.reading(), durable, checked: true }));
} catch (error) {
  say(`graphile-worker: ${error.stack}`);
  process.exitCode = 1;
} finally {
  await worker?.stop();
  await drop();
  await Promise.all([pgPool.end(), admin.end()]);
}
