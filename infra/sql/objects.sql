-- What stands where: every silver object and whether it was committed. For who wonders about duplicates, or checks a restore.
--
-- Parameters, each once and in this order:
--   {dt_from}  text  UTC date of the lake's first partition, 2026-11-21
--   {dt_to}    text  of the last one, included
--
-- Columns:
--   dt, hour  text, integer  the partition
--   key       text           the object's key in the lake
--   standing  text           `committed`: the hour's sealed list names it; `orphan`: the hour is sealed without it;
--                            `open`: the hour is not sealed, only the checkpoint knows; `missing`: committed and not there
--
-- Order: total.
--
-- Engines: "$path" as in readings.sql.
WITH present AS (
    SELECT DISTINCT
        silver.dt,
        silver.hour,
        substr(silver."$path", strpos(silver."$path", '/silver/dt=') + 1) AS key
    FROM silver
),
named AS (
    SELECT dt, hour, split_part(key, '/', 4) AS region, key, 'silver' AS layer, 1 AS present, 0 AS listed
    FROM present
    UNION ALL
    SELECT dt, hour, region, key, layer, 0 AS present, 1 AS listed
    FROM sealed
    UNION ALL
    SELECT dt, hour, region, '' AS key, 'none' AS layer, 0 AS present, 1 AS listed
    FROM done
    WHERE product = 'readings'
),
objects AS (
    SELECT
        dt,
        hour,
        key,
        layer,
        max(present) AS present,
        max(listed) AS listed,
        -- A list may be empty; then only the marker of the hour's readings tells that it is there.
        max(max(listed)) OVER (PARTITION BY dt, hour, region) AS hour_sealed
    FROM named
    WHERE dt BETWEEN {dt_from} AND {dt_to}
    GROUP BY dt, hour, region, key, layer
)
SELECT
    dt,
    hour,
    key,
    CASE
        WHEN listed = 1 AND present = 1 THEN 'committed'
        WHEN listed = 1 THEN 'missing'
        WHEN hour_sealed = 1 THEN 'orphan'
        ELSE 'open'
    END AS standing
FROM objects
WHERE layer = 'silver'
ORDER BY dt, hour, key
