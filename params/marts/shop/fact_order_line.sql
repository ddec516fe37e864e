/*
description: A line of an order, with what it brought and what came back.
columns:
  order_id: The order; see fact_order.
  line_no: The line of that order.
  product_id: What was ordered; see dim_product.
  variant_no: Which variant of it.
  customer_key: The version of the customer then; see dim_customer.
  ordered_on: The day the order was placed.
  status: How far the order is.
  quantity: How many pieces.
  unit_price: The price of one, in the currency of the order.
  discount: The discount, 0.1 for 10%.
  line_total: What the line comes to in the currency of the order.
  line_total_eur: The same in euros at the rate of the day; NULL where the currency is not quoted.
  is_returned: Whether it was sent back.
key: [order_id, line_no]
references: {order_id: fact_order.order_id, product_id: dim_product.product_id, customer_key: dim_customer.customer_key, ordered_on: dim_date.day}
not_null: [product_id, line_total]
partition_by: ordered_on
cluster_by: [product_id, order_id]
labels: {area: sales}
*/
SELECT
  orders.order_id,
  items.line_no,
  items.product_id,
  items.variant_no,
  orders.customer_key,
  orders.ordered_on,
  orders.status,
  items.quantity,
  items.unit_price,
  items.discount,
  items.line_total,
  CAST(ROUND(items.line_total / rates.rate, 2) AS NUMERIC) AS line_total_eur,
  sent_back.order_id IS NOT NULL AS is_returned
FROM clean.order_items AS items
JOIN marts.fact_order AS orders ON orders.order_id = items.order_id
LEFT JOIN marts.dim_exchange_rate AS rates
  ON rates.currency = orders.currency AND orders.ordered_on >= rates.from_day AND orders.ordered_on < rates.to_day
LEFT JOIN clean.returns AS sent_back ON sent_back.order_id = items.order_id AND sent_back.line_no = items.line_no
