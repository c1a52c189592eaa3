-- Readings that lie far from what the same metric of the same device usually is, by mean and standard deviation.
--
-- A second opinion that knows nothing of time of day, load or other metrics, and that a fault which lasts makes blind: what is
-- abnormal widens what is usual. zscore_robust.sql withstands that. For a look at a whole window {judged_from} = {dt_from}.
--
-- Parameters, each once and in this order:
--   {judged_from}   text     readings of this and later dates are judged, those before are only what is usual, 2026-11-22
--   {region}        text     readings by this region's stream are judged, eu-west-1; all are what is usual
--   {dt_from}       text     UTC date of the lake's first partition that is looked at, 2026-11-16
--   {dt_to}         text     of the last one, included
--   {readings_min}  integer  with fewer readings in the window a metric is not judged; 100 is good. No reading of n lies more
--                            than the root of n - 1 deviations off (Samuelson, "How deviant can you be?", 1968)
--   {z_min}         number   how many standard deviations are far; 4 is good
--
-- Columns:
--   tenant, device, metric  text
--   ts        timestamp  when it was measured, UTC
--   value     double     in the metric's unit
--   expected  double     mean of the window, same unit
--   width     double     standard deviation of the population, same unit
--   z         double     how many widths the value lies above what is expected, below where negative
--   detector  text       `zscore`
--   readings  bigint     of the metric in the window
--   score     float      what the stream's detectors made of the reading, 1.0 is the alarm line
--   seq, sub  binary, integer  the record it came in
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
usual AS (
    SELECT
        tenant,
        device,
        metric,
        count(*) AS readings,
        avg(value) AS expected,
        stddev_pop(value) AS width
    FROM once
    GROUP BY tenant, device, metric
),
placed AS (
    SELECT
        once.tenant,
        once.device,
        once.metric,
        once.ts,
        once.value,
        usual.expected,
        usual.width,
        (once.value - usual.expected) / usual.width AS z,
        'zscore' AS detector,
        usual.readings,
        once.score,
        once.seq,
        once.sub
    FROM once
    JOIN usual
        ON usual.tenant = once.tenant
        AND usual.device = once.device
        AND usual.metric = once.metric
    WHERE once.judged
        AND usual.readings >= {readings_min}
        -- A metric that never changes has a width of nothing, or of rounding.
        AND usual.width > 1e-12 * abs(usual.expected)
)
SELECT tenant, device, metric, ts, value, expected, width, z, detector, readings, score, seq, sub
FROM placed
WHERE abs(z) >= {z_min}
ORDER BY tenant, device, metric, ts, seq, sub
