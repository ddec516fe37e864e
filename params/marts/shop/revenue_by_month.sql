/*
description: What the orders of a month came to, by the country that the customers lived in then; cancelled orders and those without a date are left out.
columns:
  month: The first day of the month.
  country_code: The country, ISO 3166; -- where the customer had none.
  orders: How many orders.
  customers: How many customers placed them.
  revenue_eur: What they came to in euros.
  unquoted_orders: How many of them are in currencies without a rate, and not in that sum.
key: [month, country_code]
references: {month: dim_date.day}
cluster_by: [month]
labels: {area: sales}
*/
SELECT
  days.month_start AS month,
  COALESCE(customers.country_code, '--') AS country_code,
  COUNT(*) AS orders,
  COUNT(DISTINCT orders.customer_id) AS customers,
  COALESCE(SUM(orders.total_eur), 0) AS revenue_eur,
  COUNTIF(orders.total_eur IS NULL) AS unquoted_orders
FROM marts.fact_order AS orders
JOIN marts.dim_date AS days ON days.day = orders.ordered_on
JOIN marts.dim_customer AS customers ON customers.customer_key = orders.customer_key
WHERE orders.status <> 'cancelled'
GROUP BY 1, 2
