/*
description: The lines of the clean layer and those of fact_order_line are as many, and come to the same.
*/
SELECT source.number, facts.number AS facts
FROM (SELECT COUNT(*) AS number, SUM(line_total) AS total FROM clean.order_items) AS source
CROSS JOIN (SELECT COUNT(*) AS number, SUM(line_total) AS total FROM marts.fact_order_line) AS facts
WHERE source.number <> facts.number OR source.total <> facts.total
