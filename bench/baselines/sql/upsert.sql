-- From staged tables that a \copy has filled, in its session: what Sluice promises of `upsert`. A row is written where
-- it is new, or differs and is not of an older extract; afterwards its industries are those of the extract, and what
-- was there already is left alone. One transaction, so that readers see all of it at once.

ANALYZE staged_registration, staged_industry;

BEGIN;

INSERT INTO public.tax_registration AS present (
  ban, headquarters_ban, business_name, business_address, capital_amount,
  business_setup_date, setup_date, business_type, is_use_invoice, data_source_date
)
SELECT
  ban, headquarters_ban, business_name, business_address, capital_amount,
  business_setup_date, setup_date, business_type, is_use_invoice, data_source_date
FROM staged_registration
ON CONFLICT (ban) DO UPDATE SET
  headquarters_ban = EXCLUDED.headquarters_ban, business_name = EXCLUDED.business_name,
  business_address = EXCLUDED.business_address, capital_amount = EXCLUDED.capital_amount,
  business_setup_date = EXCLUDED.business_setup_date, setup_date = EXCLUDED.setup_date,
  business_type = EXCLUDED.business_type, is_use_invoice = EXCLUDED.is_use_invoice,
  data_source_date = EXCLUDED.data_source_date
WHERE (present.data_source_date IS NULL OR EXCLUDED.data_source_date >= present.data_source_date)
  AND (
    present.headquarters_ban, present.business_name, present.business_address, present.capital_amount,
    present.business_setup_date, present.setup_date, present.business_type, present.is_use_invoice,
    present.data_source_date
  ) IS DISTINCT FROM (
    EXCLUDED.headquarters_ban, EXCLUDED.business_name, EXCLUDED.business_address, EXCLUDED.capital_amount,
    EXCLUDED.business_setup_date, EXCLUDED.setup_date, EXCLUDED.business_type, EXCLUDED.is_use_invoice,
    EXCLUDED.data_source_date
  );

-- Whose row is of the staged extract now.
DELETE FROM public.business_industry AS present
USING staged_registration AS staged
JOIN public.tax_registration AS parent USING (ban)
WHERE present.business_id = staged.ban AND parent.data_source_date IS NOT DISTINCT FROM staged.data_source_date
  AND NOT EXISTS (
    SELECT FROM staged_industry AS wanted
    WHERE wanted.business_id = present.business_id AND wanted.industry_code = present.industry_code
  );

INSERT INTO public.business_industry AS present (business_id, industry_code, industry_name, "order")
SELECT wanted.business_id, wanted.industry_code, wanted.industry_name, wanted."order"
FROM staged_industry AS wanted
JOIN staged_registration AS staged ON staged.ban = wanted.business_id
JOIN public.tax_registration AS parent USING (ban)
WHERE parent.data_source_date IS NOT DISTINCT FROM staged.data_source_date
ON CONFLICT (business_id, industry_code) DO UPDATE SET
  industry_name = EXCLUDED.industry_name, "order" = EXCLUDED."order"
WHERE (present.industry_name, present."order") IS DISTINCT FROM (EXCLUDED.industry_name, EXCLUDED."order");

COMMIT;
