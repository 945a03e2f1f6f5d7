-- The extract as it is, all text: nothing can be refused here, and a crash may take it.
CREATE UNLOGGED TABLE raw_extract (
  address text, ban text, headquarters_ban text, name text, capital text, setup_date text, type text, invoice text,
  code_1 text, name_1 text, code_2 text, name_2 text, code_3 text, name_3 text, code_4 text, name_4 text
);
