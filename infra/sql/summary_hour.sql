-- The rollup of one hour of the lake: what each metric of each device did in each hour of measurement.
--
-- What is stored as the table `gold_summary`. A partition of the lake is an hour of arrival; what a device had stored and sent
-- later was measured in another one. So a row is a part: an hour of measurement has a row for each partition in which readings
-- of it arrived, and summary.sql puts them together. Nothing that is stored has to be changed when readings come late.
--
-- Parameters, each once and in this order:
--   {dt}      text     UTC date of the lake's partition, 2026-11-22
--   {hour}    integer  its hour, 0 to 23
--   {region}  text     whose stream the readings came by, eu-west-1
--
-- Columns:
--   tenant, device, metric  text
--   hour_start    timestamp  beginning of the hour of measurement, UTC
--   readings      bigint     readings that count: scored, warming, late
--   left_out      bigint     those that do not: repeated, future, of bad quality
--   value_mean, value_min, value_max  double  of what counts, in the metric's unit; NULL where nothing does
--   value_stddev  double     standard deviation of the population (divided by the count, not by one less), same unit
--   score_max     float      the strongest evidence of a fault, 1.0 is the alarm line
--   abnormal      bigint     readings that count at 1.0 and above
--   anomalies     bigint     alerts raised with a reading of this metric that was itself at 1.0 or above. An alert that speaks
--                            of two metrics counts for each; devices.sql counts alerts. The silence of a whole device has
--                            no reading and is in the results table alone.
--
-- Order: total.
WITH once AS (
    SELECT
        readings.tenant,
        readings.device,
        readings.metric,
        date_trunc('hour', readings.ts) AS hour_start,
        readings.value,
        readings.score,
        readings.alert,
        readings.outcome IN ('scored', 'warming', 'late') AS counts
    FROM readings
    JOIN done
        ON done.dt = readings.dt
        AND done.region = readings.region
        AND done.run = readings.run
    WHERE done.product = 'readings'
        AND readings.dt = {dt}
        AND readings.hour = {hour}
        AND readings.region = {region}
)
SELECT
    tenant,
    device,
    metric,
    hour_start,
    count(*) FILTER (WHERE counts) AS readings,
    count(*) FILTER (WHERE NOT counts) AS left_out,
    avg(value) FILTER (WHERE counts) AS value_mean,
    min(value) FILTER (WHERE counts) AS value_min,
    max(value) FILTER (WHERE counts) AS value_max,
    stddev_pop(value) FILTER (WHERE counts) AS value_stddev,
    max(score) AS score_max,
    count(*) FILTER (WHERE counts AND score >= 1) AS abnormal,
    count(*) FILTER (WHERE alert > 0 AND score >= 1) AS anomalies
FROM once
GROUP BY tenant, device, metric, hour_start
ORDER BY tenant, device, metric, hour_start
