/** How addresses are shown: in logs, errors and the job's row. */

/** Scheme, host and path; `?…` stands for a query; never userinfo or fragment. */
export function displayOfUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}${url.search === '' ? '' : '?…'}`;
}

/** A text that cannot forge lines of a log: each control character is replaced. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\u{FFFD}');
}
