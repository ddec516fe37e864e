/*
description: A customer as known for a time; a change begins a version with the night that saw it first. Neither name nor mail address.
columns:
  customer_id: The customer, as the shop numbers it.
  tier: The name of the loyalty tier.
  tier_discount: The discount of that tier, 0.05 for 5%.
  country_code: The country of the billing address, ISO 3166; NULL where there is none.
  country: Its English name.
  city: The city of the billing address.
  email_domain: What stands behind the @ of the mail address.
  gender: As given, NULL where it was not.
  birth_year: The year of birth, where it is known.
  wants_mail: Whether the newsletter is wanted now.
  registered_on: The day of registration, in UTC.
key: [customer_id]
history: customer_key
not_null: [tier, registered_on]
cluster_by: [customer_id]
labels: {area: customers}
*/
SELECT
  customers.id AS customer_id,
  tiers.name AS tier,
  tiers.discount AS tier_discount,
  homes.country_code,
  countries.name AS country,
  homes.city,
  customers.email_domain,
  NULLIF(customers.gender, '') AS gender,
  NULLIF(SAFE_CAST(SUBSTR(customers.birth_date, 1, 4) AS INT64), 0) AS birth_year,
  customers.marketing_consent = 1 AS wants_mail,
  DATE(customers.registered_at, 'UTC') AS registered_on
FROM clean.customers AS customers
LEFT JOIN clean.loyalty_tiers AS tiers ON tiers.id = customers.tier_id
LEFT JOIN clean.addresses AS homes ON homes.customer_id = customers.id AND homes.kind = 'billing'
LEFT JOIN clean.countries AS countries ON countries.code = homes.country_code
