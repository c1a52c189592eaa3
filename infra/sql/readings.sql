-- The readings of one hour of the lake, each once: the rows of the silver objects that were committed, and of no other.
--
-- What is stored as the table `readings` where an hour outgrows one machine. `sealed` names the committed objects, which SQL
-- cannot find by itself: see glance.sql and docs/adr/0013.
--
-- Parameters, each once and in this order:
--   {dt}      text     UTC date of the lake's partition, 2026-11-22
--   {hour}    integer  its hour, 0 to 23
--   {region}  text     whose stream the readings came by, eu-west-1
--
-- Columns: those of silver, as they are there (crates/telemetry/src/silver.rs).
--
-- Order: total, but for readings that a message repeats.
--
-- Engines: "$path", the name of a row's object, is Athena's. Elsewhere the relation `silver` has to have a column so named.
SELECT
    silver.tenant,
    silver.device,
    silver.metric,
    silver.ts,
    silver.value,
    silver.score,
    silver.alert,
    silver.expected,
    silver.outcome,
    silver.quality,
    silver.seq,
    silver.sub,
    silver.arrived
FROM silver
JOIN sealed
    ON sealed.key = substr(silver."$path", strpos(silver."$path", '/silver/dt=') + 1)
    AND sealed.dt = silver.dt
    AND sealed.hour = silver.hour
WHERE silver.dt = {dt}
    AND silver.hour = {hour}
    AND sealed.region = {region}
    AND sealed.layer = 'silver'
ORDER BY tenant, device, metric, ts, seq, sub, outcome
