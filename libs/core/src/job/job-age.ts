/** When a job was created, in milliseconds since 1970, by its id: a UUIDv7 begins with them. */
export function createdAtMs(job: string): number {
  return Number.parseInt(job.replaceAll('-', '').slice(0, 12), 16);
}
