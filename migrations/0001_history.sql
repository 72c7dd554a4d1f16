-- The record of intent and attempts. Applied by the owner of the schema; the program then works as the role homeostat_runtime
-- (src/history/postgres/roles.sql), which may insert into history and change nothing of it.
--
-- * Numbers are per environment and given by the program, under the lock of the environment's row: no sequences, no gaps.
-- * Times are milliseconds since 1970 in UTC, as the program's core counts them (`…_at_ms`): they come back exactly as they went in.
--   For people: to_timestamp(finished_at_ms / 1000.0). Leases alone are judged by the database's clock and are timestamptz.
-- * Enumerations are small numbers, listed in src/history/postgres/codes.rs and beside each column.
-- * No foreign keys: every row is written by the one owner of its environment in a transaction that holds its row, and a check per row would cost
--   more than the row. Every key begins with the environment and ends with what grows, so that any table can be partitioned by list and range later.

CREATE TABLE environment (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE,
    epoch       bigint NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    claim       bigint NOT NULL DEFAULT 0,                    -- drawn at each take; tells apart two that were given the same epoch
    owner       text COLLATE "C",                             -- whose lease counts; null: given up
    last_batch  bigint NOT NULL DEFAULT 0 CHECK (last_batch >= 0), -- of this epoch
    version     bigint NOT NULL DEFAULT 0 CHECK (version >= 0),    -- the newest one
    open_from   bigint NOT NULL DEFAULT 0 CHECK (open_from >= 0),  -- every grant below has its outcome
    settings    text                                          -- JSON; null: never recorded
) WITH (fillfactor = 50);

CREATE TABLE lease (
    owner       text COLLATE "C" PRIMARY KEY,
    description text NOT NULL,
    expires_at  timestamptz NOT NULL
);

-- History: append-only.

CREATE TABLE version (
    environment    bigint NOT NULL,
    number         bigint NOT NULL CHECK (number > 0),
    accepted_at_ms bigint NOT NULL,
    upserts        integer NOT NULL,
    removals       integer NOT NULL,
    author         text NOT NULL,
    source         text NOT NULL,
    message        text NOT NULL,
    PRIMARY KEY (environment, number)
);

CREATE TABLE intent (
    environment bigint NOT NULL,
    resource    bigint NOT NULL CHECK (resource >= 0),
    version     bigint NOT NULL,
    name        text COLLATE "C" NOT NULL,
    set_name    text NOT NULL,
    kind        text,  -- null: this version removes the resource, and the rest is null too
    target      text,
    identity    text,
    attributes  text,  -- canonical JSON, as text: it must come back byte for byte
    requires    text,  -- JSON: a list of names
    policy      text,  -- JSON; what it leaves out is the default
    labels      text,  -- JSON; null: none
    inputs      text,  -- JSON: what fills attributes from elsewhere, never a value of it; null: nothing does
    PRIMARY KEY (environment, resource, version),
    CHECK (num_nulls(kind, target, identity, attributes, requires, policy) IN (0, 6))
);
CREATE INDEX intent_name ON intent (environment, name);

CREATE TABLE resource_grant (
    environment   bigint NOT NULL,
    attempt       bigint NOT NULL,
    resource      bigint NOT NULL,
    version       bigint NOT NULL,
    epoch         bigint NOT NULL,
    granted_at_ms bigint NOT NULL,
    operation     smallint NOT NULL CHECK (operation BETWEEN 1 AND 4), -- enforce, observe, dry run, delete
    reason        smallint NOT NULL CHECK (reason BETWEEN 1 AND 8),    -- user deploy, change, user repair, dry run, retry, repair, report, fact refresh
    intent_hash   bytea NOT NULL CHECK (octet_length(intent_hash) = 16),
    executor      text NOT NULL,
    reload        text, -- the requirement because of whose change it is told to reload
    PRIMARY KEY (environment, attempt)
);

CREATE TABLE outcome (
    environment     bigint NOT NULL,
    attempt         bigint NOT NULL,
    resource        bigint NOT NULL,
    began_at_ms     bigint,
    finished_at_ms  bigint NOT NULL,
    kind            smallint NOT NULL CHECK (kind BETWEEN 1 AND 5), -- succeeded, failed, revoked, lost, skipped
    change          smallint CHECK (change BETWEEN 1 AND 5),        -- none, create, update, replace, delete; null: nothing was found
    diff            text,
    message         text, -- why it failed; because of what it was skipped
    remote_identity text,
    facts           text, -- a line `name value` each, the value JSON; null: none, or the same as before
    log             text, -- what its adaptor said while it worked; null: nothing
    PRIMARY KEY (environment, attempt)
);
CREATE INDEX outcome_resource ON outcome (environment, resource, attempt);
CREATE INDEX outcome_lost ON outcome (environment, attempt) WHERE kind = 4; -- few: what their executors may still report something of

CREATE TABLE late_result ( -- what an executor reported of an attempt after that was closed as lost: nothing followed from it
    environment     bigint NOT NULL,
    attempt         bigint NOT NULL,
    began_at_ms     bigint,
    finished_at_ms  bigint NOT NULL,
    kind            smallint NOT NULL CHECK (kind BETWEEN 1 AND 5), -- this and what follows as in outcome
    change          smallint CHECK (change BETWEEN 1 AND 5),
    diff            text,
    message         text,
    remote_identity text,
    facts           text,
    log             text,
    PRIMARY KEY (environment, attempt)
);

CREATE TABLE request (
    environment bigint NOT NULL,
    id          bigint NOT NULL,
    taken_at_ms bigint NOT NULL,
    after_attempt bigint NOT NULL, -- the newest one then
    kind        smallint NOT NULL CHECK (kind BETWEEN 1 AND 8), -- deploy, repair, suspend (open until it is lifted), resume, cancel, report, approve removals, fact refresh
    scope       text NOT NULL, -- JSON
    author      text NOT NULL,
    message     text NOT NULL,
    digest      bytea CHECK (octet_length(digest) = 16), -- of what a dry run showed, where only that was to be released
    PRIMARY KEY (environment, id)
);

CREATE TABLE request_done (
    environment bigint NOT NULL,
    id          bigint NOT NULL,
    done_at_ms  bigint NOT NULL,
    PRIMARY KEY (environment, id)
);

CREATE TABLE dry_run (
    environment bigint NOT NULL,
    id          bigint NOT NULL,
    taken_at_ms bigint NOT NULL,
    items       bigint NOT NULL,
    author      text NOT NULL,
    PRIMARY KEY (environment, id)
);

CREATE TABLE dry_run_result (
    environment bigint NOT NULL,
    dry_run     bigint NOT NULL,
    name        text COLLATE "C" NOT NULL,
    result      text NOT NULL,
    detail      text NOT NULL,
    PRIMARY KEY (environment, dry_run, name)
);

-- The current state: replaced in place.

CREATE TABLE resource_state (
    environment     bigint NOT NULL,
    resource        bigint NOT NULL,
    version         bigint NOT NULL, -- its intent is what this version, or the last one before it that wanted the resource, says
    after_resource  bigint,
    due_at_ms       bigint,
    verified_at_ms  bigint,
    deployed_at_ms  bigint,
    last_attempt    bigint,
    changed_by      bigint,
    failures        bigint NOT NULL CHECK (failures >= 0),
    life            smallint NOT NULL CHECK (life BETWEEN 1 AND 5),        -- live, tombstone, orphan, deleted, not released
    last_result     smallint NOT NULL CHECK (last_result BETWEEN 1 AND 3), -- new, succeeded, failed
    observed        smallint NOT NULL CHECK (observed BETWEEN 1 AND 4),    -- unknown, same, differs, reported
    skipped         boolean NOT NULL,
    attempted       bytea CHECK (octet_length(attempted) = 16),
    succeeded       bytea CHECK (octet_length(succeeded) = 16),
    set_name        text NOT NULL,
    error           text,
    drift           text,
    remote_identity text,
    reload_because  text COLLATE "C", -- the requirement that changed since it was last told to reload
    reload_after    bigint,           -- the attempt after which it must be told
    maybe_changed   boolean NOT NULL,
    removal_approved boolean NOT NULL, -- of a tombstone, or of what waits to be one: however much was removed with it
    secret_digest   bytea CHECK (octet_length(secret_digest) = 16), -- keyed, of the secrets that its newest intent takes; the key is not in here
    once_secret     text,             -- attributes in which secrets may be although its newest intent says what they are, or nothing of them: JSON
    facts           text,             -- what the newest success learned: a line `name value` each, the value JSON
    facts_in_force  text,             -- the facts that it takes as they were when it was released, where they are others by now: a line `resource fact value` each
    pending_version bigint,            -- accepted and not released: what it says of the resource is not in force
    PRIMARY KEY (environment, resource),
    CHECK (num_nulls(reload_because, reload_after) IN (0, 2))
) WITH (fillfactor = 25); -- a new row is small and grows with its first attempt: with room for what takes its place on the same page, no index changes

CREATE TABLE target (
    environment bigint NOT NULL,
    name        text COLLATE "C" NOT NULL,
    definition  text NOT NULL, -- JSON
    PRIMARY KEY (environment, name)
);

-- A release that does not know the migration `readable_from` must not touch this schema. A migration that the previous release can live with leaves it.
CREATE TABLE compatibility (
    readable_from bigint NOT NULL
);
INSERT INTO compatibility VALUES (1);

-- What the runtime role lacks the privilege for, nobody does by accident either.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('homeostat.forgetting', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% of % is refused: history is append-only', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON version FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON intent FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON resource_grant FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON outcome FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON late_result FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON request FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON request_done FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dry_run FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dry_run_result FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The one way to delete history: an environment as a whole, by its owner. False: it is owned by somebody else, and nothing was deleted.
CREATE FUNCTION forget_environment(forgotten bigint, owned_at bigint, claimed_as bigint) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = homeostat, pg_temp
AS $$
BEGIN
    PERFORM FROM environment WHERE id = forgotten AND epoch = owned_at AND claim = claimed_as FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM set_config('homeostat.forgetting', 'on', true);
    DELETE FROM version WHERE environment = forgotten;
    DELETE FROM intent WHERE environment = forgotten;
    DELETE FROM resource_grant WHERE environment = forgotten;
    DELETE FROM outcome WHERE environment = forgotten;
    DELETE FROM late_result WHERE environment = forgotten;
    DELETE FROM request WHERE environment = forgotten;
    DELETE FROM request_done WHERE environment = forgotten;
    DELETE FROM dry_run WHERE environment = forgotten;
    DELETE FROM dry_run_result WHERE environment = forgotten;
    DELETE FROM resource_state WHERE environment = forgotten;
    DELETE FROM target WHERE environment = forgotten;
    DELETE FROM environment WHERE id = forgotten;
    PERFORM set_config('homeostat.forgetting', 'off', true);
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION forget_environment(bigint, bigint, bigint) FROM PUBLIC;

-- Retention: the owner drops what its environment no longer keeps, the oldest first, at most `most` rows of each kind at once. Answers how many rows
-- it dropped (0: nothing is left to drop), or -1: owned by somebody else, and nothing was dropped.
-- Kept whatever its age: what the versions that are kept want, what current rows stand on, what open grants run, and the newest of every number, so
-- that none is given twice.
CREATE FUNCTION trim_environment(trimmed bigint, owned_at bigint, claimed_as bigint, versions_kept bigint, ended_before_ms bigint, most bigint)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = homeostat, pg_temp
AS $$
DECLARE
    oldest_version bigint;
    oldest_attempt bigint;
    first_open     bigint;
    old_resources  bigint[];
    old_versions   bigint[];
    old_dry_run    bigint;
    dropped        bigint := 0;
    counted        bigint;
BEGIN
    -- What may be dropped is looked for before the row is locked, so that the environment's writer waits for deletes by key and not for a search. What
    -- may be dropped once may be dropped for ever: current rows stand on newer versions as time goes on, and grants begin with higher numbers.
    SELECT version - versions_kept + 1, open_from INTO oldest_version, first_open
        FROM environment WHERE id = trimmed AND epoch = owned_at AND claim = claimed_as;
    IF NOT FOUND THEN
        RETURN -1;
    END IF;

    -- Attempts, in the order of their numbers, up to the first that is kept, and of those up to the first that is open.
    SELECT LEAST(
            COALESCE(min(attempt) FILTER (WHERE finished_at_ms >= ended_before_ms), max(attempt) + 1),
            (SELECT max(attempt) FROM outcome WHERE environment = trimmed))
        INTO oldest_attempt
        FROM (SELECT attempt, finished_at_ms FROM outcome WHERE environment = trimmed ORDER BY attempt LIMIT most) oldest;
    SELECT LEAST(oldest_attempt, min(attempt)) INTO oldest_attempt
        FROM resource_grant granted WHERE environment = trimmed AND attempt >= first_open AND attempt < oldest_attempt
            AND NOT EXISTS (SELECT FROM outcome ended WHERE ended.environment = trimmed AND ended.attempt = granted.attempt);

    -- What older versions said of a resource, where the oldest kept one says something newer of it.
    IF EXISTS (SELECT FROM version WHERE environment = trimmed AND number < oldest_version) THEN
        WITH open AS MATERIALIZED (
            SELECT resource FROM resource_grant granted WHERE environment = trimmed AND attempt >= first_open
                AND NOT EXISTS (SELECT FROM outcome ended WHERE ended.environment = trimmed AND ended.attempt = granted.attempt))
        SELECT array_agg(old.resource), array_agg(old.version) INTO old_resources, old_versions FROM (
            SELECT old.resource, old.version FROM intent old WHERE old.environment = trimmed AND old.version < oldest_version
                AND EXISTS (SELECT FROM intent newer WHERE newer.environment = trimmed AND newer.resource = old.resource
                    AND newer.version > old.version AND newer.version <= oldest_version)
                AND NOT EXISTS (SELECT FROM resource_state state, LATERAL (VALUES (state.version), (state.pending_version)) AS stands (upon)
                    WHERE state.environment = trimmed AND state.resource = old.resource AND state.life IN (1, 2, 5)
                        AND old.version = (SELECT max(base.version) FROM intent base WHERE base.environment = trimmed
                            AND base.resource = old.resource AND base.version <= stands.upon AND base.kind IS NOT NULL))
                AND NOT EXISTS (SELECT FROM open WHERE open.resource = old.resource)
            LIMIT most) old;
    END IF;

    PERFORM FROM environment WHERE id = trimmed AND epoch = owned_at AND claim = claimed_as FOR UPDATE;
    IF NOT FOUND THEN
        RETURN -1;
    END IF;
    PERFORM set_config('homeostat.forgetting', 'on', true);
    DELETE FROM outcome WHERE environment = trimmed AND attempt < oldest_attempt;
    GET DIAGNOSTICS counted = ROW_COUNT;
    dropped := dropped + counted;
    DELETE FROM late_result WHERE environment = trimmed AND attempt < oldest_attempt;
    DELETE FROM resource_grant WHERE environment = trimmed AND attempt < oldest_attempt;

    WITH old AS (
            SELECT id FROM request_done WHERE environment = trimmed AND done_at_ms < ended_before_ms
                AND id < (SELECT max(id) FROM request WHERE environment = trimmed) ORDER BY id LIMIT most),
        asked AS (DELETE FROM request USING old WHERE environment = trimmed AND request.id = old.id)
        DELETE FROM request_done USING old WHERE environment = trimmed AND request_done.id = old.id;
    GET DIAGNOSTICS counted = ROW_COUNT;
    dropped := dropped + counted;

    -- One dry run at a time, and of that at most so many results: it may have as many as there are resources.
    SELECT min(id) INTO old_dry_run FROM dry_run WHERE environment = trimmed AND taken_at_ms < ended_before_ms
        AND id < (SELECT max(id) FROM dry_run WHERE environment = trimmed);
    DELETE FROM dry_run_result USING (
            SELECT name FROM dry_run_result WHERE environment = trimmed AND dry_run = old_dry_run ORDER BY name LIMIT most) old
        WHERE environment = trimmed AND dry_run = old_dry_run AND dry_run_result.name = old.name;
    GET DIAGNOSTICS counted = ROW_COUNT;
    IF counted < most THEN
        DELETE FROM dry_run WHERE environment = trimmed AND id = old_dry_run;
        GET DIAGNOSTICS counted = ROW_COUNT;
    END IF;
    dropped := dropped + counted;

    DELETE FROM intent USING unnest(old_resources, old_versions) AS old (resource, version)
        WHERE intent.environment = trimmed AND intent.resource = old.resource AND intent.version = old.version;
    GET DIAGNOSTICS counted = ROW_COUNT;
    dropped := dropped + counted;
    IF old_resources IS NULL THEN
        DELETE FROM version WHERE environment = trimmed AND number < oldest_version;
        GET DIAGNOSTICS counted = ROW_COUNT;
        dropped := dropped + counted;
    END IF;
    PERFORM set_config('homeostat.forgetting', 'off', true);
    RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION trim_environment(bigint, bigint, bigint, bigint, bigint, bigint) FROM PUBLIC;
