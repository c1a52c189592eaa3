-- Each device by the hour of measurement: how much it sent, and how often it raised an alert.
--
-- An alert belongs to an observation, all that a device said at one instant, and stands on each row of it: it is counted once. The
-- silence of a whole device has no reading and is in the results table alone.
--
-- Parameters, each once and in this order:
--   {dt_from}  text  UTC date of the lake's first partition, 2026-11-21
--   {dt_to}    text  of the last one, included
--
-- Columns:
--   tenant, device  text
--   hour_start      timestamp  beginning of the hour of measurement, UTC
--   metrics         bigint     metrics that reported
--   observations    bigint     instants at which it reported, once for each message
--   readings        bigint     readings that count: scored, warming, late
--   left_out        bigint     those that do not: repeated, future, of bad quality
--   score_max       float      the strongest evidence of a fault, 1.0 is the alarm line
--   anomalies       bigint     alerts raised
--   alert_max       float      strength of the strongest, 0 for none
--
-- Order: total.
WITH once AS (
    SELECT
        readings.tenant,
        readings.device,
        readings.metric,
        readings.ts,
        date_trunc('hour', readings.ts) AS hour_start,
        readings.score,
        readings.alert,
        readings.seq,
        readings.sub,
        CASE WHEN readings.outcome IN ('scored', 'warming', 'late') THEN 1 ELSE 0 END AS counts
    FROM readings
    JOIN done
        ON done.dt = readings.dt
        AND done.region = readings.region
        AND done.run = readings.run
    WHERE done.product = 'readings'
        AND readings.dt BETWEEN {dt_from} AND {dt_to}
),
reported AS (
    SELECT tenant, device, hour_start, count(DISTINCT metric) AS metrics
    FROM once
    GROUP BY tenant, device, hour_start
),
observed AS (
    SELECT
        tenant,
        device,
        hour_start,
        sum(counts) AS readings,
        sum(1 - counts) AS left_out,
        max(score) AS score,
        max(alert) AS alert
    FROM once
    GROUP BY tenant, device, hour_start, ts, seq, sub
)
SELECT
    observed.tenant,
    observed.device,
    observed.hour_start,
    max(reported.metrics) AS metrics,
    count(*) AS observations,
    sum(observed.readings) AS readings,
    sum(observed.left_out) AS left_out,
    max(observed.score) AS score_max,
    sum(CASE WHEN observed.alert > 0 THEN 1 ELSE 0 END) AS anomalies,
    max(observed.alert) AS alert_max
FROM observed
JOIN reported
    ON reported.tenant = observed.tenant
    AND reported.device = observed.device
    AND reported.hour_start = observed.hour_start
GROUP BY observed.tenant, observed.device, observed.hour_start
ORDER BY tenant, device, hour_start
