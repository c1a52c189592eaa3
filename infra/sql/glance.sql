-- A quick look at what was scored, hours that are not sealed yet among it: of each record the best object that names can tell.
--
-- A record may be in two objects, one committed and one an orphan of a process whose memory was out of date; their scores
-- differ (docs/adr/0005). What names alone tell, and what they do not:
--   * A batch that another batch names as the one before is committed: processes go on from committed batches only.
--   * A record of which one object is committed in this way has that object; the others are orphans.
--   * The newest batch of a shard has no successor yet, and a batch may be followed by one without readings, which has no silver
--     object. Of such batches only the checkpoint knows which one is committed. Here the higher version is taken, then
--     the later name: of the newest batch that may be an orphan, or one that is never committed.
--   * An orphan whose records were committed in an hour outside of the dates is not recognised.
-- So each record counts once, and a few scores may be an orphan's. Who needs certainty takes the table `readings`.
--
-- Parameters, each once and in this order:
--   {dt_from}  text  UTC date of the lake's first partition, 2026-11-21
--   {dt_to}    text  of the last one, included
--
-- Columns: those of silver, then
--   region, stream, shard  text     where the record was
--   certain                boolean  whether a later batch says that this one is committed
--
-- Order: total, but for readings that a message repeats.
--
-- Engines: "$path" as in readings.sql. What lies beyond the last part is NULL for Trino's split_part, and '' for others'.
WITH scored AS (
    SELECT
        silver.*,
        substr(silver."$path", strpos(silver."$path", '/silver/dt=') + 1) AS key
    FROM silver
    WHERE silver.dt BETWEEN {dt_from} AND {dt_to}
),
-- silver/dt=/hour=/{region}/{stream}/{shard}/{previous}-{last}.v{version}-{before}-{batch}[-suffix].parquet
places AS (
    SELECT
        key,
        split_part(key, '/', 4) AS region,
        split_part(key, '/', 5) AS stream,
        split_part(key, '/', 6) AS shard,
        split_part(split_part(key, '/', 7), '.', 2) AS name
    FROM (SELECT DISTINCT key FROM scored) AS keys
),
batches AS (
    SELECT
        key,
        region,
        stream,
        shard,
        CAST(substr(split_part(name, '-', 1), 2) AS bigint) AS version,
        split_part(name, '-', 2) AS before,
        split_part(name, '-', 3) AS batch,
        coalesce(split_part(name, '-', 4), '') AS suffix
    FROM places
),
followed AS (
    SELECT DISTINCT region, stream, shard, before AS batch
    FROM batches
),
objects AS (
    SELECT
        batches.key,
        batches.region,
        batches.stream,
        batches.shard,
        batches.version,
        batches.suffix,
        followed.batch IS NOT NULL AS certain
    FROM batches
    LEFT JOIN followed
        ON followed.region = batches.region
        AND followed.stream = batches.stream
        AND followed.shard = batches.shard
        AND followed.batch = batches.batch
),
ranked AS (
    SELECT
        scored.*,
        objects.region,
        objects.stream,
        objects.shard,
        objects.certain,
        -- All rows that an object has of a record share a rank.
        rank() OVER (
            PARTITION BY objects.region, objects.stream, objects.shard, scored.seq
            ORDER BY
                CASE WHEN objects.certain THEN 0 ELSE 1 END,
                -- An object with a suffix stands beside bytes that somebody else put under the name.
                CASE WHEN objects.suffix = '' THEN 1 ELSE 0 END,
                objects.version DESC,
                objects.key DESC
        ) AS choice
    FROM scored
    JOIN objects ON objects.key = scored.key
)
SELECT
    tenant,
    device,
    metric,
    ts,
    value,
    score,
    alert,
    expected,
    outcome,
    quality,
    seq,
    sub,
    arrived,
    region,
    stream,
    shard,
    certain
FROM ranked
WHERE choice = 1
ORDER BY tenant, device, metric, ts, region, stream, shard, seq, sub, outcome
