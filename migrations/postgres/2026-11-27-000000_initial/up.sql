-- The store on PostgreSQL. Instants are `timestamptz` in whole microseconds. Names compare byte by byte, as the service
-- compares them, whatever the database's collation: all that begin with a prefix are a range.

-- The store's clock, in one place: what is due, and when a fact happened.
CREATE FUNCTION lifecycle_now() RETURNS timestamptz
    LANGUAGE sql VOLATILE PARALLEL SAFE AS 'SELECT clock_timestamp()';

-- What columns may hold, as domains: a session reads their rules once. A CHECK of a table is read and prepared anew by each
-- statement that writes a row, which is a seventh of what a small commit costs; those have what spans columns (ADR 0012).
CREATE DOMAIN positive AS bigint CHECK (VALUE > 0);
CREATE DOMAIN attempts AS integer CHECK (VALUE >= 0);
CREATE DOMAIN hash AS bytea CHECK (length(VALUE) = 32);
CREATE DOMAIN actor_kind AS text CHECK (VALUE IN ('producer', 'service', 'operator', 'timer', 'system'));
CREATE DOMAIN campaign_status AS text
    CHECK (VALUE IN ('CREATED', 'RUNNING', 'CLOSED', 'REWARD_CLAIM', 'EXPIRED', 'CANCELLED'));
CREATE DOMAIN timer_kind AS text
    CHECK (VALUE IN ('START_CAMPAIGN', 'CLOSE_CAMPAIGN', 'OPEN_REWARD_CLAIM', 'REWARD_REMINDER', 'EXPIRE_CAMPAIGN',
                     'CUSTOM'));
CREATE DOMAIN timer_state AS text CHECK (VALUE IN ('PENDING', 'COMPLETED', 'CANCELLED', 'FAILED'));

-- Everything that was ever committed, in one order (ADR 0002). Rows are never changed. One partition a month, made
-- ahead by `lifecycle_make_partitions`.
CREATE TABLE journal (
    position      positive    NOT NULL,
    id            uuid        NOT NULL,
    at            timestamptz NOT NULL,
    tenant        text        COLLATE "C" NOT NULL,
    actor_kind    actor_kind  NOT NULL,
    actor_subject text        NOT NULL,
    command       text,
    correlation   text,
    -- What follows is told by `data` as well; it stands here to be found.
    campaign      text        COLLATE "C",
    owner         text        COLLATE "C",
    sequence      positive,
    kind          text        NOT NULL,
    data          text        NOT NULL,
    -- SHA-256 over this row and the hash of the row before it.
    hash          hash        NOT NULL,
    PRIMARY KEY (position, at)
) PARTITION BY RANGE (at);
-- A campaign's history. A partitioned table can hold uniqueness only together with its partition key; that no sequence
-- repeats is held by `campaigns.version`, which moves by exactly these steps, and within a month by an index on each
-- partition (INV-5).
CREATE INDEX journal_campaign ON journal (tenant, campaign, position) WHERE campaign IS NOT NULL;
CREATE INDEX journal_owner ON journal (tenant, owner, position) WHERE owner IS NOT NULL;
CREATE INDEX journal_tenant ON journal (tenant, position);
-- Summed up as the journal grows: what is not summed up yet is read whole.
CREATE INDEX journal_at ON journal USING brin (at) WITH (autosummarize = on);
-- What nobody foresaw a month for.
CREATE TABLE journal_default PARTITION OF journal DEFAULT;

-- Makes the partitions from `first` on, for so many months; answers how many were missing. A month that nobody made in time
-- has its facts in `journal_default`: they move. Where nothing is missing nothing is locked.
CREATE FUNCTION lifecycle_make_partitions(first timestamptz, months integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    month  timestamp := date_trunc('month', first AT TIME ZONE 'UTC');
    name   text;
    begins timestamptz;
    ends   timestamptz;
    made   integer := 0;
BEGIN
    FOR n IN 0 .. months - 1 LOOP
        name := 'journal_' || to_char(month + make_interval(months => n), 'YYYY_MM');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        -- From here on nothing can get into the month, and whoever else makes months, or takes one away, waits: in the same
        -- order, so that nobody waits in a circle.
        LOCK TABLE ONLY journal IN SHARE UPDATE EXCLUSIVE MODE;
        LOCK TABLE journal_default IN ACCESS EXCLUSIVE MODE;
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        begins := (month + make_interval(months => n)) AT TIME ZONE 'UTC';
        ends := (month + make_interval(months => n + 1)) AT TIME ZONE 'UTC';
        EXECUTE format('CREATE TABLE %I (LIKE journal INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
        EXECUTE format(
            'WITH moved AS (DELETE FROM journal_default WHERE at >= %L AND at < %L RETURNING *)
             INSERT INTO %I SELECT * FROM moved', begins, ends, name);
        EXECUTE format('ALTER TABLE journal ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, begins, ends);
        EXECUTE format(
            'CREATE UNIQUE INDEX %I ON %I (tenant, campaign, sequence) WHERE sequence IS NOT NULL',
            name || '_sequence', name);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
SELECT lifecycle_make_partitions(clock_timestamp(), 3);

-- Where the journal and its hash chain end. Every commit takes this row last, so positions follow the order of commits
-- and have no gaps (ADR 0010).
CREATE TABLE journal_head (
    one      boolean     PRIMARY KEY CHECK (one),
    position bigint      NOT NULL,
    hash     hash        NOT NULL,
    at       timestamptz NOT NULL,
    -- The oldest position after which the journal is still whole: partitions before it were taken away.
    floor    bigint      NOT NULL DEFAULT 0 CHECK (floor BETWEEN 0 AND position)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO journal_head (one, position, hash, at) VALUES (true, 0, decode(repeat('00', 32), 'hex'), 'epoch');

CREATE TABLE campaigns (
    -- In the order in which they became known: pages go by it, and it never changes. Gaps are harmless.
    number   bigint          GENERATED ALWAYS AS IDENTITY,
    tenant   text            COLLATE "C" NOT NULL,
    id       text            COLLATE "C" NOT NULL,
    version  positive        NOT NULL,
    status   campaign_status NOT NULL,
    owner    text            COLLATE "C",
    start_at timestamptz     NOT NULL,
    end_at   timestamptz     NOT NULL CHECK (end_at > start_at),
    body     text            NOT NULL,
    -- A step changes the status and so writes into every index: there are no more than are needed.
    PRIMARY KEY (tenant, number),
    CONSTRAINT campaigns_id UNIQUE (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX campaigns_status ON campaigns (tenant, status, number);
CREATE INDEX campaigns_owner ON campaigns (tenant, owner, number) WHERE owner IS NOT NULL;

-- An index of the campaigns' pending timers, and what became of the others.
CREATE TABLE timers (
    id           uuid        PRIMARY KEY,
    -- A campaign's number. No foreign key, which would be looked up for each row: timers are written for campaigns that the
    -- transaction holds or has just made, and campaigns are never deleted.
    campaign     bigint      NOT NULL,
    tenant       text        COLLATE "C" NOT NULL,
    kind         timer_kind  NOT NULL,
    -- A CUSTOM reminder's name, else empty: in a unique index two NULLs are different.
    name         text        NOT NULL CHECK ((name = '') = (kind <> 'CUSTOM')),
    due_at       timestamptz NOT NULL,
    -- The order among timers of one instant: a step of the life goes before the expiry that would end it.
    rank         smallint    NOT NULL,
    generation   bigint      NOT NULL,
    payload      text,
    state        timer_state NOT NULL,
    held         boolean     NOT NULL CHECK (NOT held OR state = 'PENDING'),
    attempts     attempts    NOT NULL,
    retry_at     timestamptz CHECK (retry_at IS NULL OR fire_at = retry_at),
    error        text,
    completed_at timestamptz CHECK ((completed_at IS NOT NULL) = (state = 'COMPLETED')),
    -- When the clock takes it: due or retry time while it is pending and not held, else NULL.
    fire_at      timestamptz CHECK ((fire_at IS NOT NULL) = (state = 'PENDING' AND NOT held))
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX timers_due ON timers (fire_at, rank, id) WHERE fire_at IS NOT NULL;
CREATE INDEX timers_retrying ON timers (retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX timers_campaign ON timers (campaign, due_at);
-- S8: one pending timer per campaign and kind, CUSTOM per name.
CREATE UNIQUE INDEX timers_one_pending ON timers (campaign, kind, name) WHERE state = 'PENDING';
CREATE INDEX timers_pending ON timers (tenant, due_at, id) WHERE state = 'PENDING';
-- No BRIN: rows are completed in another order than they were written in.
CREATE INDEX timers_completed ON timers (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX timers_failed ON timers (tenant, due_at, id) WHERE state = 'FAILED';

-- Holds the campaigns of due timers, and tells both, with the clock and the time of the last fact after that: a row without a
-- timer where nothing is due. Passes by the campaigns that another instance holds: it is at work on them. In a function, so
-- that both looks are one round trip.
CREATE FUNCTION lifecycle_hold_due(most bigint) RETURNS TABLE (
    now timestamptz, committed timestamptz, timer uuid, kind timer_kind, name text, due_at timestamptz, generation bigint,
    payload text, attempts attempts, number bigint, tenant text, campaign text, body text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    mine  bigint[];
    -- Asked once, so that the index can be used.
    clock timestamptz := lifecycle_now();
BEGIN
    mine := ARRAY(
        SELECT c.number FROM timers t JOIN campaigns c ON c.tenant = t.tenant AND c.number = t.campaign
        WHERE t.fire_at <= clock ORDER BY t.fire_at, t.rank, t.id LIMIT most
        FOR UPDATE OF c SKIP LOCKED);
    -- Looks again, with a snapshot of its own: now nobody else can change these campaigns' timers.
    RETURN QUERY
        SELECT lifecycle_now(), head.at, t.id, t.kind, t.name, t.due_at, t.generation, t.payload, t.attempts,
               c.number, c.tenant, c.id, c.body
        FROM journal_head head
        LEFT JOIN (timers t JOIN campaigns c ON c.tenant = t.tenant AND c.number = t.campaign)
            ON t.campaign = ANY (mine) AND t.fire_at <= clock
        WHERE head.one
        ORDER BY t.fire_at, t.rank, t.id LIMIT greatest(most, 1);
END $$;

-- Commands that were answered, and how.
CREATE TABLE inbox (
    tenant      text        COLLATE "C" NOT NULL,
    -- Who named the command: each producer numbers its own.
    sender      text        COLLATE "C" NOT NULL,
    command     text        COLLATE "C" NOT NULL,
    campaign    text        COLLATE "C" NOT NULL,
    fingerprint hash        NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('applied', 'unchanged', 'rejected')),
    version     bigint      CHECK ((version IS NOT NULL) = (outcome <> 'rejected')),
    code        text        CHECK ((code IS NOT NULL) = (outcome = 'rejected')),
    message     text        CHECK ((message IS NOT NULL) = (outcome = 'rejected')),
    at          timestamptz NOT NULL,
    PRIMARY KEY (tenant, sender, command)
);
CREATE INDEX inbox_age ON inbox (at);

-- What could not be processed, for a person to look at.
CREATE TABLE dead_letters (
    number          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              uuid        NOT NULL UNIQUE,
    tenant          text        COLLATE "C" NOT NULL,
    kind            text        NOT NULL CHECK (kind IN ('event', 'timer')),
    origin          text        COLLATE "C" NOT NULL,
    event_type      text        NOT NULL,
    campaign        text        COLLATE "C",
    code            text        NOT NULL,
    error           text        NOT NULL,
    attempts        attempts    NOT NULL,
    first_error_at  timestamptz NOT NULL,
    last_error_at   timestamptz NOT NULL,
    original        text        NOT NULL,
    state           text        NOT NULL CHECK (state IN ('open', 'replayed', 'discarded')),
    settled_kind    text        CHECK ((settled_kind IS NOT NULL) = (state <> 'open')),
    settled_subject text        CHECK ((settled_subject IS NOT NULL) = (state <> 'open')),
    settled_at      timestamptz CHECK ((settled_at IS NOT NULL) = (state <> 'open')),
    settled_reason  text,
    settled_detail  text
);
-- D1: one open letter per origin.
CREATE UNIQUE INDEX dead_letters_open ON dead_letters (tenant, kind, origin) WHERE state = 'open';
CREATE INDEX dead_letters_newest ON dead_letters (tenant, number);
CREATE INDEX dead_letters_campaign ON dead_letters (tenant, campaign) WHERE campaign IS NOT NULL;

-- Processes that work on this store, and those that did.
CREATE TABLE instances (
    id         text        PRIMARY KEY,
    version    text        NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,
    stopped_at timestamptz
);

-- What only one instance may do at a time. A lease that ran out may be taken; each holder has a higher term than all
-- before.
CREATE TABLE leases (
    name   text        PRIMARY KEY,
    holder text        NOT NULL,
    term   bigint      NOT NULL,
    until  timestamptz NOT NULL
);

-- What operators and the service itself did that is no step of a campaign.
CREATE VIEW operator_actions AS
    SELECT position, at, tenant, actor_kind, actor_subject, kind, data FROM journal WHERE campaign IS NULL;

-- Read models for dashboards; refreshed by one instance, every `postgres.refresh`.
CREATE MATERIALIZED VIEW campaign_counts AS
    SELECT tenant, status, count(*) AS campaigns FROM campaigns GROUP BY tenant, status;
CREATE UNIQUE INDEX campaign_counts_key ON campaign_counts (tenant, status);

CREATE MATERIALIZED VIEW pending_timers_by_hour AS
    SELECT tenant, kind, date_trunc('hour', due_at, 'UTC') AS hour, count(*) AS timers
    FROM timers WHERE state = 'PENDING' GROUP BY 1, 2, 3;
CREATE UNIQUE INDEX pending_timers_by_hour_key ON pending_timers_by_hour (tenant, kind, hour);

-- What happened, by hour. Tables, and no materialized views: such a view can only be made anew as a whole, which would read
-- days of the journal every time and hold a snapshot for so long that `journal_head` fills with dead rows meanwhile. The past
-- does not change: `lifecycle_count_hour` counts an hour once more for as long as something may come to it, and then never
-- again. Kept for 30 days.
CREATE TABLE transitions_by_hour (
    hour        timestamptz NOT NULL,
    tenant      text        COLLATE "C" NOT NULL,
    status      text        NOT NULL,
    transitions bigint      NOT NULL,
    PRIMARY KEY (hour, tenant, status)
);

-- The lateness of a firing is when it happened less when it was due.
CREATE TABLE fired_timers_by_hour (
    hour             timestamptz      NOT NULL,
    tenant           text             COLLATE "C" NOT NULL,
    kind             text             NOT NULL,
    timers           bigint           NOT NULL,
    late_p50_seconds double precision NOT NULL,
    late_p99_seconds double precision NOT NULL,
    late_max_seconds double precision NOT NULL,
    PRIMARY KEY (hour, tenant, kind)
);

-- The last hour that was counted. It may not have been over, and the one before may have been counted while commits of it
-- were under way: both are still open.
CREATE TABLE counted_hours (
    one  boolean     PRIMARY KEY CHECK (one),
    hour timestamptz NOT NULL
);

-- The hours that are to be counted, oldest first: those that are open, and at first, or after an outage, all since; at most 7
-- days.
CREATE FUNCTION lifecycle_open_hours() RETURNS SETOF timestamptz LANGUAGE sql STABLE AS $$
    WITH clock AS (SELECT greatest(lifecycle_now(), at) AS now FROM journal_head)
    SELECT generate_series(
        date_trunc('hour', greatest(
            now - interval '7 days',
            (SELECT hour - interval '1 hour' FROM counted_hours),
            coalesce((SELECT at FROM journal ORDER BY position LIMIT 1), now)), 'UTC'),
        now, interval '1 hour')
    FROM clock
$$;

-- Counts what happened in the hour that begins at `counted`, in place of what was counted of it before.
CREATE FUNCTION lifecycle_count_hour(counted timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Whoever else counts waits here, and then sees what was counted.
    INSERT INTO counted_hours AS known (one, hour) VALUES (true, counted)
    ON CONFLICT (one) DO UPDATE SET hour = greatest(known.hour, excluded.hour);

    DELETE FROM transitions_by_hour WHERE hour = counted OR hour < counted - interval '30 days';
    INSERT INTO transitions_by_hour (hour, tenant, status, transitions)
    SELECT counted, tenant, data::json ->> 's', count(*) FROM journal
    WHERE kind IN ('initialized', 'status_changed') AND at >= counted AND at < counted + interval '1 hour'
    GROUP BY 2, 3;

    DELETE FROM fired_timers_by_hour WHERE hour = counted OR hour < counted - interval '30 days';
    INSERT INTO fired_timers_by_hour
        (hour, tenant, kind, timers, late_p50_seconds, late_p99_seconds, late_max_seconds)
    SELECT counted, tenant, kind, count(*),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY late), percentile_cont(0.99) WITHIN GROUP (ORDER BY late), max(late)
    FROM (SELECT tenant, kind, extract(epoch FROM completed_at - due_at)::double precision AS late FROM timers
          WHERE completed_at >= counted AND completed_at < counted + interval '1 hour') AS fired
    GROUP BY 2, 3;
END $$;
