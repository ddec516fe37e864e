/*
description: An order, with the customer as known when it was placed, and what it is worth in euros on that day.
columns:
  order_id: The order, as the shop numbers it.
  customer_key: The version of the customer then; see dim_customer.
  customer_id: The customer, whichever version.
  status: How far the order is; empty where the shop wrote what it does not know.
  ordered_at: When it was placed, in UTC; NULL where the shop knew no date.
  ordered_on: The day it was placed.
  currency: The currency it is paid in.
  total: What it comes to in that currency.
  total_eur: The same in euros at the rate of the day; NULL where the currency is not quoted.
  coupon_code: The coupon it was placed with.
  order_lines: How many lines it has.
  items: How many pieces were ordered.
  shipped_at: When the first parcel left.
  delivered_at: When the last parcel arrived.
key: [order_id]
references: {customer_key: dim_customer.customer_key, ordered_on: dim_date.day}
not_null: [customer_key, status, currency, total]
values: {status: [new, paid, packed, shipped, delivered, cancelled, '']}
partition_by: ordered_on
cluster_by: [customer_id, status]
labels: {area: sales}
*/
WITH content AS (
  SELECT order_id, COUNT(*) AS order_lines, SUM(quantity) AS items FROM clean.order_items GROUP BY order_id
),
parcels AS (
  SELECT order_id, MIN(shipped_at) AS shipped_at, MAX(delivered_at) AS delivered_at FROM clean.shipments GROUP BY order_id
)
SELECT
  CAST(orders.id AS INT64) AS order_id,
  customers.customer_key,
  orders.customer_id,
  orders.status,
  orders.ordered_at,
  DATE(orders.ordered_at) AS ordered_on,
  orders.currency,
  orders.total,
  CAST(ROUND(orders.total / rates.rate, 2) AS NUMERIC) AS total_eur,
  orders.coupon_code,
  COALESCE(content.order_lines, 0) AS order_lines,
  COALESCE(content.items, 0) AS items,
  parcels.shipped_at,
  parcels.delivered_at
FROM clean.orders AS orders
LEFT JOIN marts.dim_customer AS customers
  ON customers.customer_id = orders.customer_id
  -- An order without a date goes to the customer of now.
  AND COALESCE(TIMESTAMP(orders.ordered_at, 'UTC'), TIMESTAMP '9999-12-30 00:00:00+00') >= customers.valid_from
  AND COALESCE(TIMESTAMP(orders.ordered_at, 'UTC'), TIMESTAMP '9999-12-30 00:00:00+00') < customers.valid_to
LEFT JOIN marts.dim_exchange_rate AS rates
  ON rates.currency = orders.currency
  AND DATE(orders.ordered_at) >= rates.from_day
  AND DATE(orders.ordered_at) < rates.to_day
LEFT JOIN content ON content.order_id = orders.id
LEFT JOIN parcels ON parcels.order_id = orders.id
