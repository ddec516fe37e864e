/*
description: A day of the calendar, from the first year of an order or a payment to the end of the last.
columns:
  day: The day.
  year: Its year.
  quarter: Its quarter, 1 to 4.
  month: Its month, 1 to 12.
  month_start: The first day of its month, to group by.
  month_name: The English name of its month.
  iso_year: The year that its ISO week belongs to.
  iso_week: Its ISO week, 1 to 53.
  weekday: 1 for Monday to 7 for Sunday.
  weekday_name: The English name of its weekday.
  is_weekend: Whether it is a Saturday or a Sunday.
key: [day]
not_null: [year, month_start]
cluster_by: [day]
labels: {area: shared}
*/
WITH moments AS (
  SELECT DATE(ordered_at) AS day FROM clean.orders
  UNION ALL
  SELECT DATE(paid_at, 'UTC') FROM clean.payments
),
bounds AS (
  SELECT DATE_TRUNC(MIN(day), YEAR) AS first_day, LAST_DAY(MAX(day), YEAR) AS last_day FROM moments
)
SELECT
  day,
  EXTRACT(YEAR FROM day) AS year,
  EXTRACT(QUARTER FROM day) AS quarter,
  EXTRACT(MONTH FROM day) AS month,
  DATE(EXTRACT(YEAR FROM day), EXTRACT(MONTH FROM day), 1) AS month_start,
  FORMAT_DATE('%B', day) AS month_name,
  EXTRACT(ISOYEAR FROM day) AS iso_year,
  EXTRACT(ISOWEEK FROM day) AS iso_week,
  MOD(EXTRACT(DAYOFWEEK FROM day) + 5, 7) + 1 AS weekday,
  FORMAT_DATE('%A', day) AS weekday_name,
  EXTRACT(DAYOFWEEK FROM day) IN (1, 7) AS is_weekend
FROM bounds
CROSS JOIN UNNEST(GENERATE_DATE_ARRAY(first_day, last_day)) AS day
