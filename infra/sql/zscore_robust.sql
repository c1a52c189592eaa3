-- Readings that lie far from what the same metric of the same device usually is, by median and median absolute deviation.
--
-- As zscore.sql, but up to half of the window may be abnormal without what is usual moving far. The medians are exact, by
-- place in the sorted window: approx_percentile of Trino and approx_percentile_cont of DataFusion are other sketches with
-- other answers, and the same rows are wanted on every engine. It costs two sorts of the window.
--
-- Stored as the table `gold_anomalies` a day at a time: {judged_from} = {dt_to}, {dt_from} six days before, and what is advised
-- below for machines. For a look at a whole window {judged_from} = {dt_from}.
--
-- Parameters, each once and in this order:
--   {judged_from}   text     readings of this and later dates are judged, those before are only what is usual, 2026-11-22
--   {region}        text     readings by this region's stream are judged, eu-west-1; all are what is usual
--   {dt_from}       text     UTC date of the lake's first partition that is looked at, 2026-11-16
--   {dt_to}         text     of the last one, included
--   {readings_min}  integer  with fewer readings in the window a metric is not judged; 100 is good
--   {z_min}         number   how many widths are far; 3.5 is what Iglewicz and Hoaglin advise ("How to Detect and Handle
--                            Outliers", 1993), 6 is good for machines, which have more than one way to run
--
-- Columns: those of zscore.sql, with
--   expected  double  median of the window
--   width     double  1.4826 median absolute deviations, which is the standard deviation where values are normal. Where more than
--                     half of the window is one value, that is nothing: then 1.2533 mean absolute deviations from the median
--   detector  text    `zscore_robust`
--
-- Order: total.
WITH once AS (
    SELECT
        readings.tenant,
        readings.device,
        readings.metric,
        readings.ts,
        readings.value,
        readings.score,
        readings.seq,
        readings.sub,
        readings.dt >= {judged_from} AND readings.region = {region} AS judged
    FROM readings
    JOIN done
        ON done.dt = readings.dt
        AND done.region = readings.region
        AND done.run = readings.run
    WHERE done.product = 'readings'
        AND readings.dt BETWEEN {dt_from} AND {dt_to}
        AND readings.outcome IN ('scored', 'warming', 'late')
),
by_value AS (
    SELECT
        once.*,
        row_number() OVER (PARTITION BY tenant, device, metric ORDER BY value) AS place,
        count(*) OVER (PARTITION BY tenant, device, metric) AS readings
    FROM once
),
-- The middle one of an odd count, the middle two of an even one.
medians AS (
    SELECT tenant, device, metric, avg(value) AS median
    FROM by_value
    WHERE 2 * place BETWEEN readings AND readings + 2
    GROUP BY tenant, device, metric
),
away AS (
    SELECT
        by_value.*,
        medians.median,
        abs(by_value.value - medians.median) AS distance
    FROM by_value
    JOIN medians
        ON medians.tenant = by_value.tenant
        AND medians.device = by_value.device
        AND medians.metric = by_value.metric
    WHERE by_value.readings >= {readings_min}
),
by_distance AS (
    SELECT
        away.*,
        row_number() OVER (PARTITION BY tenant, device, metric ORDER BY distance) AS distance_place
    FROM away
),
widths AS (
    SELECT
        tenant,
        device,
        metric,
        1.4826 * avg(CASE WHEN 2 * distance_place BETWEEN readings AND readings + 2 THEN distance END) AS by_median,
        1.2533 * avg(distance) AS by_mean
    FROM by_distance
    GROUP BY tenant, device, metric
),
placed AS (
    SELECT
        away.tenant,
        away.device,
        away.metric,
        away.ts,
        away.value,
        away.median AS expected,
        CASE WHEN widths.by_median > 0 THEN widths.by_median ELSE widths.by_mean END AS width,
        away.readings,
        away.score,
        away.seq,
        away.sub
    FROM away
    JOIN widths
        ON widths.tenant = away.tenant
        AND widths.device = away.device
        AND widths.metric = away.metric
    WHERE away.judged
)
SELECT
    tenant,
    device,
    metric,
    ts,
    value,
    expected,
    width,
    (value - expected) / width AS z,
    'zscore_robust' AS detector,
    readings,
    score,
    seq,
    sub
FROM placed
WHERE width > 1e-12 * abs(expected)
    AND abs(value - expected) >= {z_min} * width
ORDER BY tenant, device, metric, ts, seq, sub
