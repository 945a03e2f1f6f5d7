import { query } from './expect-tables.js';
import type { System } from './system.js';

/**
 * A gate that every row of the main table passes, into staging as well: a CHECK constraint (staging tables copy them)
 * that calls a function. Shut with an SQLSTATE, the function raises it: PostgreSQL's own code where the row is being
 * written, as when the disk is full, without a file system of that size. Slow, it sleeps before each row.
 */
export class DatabaseGate {
  private constructor(private readonly system: System) {}

  static async build(system: System): Promise<DatabaseGate> {
    await query(
      system,
      `CREATE TABLE public.gate (shut_with text, row_seconds float8 NOT NULL);
       INSERT INTO public.gate VALUES (NULL, 0);
       CREATE FUNCTION public.passes_gate() RETURNS boolean LANGUAGE plpgsql AS $$
       DECLARE gate public.gate;
       BEGIN
         SELECT * INTO gate FROM public.gate;
         IF gate.shut_with IS NOT NULL THEN
           RAISE EXCEPTION 'the gate is shut' USING ERRCODE = gate.shut_with;
         END IF;
         IF gate.row_seconds > 0 THEN PERFORM pg_sleep(gate.row_seconds); END IF;
         RETURN true;
       END $$;
       ALTER TABLE public.tax_registration ADD CONSTRAINT gate CHECK (public.passes_gate())`,
    );
    return new DatabaseGate(system);
  }

  async shut(sqlstate: string): Promise<void> {
    await query(this.system, 'UPDATE public.gate SET shut_with = $1', [sqlstate]);
  }

  /** @param rowSeconds that each row takes */
  async slow(rowSeconds: number): Promise<void> {
    await query(this.system, 'UPDATE public.gate SET row_seconds = $1', [rowSeconds]);
  }

  async open(): Promise<void> {
    await query(this.system, 'UPDATE public.gate SET shut_with = NULL, row_seconds = 0');
  }
}
