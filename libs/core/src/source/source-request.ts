/** Which source is asked for, and by whom. */
export interface SourceRequest {
  /** The address as its kind understands it; may hold credentials. */
  readonly uri: string;
  /** A caller on this machine who proved it: may read any file that the ingestor can, and private addresses. */
  readonly trustedCaller: boolean;
}
