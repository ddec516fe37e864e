/*
description: A version of a customer begins when or after the one before it ends, and ends after it began.
*/
SELECT customer_id, valid_from
FROM (
  SELECT customer_id, valid_from, valid_to, LEAD(valid_from) OVER (PARTITION BY customer_id ORDER BY valid_from) AS next_from
  FROM marts.dim_customer
)
WHERE valid_from >= valid_to OR next_from < valid_to
