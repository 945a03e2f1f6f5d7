-- As tax_registration (libs/datasets/src/tax-registration/migrations): the same columns, key, checks and indexes.

CREATE TABLE public.registration_only (
  ban varchar(8) NOT NULL,
  headquarters_ban varchar(8),
  business_name varchar(255) NOT NULL,
  business_address varchar(500) NOT NULL DEFAULT '',
  capital_amount bigint NOT NULL DEFAULT 0,
  business_setup_date varchar(8) NOT NULL DEFAULT '',
  setup_date date,
  business_type varchar(50) NOT NULL DEFAULT '',
  is_use_invoice boolean NOT NULL DEFAULT false,
  data_source_date date,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT registration_only_pkey PRIMARY KEY (ban),
  CONSTRAINT registration_only_ban_check CHECK (ban ~ '^[0-9]{8}$'),
  -- No foreign key: the head office may be missing from the extract.
  CONSTRAINT registration_only_headquarters_ban_check CHECK (headquarters_ban ~ '^[0-9]{8}$'),
  CONSTRAINT registration_only_capital_amount_check CHECK (capital_amount >= 0)
);

CREATE INDEX registration_only_headquarters_ban_idx ON public.registration_only (headquarters_ban);
CREATE INDEX registration_only_business_name_idx ON public.registration_only (business_name);
CREATE INDEX registration_only_capital_amount_idx ON public.registration_only (capital_amount);
CREATE INDEX registration_only_business_type_idx ON public.registration_only (business_type);
CREATE INDEX registration_only_created_at_idx ON public.registration_only (created_at);
