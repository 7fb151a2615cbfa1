-- The embedded store: one SQLite file. Instants are microseconds since 1970, ids of ours are 16 bytes.

-- Everything that was ever committed, in one order (ADR 0002). Rows are never changed and never deleted.
CREATE TABLE journal (
    position      INTEGER PRIMARY KEY CHECK (position > 0),
    id            BLOB    NOT NULL CHECK (length(id) = 16),
    at            INTEGER NOT NULL,
    tenant        TEXT    NOT NULL,
    actor_kind    TEXT    NOT NULL CHECK (actor_kind IN ('producer', 'service', 'operator', 'timer', 'system')),
    actor_subject TEXT    NOT NULL,
    command       TEXT,
    correlation   TEXT,
    -- What follows is told by `data` as well; it stands here to be found.
    campaign      TEXT,
    owner         TEXT,
    sequence      INTEGER CHECK (sequence > 0),
    kind          TEXT    NOT NULL,
    data          TEXT    NOT NULL,
    -- SHA-256 over this row and the hash of the row before it.
    hash          BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
-- INV-5, and a campaign's history. Rows without a sequence (rejections, failed timers) may repeat.
CREATE UNIQUE INDEX journal_campaign ON journal (tenant, campaign, sequence) WHERE campaign IS NOT NULL;
CREATE INDEX journal_owner ON journal (tenant, owner) WHERE owner IS NOT NULL;
CREATE INDEX journal_tenant ON journal (tenant);

-- How far the world was told, left by a process that ended well; it holds while the journal ends at `head`.
CREATE TABLE publication (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    top  INTEGER NOT NULL CHECK (top BETWEEN 0 AND head),
    head INTEGER NOT NULL
) STRICT;

CREATE TABLE campaigns (
    -- In the order in which they became known: pages go by it, and it never changes.
    number   INTEGER PRIMARY KEY,
    tenant   TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    version  INTEGER NOT NULL CHECK (version > 0),
    status   TEXT    NOT NULL
        CHECK (status IN ('CREATED', 'RUNNING', 'CLOSED', 'REWARD_CLAIM', 'EXPIRED', 'CANCELLED')),
    owner    TEXT,
    start_at INTEGER NOT NULL,
    end_at   INTEGER NOT NULL CHECK (end_at > start_at),
    body     TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX campaigns_id ON campaigns (tenant, id);
CREATE INDEX campaigns_newest ON campaigns (tenant, number, start_at, end_at);
CREATE INDEX campaigns_status ON campaigns (tenant, status);
CREATE INDEX campaigns_owner ON campaigns (tenant, owner, status) WHERE owner IS NOT NULL;

-- An index of the campaigns' pending timers, and what became of the others.
CREATE TABLE timers (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    campaign     INTEGER NOT NULL REFERENCES campaigns (number),
    tenant       TEXT    NOT NULL,
    kind         TEXT    NOT NULL
        CHECK (kind IN ('START_CAMPAIGN', 'CLOSE_CAMPAIGN', 'OPEN_REWARD_CLAIM', 'REWARD_REMINDER', 'EXPIRE_CAMPAIGN',
                        'CUSTOM')),
    -- A CUSTOM reminder's name, else empty: in a unique index two NULLs are different.
    name         TEXT    NOT NULL CHECK ((name = '') = (kind <> 'CUSTOM')),
    due_at       INTEGER NOT NULL,
    -- The order among timers of one instant: a step of the life goes before the expiry that would end it.
    rank         INTEGER NOT NULL,
    generation   INTEGER NOT NULL,
    payload      TEXT,
    state        TEXT    NOT NULL CHECK (state IN ('PENDING', 'COMPLETED', 'CANCELLED', 'FAILED')),
    held         INTEGER NOT NULL CHECK (held IN (0, 1) AND (held = 0 OR state = 'PENDING')),
    attempts     INTEGER NOT NULL CHECK (attempts >= 0),
    retry_at     INTEGER CHECK (retry_at IS NULL OR fire_at = retry_at),
    error        TEXT,
    completed_at INTEGER CHECK ((completed_at IS NOT NULL) = (state = 'COMPLETED')),
    -- When the clock takes it: due or retry time while it is pending and not held, else NULL.
    fire_at      INTEGER CHECK ((fire_at IS NOT NULL) = (state = 'PENDING' AND held = 0))
) STRICT, WITHOUT ROWID;
CREATE INDEX timers_due ON timers (fire_at, rank) WHERE fire_at IS NOT NULL;
CREATE INDEX timers_retrying ON timers (retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX timers_campaign ON timers (campaign);
-- S8: one pending timer per campaign and kind, CUSTOM per name.
CREATE UNIQUE INDEX timers_one_pending ON timers (campaign, kind, name) WHERE state = 'PENDING';
CREATE INDEX timers_pending ON timers (tenant, due_at) WHERE state = 'PENDING';
CREATE INDEX timers_failed ON timers (tenant, due_at) WHERE state = 'FAILED';

-- Commands that were answered, and how.
CREATE TABLE inbox (
    tenant      TEXT    NOT NULL,
    -- Who named the command: each producer numbers its own.
    sender      TEXT    NOT NULL,
    command     TEXT    NOT NULL,
    campaign    TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    outcome     TEXT    NOT NULL CHECK (outcome IN ('applied', 'unchanged', 'rejected')),
    version     INTEGER CHECK ((version IS NOT NULL) = (outcome <> 'rejected')),
    code        TEXT    CHECK ((code IS NOT NULL) = (outcome = 'rejected')),
    message     TEXT    CHECK ((message IS NOT NULL) = (outcome = 'rejected')),
    at          INTEGER NOT NULL,
    PRIMARY KEY (tenant, sender, command)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_age ON inbox (at);

-- Events from other services that are not dealt with yet; what was acknowledged is gone.
CREATE TABLE inbound (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    appended_at  INTEGER NOT NULL,
    -- A JSON array of name and value pairs, in order.
    fields       TEXT    NOT NULL,
    -- Who holds it, since when; NULL until it is handed out for the first time.
    consumer     TEXT,
    delivered_at INTEGER CHECK ((delivered_at IS NULL) = (consumer IS NULL)),
    deliveries   INTEGER NOT NULL CHECK ((deliveries = 0) = (consumer IS NULL))
) STRICT;
CREATE INDEX inbound_new ON inbound (number) WHERE delivered_at IS NULL;
CREATE INDEX inbound_pending ON inbound (delivered_at) WHERE delivered_at IS NOT NULL;

-- What could not be processed, for a person to look at.
CREATE TABLE dead_letters (
    number          INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    tenant          TEXT    NOT NULL,
    kind            TEXT    NOT NULL CHECK (kind IN ('event', 'timer')),
    origin          TEXT    NOT NULL,
    event_type      TEXT    NOT NULL,
    campaign        TEXT,
    code            TEXT    NOT NULL,
    error           TEXT    NOT NULL,
    attempts        INTEGER NOT NULL CHECK (attempts >= 0),
    first_error_at  INTEGER NOT NULL,
    last_error_at   INTEGER NOT NULL,
    original        TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('open', 'replayed', 'discarded')),
    settled_kind    TEXT    CHECK ((settled_kind IS NOT NULL) = (state <> 'open')),
    settled_subject TEXT    CHECK ((settled_subject IS NOT NULL) = (state <> 'open')),
    settled_at      INTEGER CHECK ((settled_at IS NOT NULL) = (state <> 'open')),
    settled_reason  TEXT,
    settled_detail  TEXT
) STRICT;
-- D1: one open letter per origin.
CREATE UNIQUE INDEX dead_letters_open ON dead_letters (tenant, kind, origin) WHERE state = 'open';
CREATE INDEX dead_letters_newest ON dead_letters (tenant, number);
CREATE INDEX dead_letters_campaign ON dead_letters (tenant, campaign) WHERE campaign IS NOT NULL;
