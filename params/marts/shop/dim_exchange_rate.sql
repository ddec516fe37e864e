/*
description: What one euro was worth in a currency from one quotation to the next; the first holds for all days before it, too.
columns:
  currency: The currency, ISO 4217.
  from_day: The first day it holds for.
  to_day: The first day it holds for no more.
  rate: Units of the currency for one euro, to fifteen digits.
key: [currency, from_day]
not_null: [to_day, rate]
cluster_by: [currency]
labels: {area: shared}
*/
SELECT
  currency,
  IF(LAG(quoted_on) OVER quotations IS NULL, DATE '0001-01-01', quoted_on) AS from_day,
  COALESCE(LEAD(quoted_on) OVER quotations, DATE '9999-12-31') AS to_day,
  CAST(rate AS FLOAT64) AS rate
FROM clean.exchange_rates
WINDOW quotations AS (PARTITION BY currency ORDER BY quoted_on)
