/** What is known of every error with a code: whether a retry can help, what it means, and what to do. */
export interface ErrorCodeFacts {
  readonly retryable: boolean;
  readonly meaning: string;
  readonly action: string;
}
