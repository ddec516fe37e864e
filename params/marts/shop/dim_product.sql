/*
description: A product with its category and supplier, as it is now.
columns:
  product_id: The product, as the shop numbers it.
  sku: The number on its shelf.
  name: Its name.
  category: The category it is in.
  main_category: The category above that one; the same where there is none above.
  supplier: Who delivers it; NULL where nobody is known.
  supplier_country: The supplier's country, ISO 3166.
  price: What it costs the customer now, in euros.
  cost: What it costs the shop now, in euros.
  is_discontinued: Whether it is sold no more.
key: [product_id]
not_null: [sku, category]
cluster_by: [category]
labels: {area: products}
*/
SELECT
  products.id AS product_id,
  products.sku,
  products.name,
  categories.name AS category,
  COALESCE(parents.name, categories.name) AS main_category,
  suppliers.name AS supplier,
  suppliers.country_code AS supplier_country,
  products.price,
  products.cost,
  products.discontinued = 1 AS is_discontinued
FROM clean.products AS products
JOIN clean.categories AS categories ON categories.id = products.category_id
LEFT JOIN clean.categories AS parents ON parents.id = categories.parent_id
LEFT JOIN clean.suppliers AS suppliers ON suppliers.id = products.supplier_id
