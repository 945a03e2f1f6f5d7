/**
 * What a kind of source keeps for itself in a job row: a JSON object whose members only the kind's folder
 * (`apps/ingestor/src/sources/<kind>`) names, makes and checks. It holds no secrets: unlike `secretUri`, it stays in
 * the row when the job has ended.
 */
export type OwnPart = Readonly<Record<string, unknown>>;
