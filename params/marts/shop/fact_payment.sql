/*
description: A payment of an order, with what was paid back of it.
columns:
  payment_id: The payment, a UUID.
  order_id: The order that it pays; see fact_order.
  method: How it was paid; empty where the shop wrote what it does not know.
  currency: Its currency.
  amount: How much, in that currency.
  refunded: How much of that was paid back.
  paid_at: When the money came; NULL where it has not, or nobody knows.
  paid_on: The day of that, in UTC.
  hours_to_pay: Whole hours from order to payment.
key: [payment_id]
references: {order_id: fact_order.order_id, paid_on: dim_date.day}
not_null: [order_id, currency, amount]
partition_by: paid_on
cluster_by: [order_id]
labels: {area: sales}
*/
WITH paid_back AS (
  SELECT payment_id, SUM(amount) AS refunded FROM clean.refunds GROUP BY payment_id
)
SELECT
  payments.id_text AS payment_id,
  orders.order_id,
  payments.method,
  payments.currency,
  payments.amount,
  COALESCE(paid_back.refunded, 0) AS refunded,
  payments.paid_at,
  DATE(payments.paid_at, 'UTC') AS paid_on,
  TIMESTAMP_DIFF(payments.paid_at, TIMESTAMP(orders.ordered_at, 'UTC'), HOUR) AS hours_to_pay
FROM clean.payments AS payments
LEFT JOIN marts.fact_order AS orders ON orders.order_id = payments.order_id
LEFT JOIN paid_back ON paid_back.payment_id = payments.id
