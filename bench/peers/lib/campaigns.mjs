// The campaigns of the timer peers: bare tables (those of crates/bench/src/baselines/sql.rs), and what a team would write for
// one firing: a transaction that reads and locks the campaign, decides, moves it to its next version, appends to the log,
// completes the timer and arms the next one, and puts an event into the outbox.
//
// https://node-postgres.com/features/pipelining: a pool with `pipeline: true`, and no pipelining across a decision that needs
// what was read. So a firing is two round trips: BEGIN and the read, then all writes and COMMIT.
// https://node-postgres.com/features/queries#prepared-statements: every statement is named, so parsed once a connection.

const DAY = 86_400_000;
/** Sizes in bytes as this service's rows and events have them. */
const BODY = 900;
const LOGGED = 700;
const EVENT = 600;

const TABLES = `
  CREATE TABLE campaign (id bigint PRIMARY KEY, status text NOT NULL, version bigint NOT NULL, body text NOT NULL)
    WITH (fillfactor = 85);
  CREATE TABLE log (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, campaign bigint NOT NULL, version bigint NOT NULL,
    data text NOT NULL, UNIQUE (campaign, version));
  CREATE TABLE timer (
    campaign bigint NOT NULL, kind text NOT NULL, due timestamptz NOT NULL, state text NOT NULL, completed_at timestamptz,
    PRIMARY KEY (campaign, kind)) WITH (fillfactor = 85);
  CREATE TABLE outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, campaign bigint NOT NULL, payload text NOT NULL);`;

const READ = 'SELECT version, body FROM campaign WHERE id = $1 FOR UPDATE';
const MOVE = "UPDATE campaign SET status = 'RUNNING', version = version + 1, body = $3 WHERE id = $1 AND version = $2";
const LOG = 'INSERT INTO log (campaign, version, data) VALUES ($1, $2, $3)';
const COMPLETE = `UPDATE timer SET state = 'COMPLETED', completed_at = now()
  WHERE campaign = $1 AND kind = 'START' AND state = 'PENDING'`;
const ARM = "INSERT INTO timer (campaign, kind, due, state) VALUES ($1, 'END', to_timestamp($2 / 1000.0), 'PENDING')";
const PUBLISH = 'INSERT INTO outbox (campaign, payload) VALUES ($1, $2)';

/** Makes the schema, which must be the connections' search path, and its campaigns with a pending START. */
export async function create(pool, schema, run) {
  await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE; CREATE SCHEMA ${schema}; SET search_path TO ${schema}; ${TABLES}`);
  const body = JSON.stringify({ title: 'Spring', text: 'x'.repeat(BODY - 30) });
  for (const ids of run.slices(5_000)) {
    await pool.query("INSERT INTO campaign SELECT id, 'CREATED', 1, $2 FROM unnest($1::bigint[]) AS id", [ids, body]);
    await pool.query(
      `INSERT INTO timer SELECT id, 'START', to_timestamp(due / 1000.0), 'PENDING'
       FROM unnest($1::bigint[], $2::float8[]) AS armed (id, due)`,
      [ids, ids.map((id) => run.due(id))],
    );
  }
  await pool.query('VACUUM ANALYZE campaign, timer');
}

/** When the timer that follows a START is due. */
export const nextDue = (due) => due + DAY;

/**
 * A START fires. `within` may add a statement to the same transaction, given the function that sends one. False when the
 * campaign has moved on already: the queue delivered twice.
 */
export async function start(client, { campaign, version, due }, within = () => []) {
  const send = (name, text, values) => client.query({ name, text, values });
  try {
    const [, found] = await Promise.all([send('begin', 'BEGIN'), send('read', READ, [campaign])]);
    if (Number(found.rows[0]?.version) !== version) {
      await send('rollback', 'ROLLBACK');
      return false;
    }
    const body = JSON.parse(found.rows[0].body);
    const startedAt = new Date().toISOString();
    const [moved, logged, completed, armed, published, ...rest] = await all([
      send('move', MOVE, [campaign, version, JSON.stringify({ ...body, startedAt })]),
      send('log', LOG, [campaign, version + 1, fact('CampaignStarted', campaign, startedAt, LOGGED)]),
      send('complete', COMPLETE, [campaign]),
      send('arm', ARM, [campaign, nextDue(due)]),
      send('publish', PUBLISH, [campaign, fact('campaign.status.updated', campaign, startedAt, EVENT)]),
      ...within(send),
      send('commit', 'COMMIT'),
    ]);
    const once = [moved, logged, completed, armed, published].every(({ rowCount }) => rowCount === 1);
    if (!once || rest.at(-1).command !== 'COMMIT') {
      throw new Error(`the transition of campaign ${campaign} was not made once and committed`);
    }
    return true;
  } catch (error) {
    // The first error is the one to tell; where it was the connection's, this one fails as well.
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** Throws when anything but exactly one transition of every campaign is there. */
export async function verify(pool, count) {
  const { rows } = await pool.query(
    `SELECT
       (SELECT count(*) FROM campaign)::int AS campaigns,
       (SELECT count(*) FROM campaign WHERE status = 'RUNNING' AND version = 2)::int AS moved,
       (SELECT count(*) FROM log)::int AS logged,
       (SELECT count(DISTINCT campaign) FROM log WHERE version = 2)::int AS "campaigns with a log row",
       (SELECT count(*) FROM outbox)::int AS published,
       (SELECT count(DISTINCT campaign) FROM outbox)::int AS "campaigns with an outbox row",
       (SELECT count(*) FROM timer WHERE kind = 'START' AND state = 'COMPLETED')::int AS "completed STARTs",
       (SELECT count(*) FROM timer WHERE kind = 'END' AND state = 'PENDING')::int AS "pending ENDs"`,
  );
  const wrong = Object.entries(rows[0]).filter(([, found]) => found !== count);
  if (wrong.length) throw new Error(`of ${count} campaigns: ${wrong.map(([what, n]) => `${n} ${what}`).join(', ')}`);
}

/** Whether this PostgreSQL keeps what it has committed through a loss of power. */
export async function isDurable(pool) {
  const { rows } = await pool.query(
    "SELECT name FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes') AND setting <> 'on'",
  );
  return rows.length === 0;
}

/** All results; an error only after every statement was answered, so that none is left on the connection. */
async function all(sent) {
  const results = await Promise.allSettled(sent);
  const failed = results.find(({ status }) => status === 'rejected');
  if (failed) throw failed.reason;
  return results.map(({ value }) => value);
}

function fact(type, campaign, at, size) {
  const start = JSON.stringify({ type, campaign, at, from: 'CREATED', to: 'RUNNING' });
  return `${start.slice(0, -1)},"filling":"${'x'.repeat(size - start.length)}"}`;
}
