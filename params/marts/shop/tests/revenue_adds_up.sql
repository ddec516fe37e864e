/*
description: The revenue by month comes to that of the orders it is made of.
*/
SELECT months.revenue, orders.revenue AS of_orders
FROM (SELECT COALESCE(SUM(revenue_eur), 0) AS revenue FROM marts.revenue_by_month) AS months
CROSS JOIN (
  SELECT COALESCE(SUM(total_eur), 0) AS revenue
  FROM marts.fact_order
  WHERE status <> 'cancelled' AND ordered_on IS NOT NULL
) AS orders
WHERE months.revenue <> orders.revenue
