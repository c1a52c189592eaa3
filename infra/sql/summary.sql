-- Each metric of each device by the hour, from the stored rollup: its parts put together.
--
-- The dates are those of arrival. Where devices store and send later, ask for later dates than those of measurement.
--
-- Parameters, each once and in this order:
--   {dt_from}  text  UTC date of the lake's first partition, 2026-11-21
--   {dt_to}    text  of the last one, included
--
-- Columns: those of summary_hour.sql. Means and deviations of parts are put together exactly, up to rounding: the variance is that
-- within the parts and that of their means (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
-- sample variances", 1979).
--
-- Order: total.
WITH parts AS (
    SELECT
        gold_summary.tenant,
        gold_summary.device,
        gold_summary.metric,
        gold_summary.hour_start,
        gold_summary.readings,
        gold_summary.left_out,
        gold_summary.value_mean,
        gold_summary.value_min,
        gold_summary.value_max,
        gold_summary.value_stddev,
        gold_summary.score_max,
        gold_summary.abnormal,
        gold_summary.anomalies,
        sum(gold_summary.readings * gold_summary.value_mean) OVER hours
            / nullif(sum(gold_summary.readings) OVER hours, 0) AS whole_mean
    FROM gold_summary
    JOIN done
        ON done.dt = gold_summary.dt
        AND done.region = gold_summary.region
        AND done.run = gold_summary.run
    WHERE done.product = 'summary'
        AND gold_summary.dt BETWEEN {dt_from} AND {dt_to}
    WINDOW hours AS (
        PARTITION BY gold_summary.tenant, gold_summary.device, gold_summary.metric, gold_summary.hour_start
    )
)
SELECT
    tenant,
    device,
    metric,
    hour_start,
    sum(readings) AS readings,
    sum(left_out) AS left_out,
    max(whole_mean) AS value_mean,
    min(value_min) AS value_min,
    max(value_max) AS value_max,
    sqrt(
        sum(readings * (value_stddev * value_stddev + (value_mean - whole_mean) * (value_mean - whole_mean)))
        / nullif(sum(readings), 0)
    ) AS value_stddev,
    max(score_max) AS score_max,
    sum(abnormal) AS abnormal,
    sum(anomalies) AS anomalies
FROM parts
GROUP BY tenant, device, metric, hour_start
ORDER BY tenant, device, metric, hour_start
