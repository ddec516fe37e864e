/*
description: Every order of the clean layer is one row of fact_order, at the same total.
*/
SELECT orders.id
FROM clean.orders AS orders
LEFT JOIN marts.fact_order AS facts ON facts.order_id = orders.id AND facts.total = orders.total
WHERE facts.order_id IS NULL
